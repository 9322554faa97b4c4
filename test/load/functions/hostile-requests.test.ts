import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane';
import { GetObjectCommand, ListObjectsV2Command, NoSuchKey, S3Client } from '@aws-sdk/client-s3';
import { SFNClient } from '@aws-sdk/client-sfn';
import { SQSClient } from '@aws-sdk/client-sqs';
import { mockClient } from 'aws-sdk-client-mock';
import fc from 'fast-check';
import { schemaOf } from '../../../shared/api/components.ts';
import { operations } from '../../../shared/api/operations.ts';
import type { Table } from '../../../shared/aws/dynamodb.ts';
import { type Operation, routes } from '../../../shared/http/routes.ts';
import { type ApiHandler, call, callerWith, freshMfa } from '../../support/api.ts';
import { enrol } from '../../support/devices.ts';
import { hostileText, type JsonSchema, nearly } from '../../support/hostile.ts';
import { databasePort } from '../../support/start-database.ts';
import { startTestDatabase, type TestDatabase } from '../../support/test-database.ts';

const [s3, sqs, machines, iot] = [
  mockClient(S3Client),
  mockClient(SQSClient),
  mockClient(SFNClient),
  mockClient(IoTDataPlaneClient),
];
let database: TestDatabase;
const handlers = new Map<string, ApiHandler>();
/** What is there, by the name of the path parameter that names it. */
const known = new Map<string, string>();

beforeAll(async () => {
  s3.onAnyCommand().resolves({});
  s3.on(GetObjectCommand).rejects(new NoSuchKey({ message: 'no such key', $metadata: {} }));
  s3.on(ListObjectsV2Command).resolves({ Contents: [] });
  sqs.onAnyCommand().resolves({});
  machines.onAnyCommand().resolves({});
  iot.onAnyCommand().resolves({});
  database = await startTestDatabase();
  const [devices, directory] = [await database.table('bySite'), await database.table('byKind')];
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${process.env[databasePort]}`,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    DEVICES_TABLE: devices.name,
    DIRECTORY_TABLE: directory.name,
    IMPORTS_BUCKET: 'imports',
    IMPORTS_QUEUE_URL: 'http://imports',
    WAKE_QUEUE_URL: 'http://wake',
    PLANS_QUEUE_URL: 'http://plans',
    ROLLOUTS_BUCKET: 'rollouts',
    ROLLOUT_MACHINE: 'arn:aws:states:us-east-1:000000000000:stateMachine:rollout',
    AUDIT_BUCKET: 'audit',
    INTERLOCK: '{}',
  });
  for (const name of new Set(routes.map((route) => route.function))) {
    // Made from the environment when it is imported, as in Lambda.
    const { handler } = (await import(`../../../functions/${name}/handler.ts`)) as { handler: ApiHandler };
    handlers.set(name, handler);
  }
  await fill(devices);
}, 300_000);
afterAll(() => database.stop());

/** An administrator who is everything else as well: refused by nobody, so that requests get far. */
const ada = callerWith('administrator', {
  ...freshMfa(),
  roles: ['administrator', 'security', 'biomed', 'auditor', 'integration'],
});

/** One of everything, so that requests find something. */
async function fill(devices: Table): Promise<void> {
  const make = async (operation: Operation, parameter: string, body: object) => {
    const route = routes.find((each) => each.operation === operation);
    const handler = handlers.get(route?.function ?? '');
    if (handler === undefined) throw new Error(`no function for ${operation}`);
    const answer = await call(handler, operation, { caller: ada, path: Object.fromEntries(known), body });
    if (answer.status >= 300) throw new Error(`${operation}: ${answer.status} ${JSON.stringify(answer.body)}`);
    known.set(parameter, String(answer.body['id']));
  };
  await make('createSite', 'siteId', { name: 'North', timeZone: 'America/Chicago' });
  await make('createUnit', 'unitId', { name: 'ICU', acuityTier: 'T0', spares: { workstation: 1 } });
  const place = { siteId: known.get('siteId') ?? '', unitId: known.get('unitId') ?? '' };
  const kind = { platform: 'linux', class: 'workstation', ownership: 'organization' } as const;
  known.set('deviceId', (await enrol(devices, { serial: 'HOSTILE-1', ...kind, ...place }, new Date())).id);
  await make('createEnrollmentToken', 'tokenId', place);
  await make('createCommand', 'approvalId', { type: 'wipe', reason: 'Lost' });
  await make('createCommand', 'commandId', { type: 'message', parameters: { text: 'Call 555' } });
  await make('createRollout', 'rolloutId', {
    name: 'Agent 2',
    artifact: { kind: 'agent', name: 'wardline', version: '2', sha256: 'ab'.repeat(32), signature: 'c2lnbmVk' },
    selection: { siteIds: [place.siteId] },
    wayBack: 'The package before.',
  });
  known.set('kind', 'session');
}

const ids = () => [...known.values()];
const oddIds = fc.constantFrom('__proto__', 'constructor', 'organization', 'x-1', 'x'.repeat(80), '..');

function requestsFor(route: (typeof routes)[number]) {
  const { body, query } = operations[route.operation];
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const path = fc.tuple(...names.map((name) => fc.tuple(fc.constant(name), fc.option(oddIds, { freq: 1 }))));
  const parameters = query !== undefined && 'entries' in query ? Object.keys(query.entries as object) : [];
  const value = fc.oneof(
    hostileText,
    fc.constantFrom('1', '100', 'enrolled', 'infusion-pump', '2027-01-01'),
    fc.nat(9).map((at) => ids()[at] ?? 'x'),
  );
  return fc.record({
    path,
    query: fc.array(fc.tuple(fc.constantFrom('cursor', ...parameters), value), { maxLength: 2 }),
    raw: body === undefined ? fc.constant('') : nearly(schemaOf(body, 'input') as JsonSchema, ids),
    ifMatch: fc.constantFrom('*', '"1"', '"999999999999999"', 'W/"1"', ''),
  });
}

test.each(routes.map((route) => ({ ...route })))(
  '$operation: whatever is asked, it is no error of ours',
  async (route) => {
    const handler = handlers.get(route.function);
    if (handler === undefined) throw new Error(`no function ${route.function}`);
    await fc.assert(
      fc.asyncProperty(requestsFor(route as (typeof routes)[number]), async ({ path, query, raw, ifMatch }) => {
        const answer = await call(handler, route.operation, {
          caller: ada,
          path: Object.fromEntries(path.map(([name, odd]) => [name, odd ?? known.get(name) ?? 'x-1'])),
          query: Object.fromEntries(query),
          raw,
          headers: { 'content-type': 'application/json', ...(ifMatch === '' ? {} : { 'if-match': ifMatch }) },
        });
        expect(answer.status).toBeLessThan(500);
        if (answer.status >= 400) expect(answer.headers['content-type']).toBe('application/problem+json');
        expect(JSON.stringify(answer.body)).not.toMatch(/\bat \S+ \(|node_modules|\.ts:\d/);
      }),
      { numRuns: 40 },
    );
  },
);
