import { BatchGetCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import { deviceIdOf } from '../shared/devices/device.ts';
import { devicePartition, sitePartition, sortKeys } from '../shared/devices/keys.ts';
import { call, callerWith } from '../test/support/api.ts';
import { queries, sites, startDeviceList } from '../test/support/device-list.ts';
import startDatabase from '../test/support/start-database.ts';
import stopDatabase from '../test/support/stop-database.ts';

/**
 * `npm run bench:list`: how long a page of 50 out of 10,000 devices takes, for each filter, beside the least that could
 * answer it: one query of the index and one read of 50 heads.
 */
await startDatabase();
await using _database = { [Symbol.asyncDispose]: stopDatabase };
await using list = await startDeviceList();
const caller = callerWith('auditor', { sites });

const percentile = (durations: readonly number[], share: number): number =>
  [...durations].sort((a, b) => a - b)[Math.floor((durations.length - 1) * share)] ?? Number.NaN;

async function timed(run: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await run();
  return performance.now() - begun;
}

async function least(round: number): Promise<void> {
  await list.devices.client.send(
    new QueryCommand({
      TableName: list.devices.name,
      IndexName: 'bySite',
      KeyConditionExpression: 'gsi1pk = :site',
      ExpressionAttributeValues: { ':site': sitePartition(sites[round % sites.length]) },
      Limit: 50,
    }),
  );
  const Keys = Array.from({ length: 50 }, (_, number) => ({
    pk: devicePartition(deviceIdOf(`LIST-${(round * 50 + number) % 10_000}`)),
    sk: sortKeys.head,
  }));
  await list.devices.client.send(new BatchGetCommand({ RequestItems: { [list.devices.name]: { Keys } } }));
}

console.log('filter               pages   p50 ms   p95 ms   p95 / p95 of the least');
for (const [name, query] of queries) {
  const pages: number[] = [];
  const bare: number[] = [];
  let cursor: string | undefined;
  do {
    const asked = { ...query, limit: '50', ...(cursor === undefined ? {} : { cursor }) };
    const page = { next: undefined as string | undefined };
    pages.push(
      await timed(async () => {
        const { body } = await call(list.handler, 'listDevices', { caller, query: asked });
        page.next = body['next'] as string | undefined;
      }),
    );
    bare.push(await timed(() => least(pages.length)));
    cursor = page.next;
  } while (cursor !== undefined);
  const columns = [percentile(pages, 0.5), percentile(pages, 0.95)].map((value) => value.toFixed(1).padStart(8));
  const ratio = (percentile(pages, 0.95) / percentile(bare, 0.95)).toFixed(2);
  console.log(`${name.padEnd(20)} ${String(pages.length).padStart(5)} ${columns.join(' ')}   ${ratio}`);
}
