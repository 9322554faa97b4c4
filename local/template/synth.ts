import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Json } from '../cloud.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Synthesis failed; the message carries what the app printed. */
export class SynthFailed extends Error {
  constructor(output: string) {
    super(`The CDK app could not be synthesized:\n${output.trim()}`);
    this.name = 'SynthFailed';
  }
}

/** Runs the CDK app as `cdk synth` does, with these context values, into `folder` (emptied first). Throws `SynthFailed`. */
export async function synthesize(
  folder: string,
  context: Readonly<Record<string, Json>>,
  account: string,
  region: string,
): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  const child = spawn(process.execPath, ['infra/app.ts'], {
    cwd: root,
    env: {
      ...process.env,
      CDK_OUTDIR: folder,
      CDK_CONTEXT_JSON: JSON.stringify(context),
      CDK_DEFAULT_ACCOUNT: account,
      CDK_DEFAULT_REGION: region,
      // What the checks say about a template is asserted by tests and by `cdk synth`; here they would take two thirds
      // of the time and change nothing in what is synthesized.
      CDK_VALIDATION: 'false',
      NODE_OPTIONS: '',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const collect = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new SynthFailed(output);
}
