import { DeleteCommand, PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import type { Table } from '../aws/dynamodb.ts';
import type { HandOnQueue } from './hand-on.ts';

/** A message that its queue did not take, kept until it does. */
export interface KeptForward {
  readonly queue: HandOnQueue;
  /** Of the stream's record that it tells of: the same record is kept once. */
  readonly sequenceNumber: string;
  readonly body: object;
}

/** Partition of the Devices table that holds them; no device has such a key. */
export const forwardPartition = 'FORWARD';

/** An outage that lasts longer than this, days, has consequences that no message can heal. */
const keptDays = 14;

/** Keeps a message. 1 write unit for each KB. */
export async function keepForward(devices: Table, kept: KeptForward, now: Date): Promise<void> {
  await devices.client.send(
    new PutCommand({
      TableName: devices.name,
      Item: { ...keyOf(kept), ...kept, ttl: Math.floor(now.getTime() / 1_000) + keptDays * 86_400 },
    }),
  );
}

/** Messages that are kept, the oldest of each queue first. One request. */
export async function listForwards(devices: Table, limit: number): Promise<KeptForward[]> {
  const { Items = [] } = await devices.client.send(
    new QueryCommand({
      TableName: devices.name,
      KeyConditionExpression: 'pk = :forward',
      ExpressionAttributeValues: { ':forward': forwardPartition },
      ConsistentRead: true,
      Limit: limit,
    }),
  );
  // Only this file makes such items, so their form is known.
  return Items.map(({ queue, sequenceNumber, body }) => ({ queue, sequenceNumber, body }) as KeptForward);
}

/** Forgets a message that its queue has. 1 write unit. */
export async function forgetForward(devices: Table, kept: KeptForward): Promise<void> {
  await devices.client.send(new DeleteCommand({ TableName: devices.name, Key: keyOf(kept) }));
}

/** Sequence numbers of a stream grow, but not in length alone: the longest has 40 digits. */
const keyOf = ({ queue, sequenceNumber }: KeptForward) => ({
  pk: forwardPartition,
  sk: `${queue}#${sequenceNumber.padStart(40, '0')}`,
});
