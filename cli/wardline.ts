import { auditExport } from './audit/export.ts';
import { auditVerify } from './audit/verify.ts';
import { UsageError } from './client/usage.ts';
import { rolloutWatch } from './rollout/watch.ts';

const helpText = `Usage: npm run -s wardline -- <command>

  audit export   export the audit archive to a folder
  audit verify   prove offline that no record in an export was changed, removed or moved
  rollout watch  follow a rollout: waves, gates, waiting devices, timeline

Run a command with --help for its options.`;

/** The commands, by the words that name them. Each returns the exit code. */
const commands: Readonly<Record<string, (args: readonly string[]) => Promise<number> | number>> = {
  'audit export': auditExport,
  'audit verify': auditVerify,
  'rollout watch': rolloutWatch,
};

/** `wardline`: what operators and auditors do from a terminal. Exit code 2 when the command line is not understood. */
async function main(args: readonly string[]): Promise<number> {
  const command = commands[args.slice(0, 2).join(' ')];
  if (command !== undefined) return command(args.slice(2));
  const asked = args.length === 0 || args.includes('--help') || args.includes('-h');
  (asked ? console.log : console.error)(asked ? helpText : `There is no command "${args.join(' ')}".\n\n${helpText}`);
  return asked ? 0 : 2;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
