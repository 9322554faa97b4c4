import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { jest } from '@jest/globals';
import type { Context, SQSEvent } from 'aws-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import { auditRecord } from '../../../shared/audit/record.ts';
import { rolloutPartition } from '../../../shared/rollouts/keys.ts';
import { planningOf } from '../../../shared/rollouts/manage.ts';
import { createRollout, getRollout, listSiteSummaries, saveRollout } from '../../../shared/rollouts/rollout-store.ts';
import { enrol, infusionPump } from '../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../support/devices-table.ts';
import { rolloutBegin, rolloutDefinition, storedRollout } from '../../support/rollouts.ts';

const s3 = mockClient(S3Client);
let tables: DevicesTable;
let handler: typeof import('../../../functions/plan-rollout/handler.ts').handler;

beforeAll(async () => {
  tables = await startDevicesTable();
  const endpoint = await tables.table.client.config.endpoint?.();
  Object.assign(process.env, {
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_ENDPOINT_URL: `http://${endpoint?.hostname}:${endpoint?.port}`,
    DEVICES_TABLE: tables.table.name,
    DIRECTORY_TABLE: tables.directory.name,
    ROLLOUTS_BUCKET: 'rollouts',
    POWERTOOLS_SERVICE_NAME: 'plan-rollout',
    POWERTOOLS_DEV: 'true',
  });
  ({ handler } = await import('../../../functions/plan-rollout/handler.ts'));
});
afterAll(() => tables[Symbol.asyncDispose]());
beforeEach(() => {
  s3.reset();
  for (const method of ['info', 'error'] as const) jest.spyOn(console, method).mockImplementation(() => undefined);
});
afterEach(() => jest.restoreAllMocks());

const context = { getRemainingTimeInMillis: () => 900_000 } as Context;

/** Hands these orders over, as often as the queue has already. */
const deliver = (receiveCount: number, ...orders: readonly unknown[]) =>
  handler(
    {
      Records: orders.map((order, index) => ({
        messageId: `m-${index}`,
        body: JSON.stringify(order),
        attributes: { ApproximateReceiveCount: String(receiveCount) },
      })),
    } as SQSEvent,
    context,
  );

/** A rollout of which a plan is asked for. */
async function planning(id: string, selection = rolloutDefinition().selection) {
  const draft = storedRollout(id, rolloutDefinition({ selection }));
  const entry = { actor: 'user:ada', action: 'CreateRollout', resource: `rollout/${id}`, outcome: 'allowed' } as const;
  await createRollout(tables.directory, draft, auditRecord(rolloutPartition(id), entry, new Date(rolloutBegin)));
  const asked = planningOf(draft);
  await saveRollout(tables.directory, draft, asked, []);
  return { rolloutId: id, version: asked.version };
}
const planOf = async (id: string) => (await getRollout(tables.directory, id))?.plan;

test('each order of a batch by itself: one that fails comes back alone', async () => {
  await enrol(tables.table, infusionPump('PLAN-1'));
  s3.on(PutObjectCommand).resolves({});
  const order = await planning('ro-1');
  expect(await deliver(1, { rolloutId: 'ro-1' }, order, { rolloutId: 'ro-gone', version: 1 })).toEqual({
    batchItemFailures: [{ itemIdentifier: 'm-0' }],
  });
  // The pump stands nowhere.
  expect(await planOf('ro-1')).toMatchObject({ state: 'failed', problem: expect.stringContaining('1 not-placed') });
  const [call] = s3.commandCalls(PutObjectCommand);
  expect(call?.args[0].input).toMatchObject({ Bucket: 'rollouts', ContentType: 'application/json' });
  expect(call?.args[0].input.Key).toMatch(/^plans\/ro-1\/[0-9a-f]{64}\/-\.json$/);
});

test('an order that fails for no reason of its own is tried three times, then nobody waits for it any more', async () => {
  s3.on(PutObjectCommand).rejects(new Error('The bucket is away.'));
  const order = await planning('ro-2');
  for (const receiveCount of [1, 2]) {
    expect(await deliver(receiveCount, order)).toEqual({ batchItemFailures: [{ itemIdentifier: 'm-0' }] });
    expect(await planOf('ro-2')).toMatchObject({ state: 'planning' });
  }
  expect(await deliver(3, order)).toEqual({ batchItemFailures: [] });
  expect(await planOf('ro-2')).toMatchObject({ state: 'failed', problem: expect.stringContaining('again later') });
  expect(await listSiteSummaries(tables.directory, 'ro-2')).toEqual([]);
});
