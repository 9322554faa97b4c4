import * as v from 'valibot';
import { InterlockSettings } from '../shared/interlock/settings.ts';

/** How long things are kept. */
const Retention = v.strictObject({
  /**
   * Years that an audit record in S3 cannot be deleted or changed. HIPAA asks for six (45 CFR 164.316(b)(2)(i)), Object Lock
   * knows 36,500 days at most.
   */
  auditYears: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(99)), 6),
  /** S3 Object Lock mode: `compliance` binds the account's root user too, `governance` is for accounts that test. */
  auditMode: v.optional(v.picklist(['compliance', 'governance']), 'compliance'),
  /** Days that logs of functions and APIs are kept. CloudWatch Logs knows only these numbers. */
  logDays: v.optional(v.picklist([30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192]), 400),
  /** Days that an imported file and the parts of its report are kept; the import's record is kept for 90. */
  importDays: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(365)), 90),
});

const regionName = v.pipe(v.string(), v.regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'is not the name of a region'));
const dnsName = v.pipe(
  v.string(),
  v.regex(
    /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$/,
    'is not a DNS name in lower case',
  ),
);

/** An issuer is compared byte by byte with the token's `iss`: https, or http on this machine alone (the local cloud). */
const issuer = v.pipe(
  v.string(),
  v.check((text) => {
    const url = URL.parse(text);
    if (url === null || url.search !== '' || url.hash !== '') return false;
    const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
    return url.protocol === 'https:' || (url.protocol === 'http:' && loopback);
  }, 'is not an https:// URL (http:// is accepted for loopback only)'),
);

/** Four numbers of a byte each, and a prefix that AWS takes for a VPC and that leaves room for subnets. */
function isCidrBlock(text: string): boolean {
  const [, address = ''] = /^((?:\d{1,3}\.){3}\d{1,3})\/(?:1[6-9]|2[0-4])$/.exec(text) ?? [];
  return address !== '' && address.split('.').every((part) => Number(part) <= 255);
}

/**
 * Every setting: cdk context key `wardline:<name>`, its schema, and an example that is shown when it is wrong.
 * `docs/operations.md` explains each one; a test compares.
 */
export const settingDefinitions = {
  name: {
    schema: v.optional(
      v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{1,20}$/, 'must be 2 to 21 lower-case letters, digits and dashes')),
      'wardline',
    ),
    example: 'wardline',
  },
  region: { schema: v.optional(regionName), example: 'eu-central-1' },
  deviceDomain: {
    schema: v.optional(
      v.strictObject({
        name: dnsName,
        certificateArn: v.pipe(
          v.string(),
          v.regex(
            /^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate\/[A-Za-z0-9-]+$/,
            'is not the ARN of an ACM certificate',
          ),
        ),
      }),
    ),
    example: {
      name: 'devices.wardline.example.org',
      certificateArn: 'arn:aws:acm:eu-central-1:111122223333:certificate/1b2c3d4e-0000-0000-0000-000000000000',
    },
  },
  oidc: {
    schema: v.strictObject({
      /** One issuer, or several whose tokens are all accepted. */
      issuer: v.union([issuer, v.pipe(v.array(issuer), v.minLength(1))]),
      audience: v.pipe(v.string(), v.minLength(1)),
      rolesClaim: v.optional(v.pipe(v.string(), v.minLength(1)), 'roles'),
      sitesClaim: v.optional(v.pipe(v.string(), v.minLength(1)), 'sites'),
    }),
    example: { issuer: 'https://login.example.org/realms/hospital', audience: 'wardline' },
  },
  alarmEmail: {
    schema: v.optional(v.pipe(v.string(), v.email('is not an e-mail address'))),
    example: 'oncall@example.org',
  },
  retention: { schema: v.optional(Retention, {}), example: { auditYears: 6, logDays: 400 } },
  certificateDays: {
    schema: v.optional(v.pipe(v.number(), v.integer(), v.minValue(7), v.maxValue(825)), 365),
    example: 365,
  },
  interlock: {
    schema: v.optional(InterlockSettings, {}),
    example: { deviceStateSeconds: 60, batteryPercent: 30 },
  },
  reserveConcurrency: { schema: v.optional(v.boolean(), true), example: false },
  vpc: {
    schema: v.optional(
      v.strictObject({
        cidr: v.optional(
          v.pipe(v.string(), v.check(isCidrBlock, 'is not a CIDR block between /16 and /24')),
          '10.80.0.0/20',
        ),
        zones: v.optional(v.picklist([2, 3]), 2),
      }),
    ),
    example: { cidr: '10.80.0.0/20', zones: 2 },
  },
  replicaRegions: {
    schema: v.optional(
      v.array(
        v.strictObject({
          region: regionName,
          keyArn: v.pipe(
            v.string(),
            v.regex(/^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]+$/, 'is not the ARN of a KMS key'),
          ),
        }),
      ),
      [],
    ),
    example: [
      { region: 'eu-west-1', keyArn: 'arn:aws:kms:eu-west-1:111122223333:key/1b2c3d4e-0000-0000-0000-000000000000' },
    ],
  },
} as const;

/** The name of a setting, without the prefix `wardline:`. */
export type SettingName = keyof typeof settingDefinitions;

type Values = { [name in SettingName]: v.InferOutput<(typeof settingDefinitions)[name]['schema']> };

