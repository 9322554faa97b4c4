import { PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import type { Table } from '../../aws/dynamodb.ts';
import type { WritePart } from '../../devices/store.ts';
import { rolloutPartition, rolloutSortKeys, watchPrefix } from '../keys.ts';
import type { Seen } from './watch.ts';

/** Where the watch over a promoted wave counts from, from now on. 1 write unit, once for dozens of devices. */
export async function putMark(directory: Table, rolloutId: string, wave: number, mark: Seen): Promise<void> {
  const { reported, silence } = mark;
  await directory.client.send(
    new PutCommand({ TableName: directory.name, Item: { ...keyOf(rolloutId, wave), reported, silence } }),
  );
}

/** Forgets a mark, so that the watch begins anew: a person answers for all that was seen until then. */
export const forgetMarkPart = (directory: Table, rolloutId: string, wave: number): WritePart => ({
  Delete: { TableName: directory.name, Key: keyOf(rolloutId, wave) },
});

const keyOf = (rolloutId: string, wave: number) => ({
  pk: rolloutPartition(rolloutId),
  sk: rolloutSortKeys.watch(wave),
});

/** The marks of a rollout by wave; none for a wave that nobody has looked at since it was promoted. Consistent: 1 read unit. */
export async function listMarks(directory: Table, rolloutId: string): Promise<ReadonlyMap<number, Seen>> {
  // At most one for each of 20 waves: far less than a page.
  const { Items = [] } = await directory.client.send(
    new QueryCommand({
      TableName: directory.name,
      KeyConditionExpression: 'pk = :rollout AND begins_with(sk, :prefix)',
      ExpressionAttributeValues: { ':rollout': rolloutPartition(rolloutId), ':prefix': watchPrefix },
      ConsistentRead: true,
    }),
  );
  return new Map(
    Items.map((item) => [
      Number(String(item['sk']).slice(watchPrefix.length)),
      { reported: item['reported'], silence: item['silence'] } as Seen,
    ]),
  );
}
