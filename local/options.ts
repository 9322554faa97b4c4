import { parseArgs } from 'node:util';

/** What `npm start` was asked for. */
export interface MainOptions {
  /** No demo data and no simulated devices. */
  readonly empty: boolean;
  /** How many simulated devices. */
  readonly devices: number;
  readonly data: string | undefined;
  readonly port: number;
  readonly trace: string | undefined;
  readonly faults: string | undefined;
  readonly speed: number;
}

/** A flag that is unknown or has a wrong value. The message is a sentence. */
export class OptionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'OptionError';
  }
}

const SEE_HELP = 'See npm start -- --help.';

/** What `--help` prints. */
export const helpText = `Usage: npm start -- [flags]

Runs Wardline on this machine: synthesizes the CDK app and runs its templates. Needs no AWS account.

  --empty        start without demo data and simulated devices
  --devices N    number of simulated devices (default 200)
  --data DIR     keep state in DIR across restarts (default: in memory only)
  --port N       first of seven consecutive ports (default 4800; 0 for any free ones)
  --trace FILE   append each AWS call to FILE as a line of JSON
  --faults FILE  inject the faults of the plan in FILE (docs/local-cloud.md)
  --speed N      run the cloud's clock N times faster than real time (default 1)
  --help         show this

Addresses are written to .wardline/local.json, function logs to .wardline/logs.`;

/** Reads the command line. Throws `OptionError`. */
export function readOptions(args: readonly string[]): MainOptions | 'help' {
  const values = parse(args);
  if (values.help === true) return 'help';
  return {
    empty: values.empty === true,
    devices: number(
      '--devices',
      values.devices,
      200,
      (value) => Number.isInteger(value) && value >= 0 && value <= 100_000,
    ),
    data: named('--data', values.data),
    port: number('--port', values.port, 4800, (value) => Number.isInteger(value) && value >= 0 && value <= 65_529),
    trace: named('--trace', values.trace),
    faults: named('--faults', values.faults),
    speed: number('--speed', values.speed, 1, (value) => value > 0 && value <= 10_000),
  };
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        empty: { type: 'boolean' },
        devices: { type: 'string' },
        data: { type: 'string' },
        port: { type: 'string' },
        trace: { type: 'string' },
        faults: { type: 'string' },
        speed: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values;
  } catch (error) {
    // Node.js explains at length; its first sentence says what is wrong.
    const [first] = (error instanceof Error ? error.message : String(error)).split(/\.\s/);
    throw new OptionError(`${first}. ${SEE_HELP}`);
  }
}

/** A path; empty is what a shell makes of a variable that is not set, and would mean the current folder. */
function named(flag: string, path: string | undefined): string | undefined {
  if (path?.trim() === '') throw new OptionError(`${flag} needs a path, it is empty. ${SEE_HELP}`);
  return path;
}

function number(flag: string, text: string | undefined, otherwise: number, valid: (value: number) => boolean): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text.trim() === '' || !valid(value))
    throw new OptionError(`${flag} cannot be ${JSON.stringify(text)}. ${SEE_HELP}`);
  return value;
}