/** All settings, validated, defaults filled in. */
export interface Settings extends Omit<Values, 'region'> {
  /** From the setting, else the region of the AWS profile. The encryption of a table's replicas needs it at synth. */
  readonly region: string;
  /** The account that is deployed to; undefined in a synth that is bound to no account. */
  readonly account: string | undefined;
}

/** A setting that is missing or wrong. The message names it and shows an example. */
export class SettingError extends Error {
  readonly setting: string;
  /** @param exampleOf the setting that `example` is a value of */
  constructor(setting: string, problem: string, example: unknown, exampleOf = setting) {
    super(`Setting "${setting}" ${problem}. Example: --context '${exampleOf}=${exampleText(example)}'`);
    this.name = 'SettingError';
    this.setting = setting;
  }
}

/** What settings are read from: cdk context, and the environment of the process. */
export interface SettingSources {
  /** The value of a context key, undefined when absent. From the command line every value is a string. */
  readonly context: (key: string) => unknown;
  /** All context keys that begin with `wardline:`. */
  readonly keys: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads all settings.
 *
 * @throws SettingError for the first setting that is wrong, unknown or missing
 */
export function readSettings(sources: SettingSources): Settings {
  const names = Object.keys(settingDefinitions) as SettingName[];
  for (const key of sources.keys) {
    const name = key.slice('wardline:'.length);
    if (!names.some((known) => known === name)) {
      throw new SettingError(
        key,
        `is unknown; known are ${names.map((known) => `wardline:${known}`).join(', ')}`,
        settingDefinitions.region.example,
        'wardline:region',
      );
    }
  }
  const definitions = settingDefinitions;
  const settings = {
    name: read(sources, 'name', definitions.name.schema),
    region: region(sources),
    deviceDomain: read(sources, 'deviceDomain', definitions.deviceDomain.schema),
    oidc: read(sources, 'oidc', definitions.oidc.schema),
    alarmEmail: read(sources, 'alarmEmail', definitions.alarmEmail.schema),
    retention: read(sources, 'retention', definitions.retention.schema),
    certificateDays: read(sources, 'certificateDays', definitions.certificateDays.schema),
    interlock: read(sources, 'interlock', definitions.interlock.schema),
    reserveConcurrency: read(sources, 'reserveConcurrency', definitions.reserveConcurrency.schema),
    vpc: read(sources, 'vpc', definitions.vpc.schema),
    replicaRegions: read(sources, 'replicaRegions', definitions.replicaRegions.schema),
    account: sources.environment['CDK_DEFAULT_ACCOUNT'],
  };
  checkTogether(settings);
  return settings;
}

function read<Schema extends v.GenericSchema>(
  sources: SettingSources,
  name: SettingName,
  schema: Schema,
): v.InferOutput<Schema> {
  const key = `wardline:${name}`;
  const result = v.safeParse(schema, parsed(sources.context(key)));
  if (result.success) return result.output;
  const issue = result.issues[0];
  const part = v.getDotPath(issue);
  const problem = issue.received === 'undefined' ? 'is required' : described(issue);
  throw new SettingError(
    key,
    part === null ? problem : `has a wrong part: "${part}" ${problem}`,
    settingDefinitions[name].example,
  );
}

function region(sources: SettingSources): string {
  const name = read(sources, 'region', settingDefinitions.region.schema) ?? sources.environment['CDK_DEFAULT_REGION'];
  if (name !== undefined) return name;
  throw new SettingError(
    'wardline:region',
    'is required where no AWS profile names a region',
    settingDefinitions.region.example,
  );
}

/** Our own messages read on from the name of the setting; valibot's are sentences of their own. */
function described(issue: v.BaseIssue<unknown>): string {
  const ours = /^(is|must) /.test(issue.message);
  return ours ? `${issue.message} (got ${issue.received})` : `is not accepted: ${issue.message}`;
}

/** `--context key=value` gives text; a setting with parts, a list, a number or a yes and no is given as JSON there. */
function parsed(value: unknown): unknown {
  if (typeof value !== 'string' || !/^([[{]|(\d+|true|false)$)/.test(value.trim())) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value; // The schema refuses it and says what it should be.
  }
}

function checkTogether(settings: Settings): void {
  const { deviceDomain, region, replicaRegions } = settings;
  if (deviceDomain !== undefined && deviceDomain.certificateArn.split(':')[3] !== region) {
    throw new SettingError(
      'wardline:deviceDomain',
      `has a certificate of another region: an API of ${region} needs an ACM certificate of ${region}`,
      settingDefinitions.deviceDomain.example,
    );
  }
  for (const [at, replica] of replicaRegions.entries()) {
    if (replicaRegions.findIndex(({ region: other }) => other === replica.region) !== at) {
      throw new SettingError(
        'wardline:replicaRegions',
        `names ${replica.region} twice`,
        settingDefinitions.replicaRegions.example,
      );
    }
    if (replica.region === region || replica.keyArn.split(':')[3] !== replica.region) {
      throw new SettingError(
        'wardline:replicaRegions',
        `names ${replica.region}, which must differ from the deployment's region and be the region of its key`,
        settingDefinitions.replicaRegions.example,
      );
    }
  }
}

function exampleText(example: unknown): string {
  return typeof example === 'string' ? example : JSON.stringify(example);
}
