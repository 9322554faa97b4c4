import { QueryCommand } from '@aws-sdk/lib-dynamodb';
import { batchGet } from '../../aws/batch-get.ts';
import type { Table } from '../../aws/dynamodb.ts';
import type { Item } from '../../aws/errors.ts';
import type { DeviceId } from '../../devices/device.ts';
import { bySite, devicePartition, sitePartition, sortKeys } from '../../devices/keys.ts';
import { deviceOf } from '../../devices/store.ts';
import { executionOf } from '../executions/execution-store.ts';
import { executionSortKey } from '../keys.ts';
import type { DeviceFacts, ListedDevice } from './candidates.ts';

/** Devices of which one request reads the facts: DynamoDB takes 100 keys. */
const devicesAtOnce = 33;

/**
 * The devices of a site by unit, page by page; undefined = those without a site. One request a page, 0.5 read units for
 * each 4 KB of entries.
 */
export async function* listFleet(
  devices: Table,
  siteId: string | undefined,
  pageSize: number,
): AsyncGenerator<readonly ListedDevice[]> {
  let from: Item | undefined;
  do {
    const answer = await devices.client.send(
      new QueryCommand({
        TableName: devices.name,
        IndexName: bySite,
        KeyConditionExpression: 'gsi1pk = :site',
        ExpressionAttributeValues: { ':site': sitePartition(siteId) },
        Limit: pageSize,
        ...(from === undefined ? {} : { ExclusiveStartKey: from }),
      }),
    );
    yield (answer.Items ?? []).map(deviceOf);
    from = answer.LastEvaluatedKey;
  } while (from !== undefined);
}

/**
 * What is stored of these devices: head, inventory, and execution of this kind of artifact. One request for 33 devices,
 * 0.5 read units for each 4 KB of each item. Devices that are not there any more are left out.
 */
export async function readFleet(
  devices: Table,
  ids: readonly DeviceId[],
  kind: string,
): Promise<Map<DeviceId, DeviceFacts>> {
  const chunks: (readonly DeviceId[])[] = [];
  for (let start = 0; start < ids.length; start += devicesAtOnce) chunks.push(ids.slice(start, start + devicesAtOnce));
  const facts = await Promise.all(chunks.map((chunk) => readFacts(devices, chunk, kind)));
  return new Map(facts.flat().map((of) => [of.device.id, of]));
}

async function readFacts(devices: Table, ids: readonly DeviceId[], kind: string): Promise<DeviceFacts[]> {
  const executionKey = executionSortKey(kind);
  const sks = [sortKeys.head, sortKeys.inventory, executionKey];
  const items = await batchGet(
    devices,
    ids.flatMap((id) => sks.map((sk) => ({ pk: devicePartition(id), sk }))),
  );
  const found = new Map(items.map((item) => [`${String(item['pk'])} ${String(item['sk'])}`, item]));
  return ids.flatMap((id) => {
    const [head, inventory, execution] = sks.map((sk) => found.get(`${devicePartition(id)} ${sk}`));
    if (head === undefined) return [];
    return [
      {
        device: deviceOf(head),
        ...(inventory === undefined ? {} : { inventory: reportOf(inventory) }),
        ...(execution === undefined ? {} : { execution: executionOf(execution) }),
      },
    ];
  });
}

const reportOf = (item: Item): Readonly<Record<string, unknown>> =>
  JSON.parse(String(item['report'])) as Readonly<Record<string, unknown>>;
