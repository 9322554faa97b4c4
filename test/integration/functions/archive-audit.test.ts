import { Readable } from 'node:stream';
import {
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { marshall } from '@aws-sdk/util-dynamodb';
import { jest } from '@jest/globals';
import { sdkStreamMixin } from '@smithy/core/serde';
import type { Context, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import { verifyArchive } from '../../../shared/audit/archive/verify.ts';
import { type AuditItem, auditRecord } from '../../../shared/audit/record.ts';
import { keepRecord } from '../../../shared/audit/store.ts';
import type { Table } from '../../../shared/aws/dynamodb.ts';
import { recordIds } from '../../support/memory-archive.ts';
import { startTestDatabase, type TestDatabase } from '../../support/test-database.ts';

const s3 = mockClient(S3Client);
const objects = new Map<string, string>();
let database: TestDatabase;
let tables: { devices: Table; directory: Table };
let handler: typeof import('../../../functions/archive-audit/handler.ts').handler;

beforeAll(async () => {
  database = await startTestDatabase();
  tables = { devices: await database.table('bySite'), directory: await database.table('byKind') };
  const endpoint = await tables.devices.client.config.endpoint?.();
  Object.assign(process.env, {
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_ENDPOINT_URL: `http://${endpoint?.hostname}:${endpoint?.port}`,
    DEVICES_TABLE: tables.devices.name,
    DIRECTORY_TABLE: tables.directory.name,
    AUDIT_BUCKET: 'audit',
    POWERTOOLS_METRICS_NAMESPACE: 'Wardline',
    POWERTOOLS_METRICS_DISABLED: 'false',
    POWERTOOLS_SERVICE_NAME: 'archive-audit',
    POWERTOOLS_DEV: 'true',
  });
  ({ handler } = await import('../../../functions/archive-audit/handler.ts'));
}, 90_000);
afterAll(() => database.stop());

/** Places whose objects cannot be written. */
const broken = new Set<string>();
let printed: string[] = [];

beforeEach(() => {
  broken.clear();
  s3.reset();
  s3.on(PutObjectCommand).callsFake(
    ({ Key, Body, IfNoneMatch }: { Key: string; Body: string; IfNoneMatch: string }) => {
      const refuse = (name: string) => {
        throw new S3ServiceException({ name, $fault: 'server', $metadata: {} });
      };
      if (broken.has(Key.split('/')[2] ?? '')) refuse('InternalError');
      if (IfNoneMatch !== '*' || objects.has(Key)) refuse('PreconditionFailed');
      objects.set(Key, Body);
      return {};
    },
  );
  s3.on(GetObjectCommand).callsFake(({ Key }: { Key: string }) => ({
    Body: sdkStreamMixin(Readable.from([objects.get(Key) ?? ''])),
  }));
  s3.on(ListObjectsV2Command).resolves({});
  printed = [];
  for (const method of ['log', 'error', 'info'] as const) {
    jest.spyOn(console, method).mockImplementation((line: unknown) => void printed.push(String(line)));
  }
});
afterEach(() => jest.restoreAllMocks());

let sequence = 0;

function change(eventName: 'INSERT' | 'MODIFY' | 'REMOVE', item: AuditItem, before?: AuditItem): DynamoDBRecord {
  sequence += 1;
  const image = (value: AuditItem) => marshall(value, { removeUndefinedValues: true }) as never;
  return {
    eventName,
    dynamodb: {
      SequenceNumber: String(sequence),
      ApproximateCreationDateTime: 1_800_000_000 + sequence,
      ...(eventName === 'REMOVE' ? { OldImage: image(item) } : { NewImage: image(item) }),
      ...(before === undefined ? {} : { OldImage: image(before) }),
    },
  };
}

function record(siteId: string, at = new Date()): AuditItem {
  return auditRecord(
    `SITE#${siteId}`,
    { actor: 'user:ada', action: 'UpdateSite', resource: `site/${siteId}`, siteId, outcome: 'allowed' },
    at,
  );
}

const deliver = (event: DynamoDBStreamEvent | { catchUp: unknown }, milliseconds = 60_000) =>
  handler(event, { getRemainingTimeInMillis: () => milliseconds } as Context);

const idsOf = (site: string) => recordIds(new Map([...objects].filter(([key]) => key.split('/')[2] === site)));

test('records go to the chains of their sites; a delivery that comes twice is archived once', async () => {
  const items = [record('s-a'), record('s-b'), record('s-a')];
  const event = { Records: items.map((item) => change('INSERT', item)) };
  expect(await deliver(event)).toEqual({ batchItemFailures: [] });
  expect(await deliver(event)).toEqual({ batchItemFailures: [] });
  expect(idsOf('s-a')).toEqual([items[0]?.id, items[2]?.id]);
  expect(idsOf('s-b')).toEqual([items[1]?.id]);
});

test('a site that fails is named from its first record on, the others are done', async () => {
  const items = [record('s-c'), record('s-d'), record('s-c'), record('s-d')];
  const event = { Records: items.map((item) => change('INSERT', item)) };
  broken.add('s-d');
  expect(await deliver(event)).toEqual({
    batchItemFailures: [{ itemIdentifier: event.Records[1]?.dynamodb?.SequenceNumber }],
  });
  expect(idsOf('s-c')).toHaveLength(2);
  expect(idsOf('s-d')).toEqual([]);
  broken.clear();
  // Lambda goes on with the record that was named.
  expect(await deliver({ Records: event.Records.slice(1) })).toEqual({ batchItemFailures: [] });
  expect(idsOf('s-c')).toHaveLength(2);
  expect(idsOf('s-d')).toEqual([items[1]?.id, items[3]?.id]);
});

test('a record that was altered or removed in its table is evidence, and counted for the alarm', async () => {
  const item = record('s-e');
  await deliver({ Records: [change('INSERT', item)] });
  await deliver({
    Records: [change('MODIFY', { ...item, actor: 'user:eve' }, item), change('REMOVE', { ...item, actor: 'user:eve' })],
  });
  const lines = [...objects].filter(([key]) => key.includes('/s-e/')).flatMap(([, text]) => text.trim().split('\n'));
  expect(lines.map((line) => (JSON.parse(line) as { record: { action: string } }).record.action)).toEqual([
    'UpdateSite',
    'ChangeAuditRecord',
    'RemoveAuditRecord',
  ]);
  expect(printed.filter((line) => line.includes('"AuditTampered":1'))).toHaveLength(2);
});

test('an operator catches up on what the streams no longer hold, in several calls', async () => {
  const archived = record('s-f');
  const lost = [record('s-f'), record('s-g')];
  const long = record('s-f', new Date(Date.now() - 60 * 86_400_000));
  for (const item of [archived, ...lost, long]) await keepRecord(tables.directory, item);
  await deliver({ Records: [change('INSERT', archived)] });
  const since = new Date(Date.now() - 86_400_000).toISOString();

  expect(await deliver({ catchUp: { since } }, 1_000)).toEqual({ records: 0, next: { table: 'devices' } });
  expect(await deliver({ catchUp: { since, next: { table: 'devices' } } })).toEqual({ records: 3 });
  expect(await deliver({ catchUp: { since } })).toEqual({ records: 3 });
  expect(idsOf('s-f')).toEqual([archived.id, lost[0]?.id]);
  expect(idsOf('s-g')).toEqual([lost[1]?.id]);
  await expect(deliver({ catchUp: { since: '2020-01-01T00:00:00Z' } })).rejects.toThrow('since must not be before');
  await expect(deliver({ catchUp: { until: since } })).rejects.toThrow('since');
});

test('what was archived is sound', () => {
  const files = { keys: [...objects.keys()], read: (key: string) => objects.get(key) ?? '' };
  expect(verifyArchive(files).problems).toEqual([]);
});
