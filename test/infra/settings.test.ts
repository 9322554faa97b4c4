import { readFileSync } from 'node:fs';
import { readSettings, SettingError, settingDefinitions } from '../../infra/settings.ts';
import { sampleContext, sampleEnvironment, sources } from '../support/synthesized.ts';

const oidc = sampleContext['wardline:oidc'];

function refusal(
  context: Record<string, unknown>,
  environment: Record<string, string | undefined> = sampleEnvironment,
): SettingError {
  try {
    readSettings(sources(context, environment));
  } catch (error) {
    if (error instanceof SettingError) return error;
    throw error;
  }
  throw new Error('The settings were accepted');
}

describe('readSettings', () => {
  test('fills in what is not set', () => {
    expect(readSettings(sources({ 'wardline:oidc': oidc }, { CDK_DEFAULT_REGION: 'us-east-2' }))).toEqual({
      name: 'wardline',
      region: 'us-east-2',
      account: undefined,
      deviceDomain: undefined,
      oidc: { ...oidc, rolesClaim: 'roles', sitesClaim: 'sites' },
      alarmEmail: undefined,
      retention: { auditYears: 6, auditMode: 'compliance', logDays: 400, importDays: 90 },
      certificateDays: 365,
      interlock: {
        deviceStateSeconds: 60,
        foregroundSeconds: 300,
        batteryPercent: 30,
        recheckMinutes: 30,
        windows: true,
      },
      reserveConcurrency: true,
      vpc: undefined,
      replicaRegions: [],
    });
  });

  test('reads what the command line gives as text', () => {
    const settings = readSettings(
      sources({
        'wardline:oidc': JSON.stringify({ issuer: ['https://a.example.org', 'https://b.example.org'], audience: 'x' }),
        'wardline:certificateDays': '90',
        'wardline:name': 'wards',
        'wardline:vpc': '{}',
        'wardline:reserveConcurrency': 'false',
      }),
    );
    expect(settings).toMatchObject({
      name: 'wards',
      certificateDays: 90,
      oidc: { issuer: ['https://a.example.org', 'https://b.example.org'] },
      vpc: { cidr: '10.80.0.0/20', zones: 2 },
      reserveConcurrency: false,
      region: 'us-east-1',
      account: '111122223333',
    });
  });

  test('its own examples are accepted', () => {
    const region = settingDefinitions.region.example;
    const examples = Object.fromEntries(
      Object.entries(settingDefinitions).map(([name, { example }]) => [`wardline:${name}`, example]),
    );
    expect(readSettings(sources(examples)).region).toBe(region);
  });

  test.each([
    ['wardline:oidc', {}, 'is required'],
    ['wardline:oidc', { 'wardline:oidc': 'nonsense' }, 'is not accepted'],
    ['wardline:oidc', { 'wardline:oidc': { audience: 'a' } }, '"issuer" is required'],
    [
      'wardline:oidc',
      { 'wardline:oidc': { ...oidc, issuer: 'http://login.example.org' } },
      '"issuer" is not an https:// URL',
    ],
    ['wardline:oidc', { 'wardline:oidc': { ...oidc, scope: 'x' } }, '"scope"'],
    ['wardline:oidc', { 'wardline:oidc': '{"issuer":' }, 'is not accepted'],
    ['wardline:name', { 'wardline:name': 'Ward Line' }, 'must be 2 to 21 lower-case letters'],
    ['wardline:region', { 'wardline:region': 'Frankfurt' }, 'is not the name of a region'],
    ['wardline:deviceDomain', { 'wardline:deviceDomain': { name: 'x.example.org' } }, '"certificateArn" is required'],
    ['wardline:alarmEmail', { 'wardline:alarmEmail': 'nobody' }, 'is not an e-mail address'],
    ['wardline:retention', { 'wardline:retention': { logDays: 7 } }, '"logDays"'],
    // Object Lock takes 36,500 days at most.
    ['wardline:retention', { 'wardline:retention': { auditYears: 100 } }, '"auditYears"'],
    ['wardline:reserveConcurrency', { 'wardline:reserveConcurrency': 'no' }, 'is not accepted'],
    ['wardline:vpc', { 'wardline:vpc': { cidr: '10.800.0.0/20' } }, '"cidr" is not a CIDR block'],
    ['wardline:certificateDays', { 'wardline:certificateDays': 3650 }, '825'],
    ['wardline:vpc', { 'wardline:vpc': { cidr: '10.0.0.0/8' } }, '"cidr" is not a CIDR block'],
    ['wardline:vpc', { 'wardline:vpc': true }, 'is not accepted'],
    ['wardline:replicaRegions', { 'wardline:replicaRegions': ['eu-west-1'] }, 'is not accepted'],
    ['wardline:retentoin', { 'wardline:retentoin': {} }, 'is unknown; known are wardline:name'],
  ])('%s wrong: says which setting, what is wrong, and an example', (setting, context, problem) => {
    const { message, ...error } = refusal(
      setting === 'wardline:oidc' ? context : { 'wardline:oidc': oidc, ...context },
    );
    expect(error.setting).toBe(setting);
    expect(message).toContain(`Setting "${setting}"`);
    expect(message).toContain(problem);
    expect(message).toContain('Example: --context');
  });

  test('the example for a setting that does not exist is one that does', () => {
    const { message } = refusal({ 'wardline:oidc': oidc, 'wardline:regoin': 'eu-central-1' });
    expect(message).toContain("Example: --context 'wardline:region=eu-central-1'");
  });

  test('the region comes from the setting, else from the AWS profile, else it is asked for', () => {
    const set = { 'wardline:oidc': oidc, 'wardline:region': 'eu-central-1' };
    expect(readSettings(sources(set)).region).toBe('eu-central-1');
    expect(refusal({ 'wardline:oidc': oidc }, {}).message).toContain('Setting "wardline:region" is required');
  });

  test('http is for loopback only', () => {
    const local = { ...oidc, issuer: 'http://localhost:4104' };
    expect(readSettings(sources({ 'wardline:oidc': local })).oidc.issuer).toBe(local.issuer);
  });

  test('a certificate of another region is refused before API Gateway does', () => {
    const { message } = refusal({ ...sampleContext, 'wardline:region': 'eu-central-1' });
    expect(message).toContain('needs an ACM certificate of eu-central-1');
  });

  test('a replica needs a region of its own and a key there', () => {
    const keyArn = 'arn:aws:kms:eu-west-1:111122223333:key/1';
    const replicas = (region: string) => ({ 'wardline:oidc': oidc, 'wardline:replicaRegions': [{ region, keyArn }] });
    const inIreland = { CDK_DEFAULT_REGION: 'eu-west-1' };
    expect(refusal(replicas('eu-west-1'), inIreland).setting).toBe('wardline:replicaRegions');
    expect(refusal(replicas('eu-west-2'), inIreland).setting).toBe('wardline:replicaRegions');
    const one = { region: 'eu-west-1', keyArn };
    const twice = { 'wardline:oidc': oidc, 'wardline:replicaRegions': [one, one] };
    expect(refusal(twice, { CDK_DEFAULT_REGION: 'eu-west-2' }).message).toContain('names eu-west-1 twice');
  });
});

test('docs/operations.md lists every setting, and no other', () => {
  const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const listed = [...page.matchAll(/^\| `(wardline:\w+)` \|/gm)].map(([, name]) => name);
  expect(listed.sort()).toEqual(
    Object.keys(settingDefinitions)
      .map((name) => `wardline:${name}`)
      .sort(),
  );
});
