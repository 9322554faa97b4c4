import { parseArgs } from 'node:util';

/** What was asked for on the command line. */
export interface AgentOptions {
  readonly enroll?: string;
  readonly token?: string;
  readonly ca?: string;
  readonly serial?: string;
  readonly state: string;
  readonly device?: string;
  readonly mqtt?: string;
  readonly endpoints?: string;
  readonly prefer?: 'mqtt' | 'https';
  readonly once: boolean;
  readonly report: boolean;
  readonly help: boolean;
}

/** A mistake on the command line; the message says what to do. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** Shown for `--help`. */
export const USAGE = `The Wardline agent for Linux machines

  npm run agent -- --enroll URL --token TOKEN   enrol this machine, then serve it
  npm run agent --                              serve a machine that is enrolled

  --enroll URL      enrolment host (EST)
  --token TOKEN     enrolment token; also read from WARDLINE_ENROLLMENT_TOKEN
  --device URL      device host, for check-in over HTTPS and renewal
  --mqtt URL        mqtts://host:port
  --endpoints FILE  JSON with "device" and "mqtt" instead of these two
  --ca FILE         certificate that the servers' certificates end in (default: the public authorities that Node.js knows)
                    The local cloud's endpoints and certificate are found in .wardline/local.json.
  --serial S        serial number of this machine (default: from its firmware, else derived from /etc/machine-id)
  --channel KIND    mqtt (default) or https
  --state DIR       where key, certificate and journal are kept (default: /var/lib/wardline as root, else
                    ~/.local/state/wardline)
  --once            one check-in, carry out what it brings, report it, end
  --report          print what would be reported and end; sends nothing
`;

/**
 * Reads the command line.
 *
 * @param environment HOME, XDG_STATE_HOME and WARDLINE_ENROLLMENT_TOKEN are looked at
 * @throws UsageError
 */
export function parseOptions(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  root: boolean,
): AgentOptions {
  const values = parse(args);
  const { enroll, device, mqtt, channel } = values;
  const token = values.token ?? environment['WARDLINE_ENROLLMENT_TOKEN'];
  checkUrl('--enroll', enroll, 'https:');
  checkUrl('--device', device, 'https:');
  checkUrl('--mqtt', mqtt, 'mqtts:');
  if (enroll !== undefined && !token) throw new UsageError('--enroll needs --token, the enrolment token');
  if (channel !== undefined && channel !== 'mqtt' && channel !== 'https') {
    throw new UsageError('--channel is mqtt or https');
  }
  return {
    ...(enroll === undefined ? {} : { enroll }),
    ...(token === undefined ? {} : { token }),
    ...(values.ca === undefined ? {} : { ca: values.ca }),
    ...(values.serial === undefined ? {} : { serial: values.serial }),
    ...(device === undefined ? {} : { device }),
    ...(mqtt === undefined ? {} : { mqtt }),
    ...(values.endpoints === undefined ? {} : { endpoints: values.endpoints }),
    ...(channel === undefined ? {} : { prefer: channel }),
    state: values.state ?? defaultState(environment, root),
    once: values.once,
    report: values.report,
    help: values.help,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        enroll: { type: 'string' },
        token: { type: 'string' },
        ca: { type: 'string' },
        serial: { type: 'string' },
        state: { type: 'string' },
        device: { type: 'string' },
        mqtt: { type: 'string' },
        endpoints: { type: 'string' },
        channel: { type: 'string' },
        once: { type: 'boolean', default: false },
        report: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function checkUrl(option: string, value: string | undefined, protocol: string): void {
  if (value === undefined) return;
  if (!URL.canParse(value) || new URL(value).protocol !== protocol) {
    throw new UsageError(`${option} needs a URL that begins with ${protocol}//, not ${value}`);
  }
}

function defaultState(environment: Readonly<Record<string, string | undefined>>, root: boolean): string {
  if (root) return '/var/lib/wardline';
  const base = environment['XDG_STATE_HOME'] ?? `${environment['HOME'] ?? '.'}/.local/state`;
  return `${base}/wardline`;
}
