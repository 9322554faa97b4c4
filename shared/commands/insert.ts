import type { AuditItem } from '../audit/record.ts';
import type { Table } from '../aws/dynamodb.ts';
import { cancellationsOf, type Item } from '../aws/errors.ts';
import { type Device, Lifecycle } from '../devices/device.ts';
import { devicePartition, sortKeys } from '../devices/keys.ts';
import { auditPart, transact, type WritePart } from '../devices/store.ts';
import type { StoredCommand } from './command.ts';
import { rememberPut, storable } from './store.ts';

/**
 * Stores a new command with its audit record, its idempotency key and what its gates need written, if the queue is still
 * as it was read: the device's `queueSeq` is the lock, so that of two equal requests at the same moment the second one
 * sees the first.
 *
 * Only the writer calls it: it lies in a file of its own so that a test can see that nobody else does.
 *
 * @param gates their conditions decide as well: a limit that was used up since is one
 * @returns false when the queue, or what a gate decided on, changed since, so that nothing was stored
 */
export async function insertCommand(
  table: Table,
  device: Device,
  command: StoredCommand,
  audit: readonly AuditItem[],
  gates: readonly WritePart[],
  remembered: { readonly keyHash: string; readonly request: string } | undefined,
  now: Date,
): Promise<boolean> {
  const parts: WritePart[] = [
    {
      Update: {
        TableName: table.name,
        Key: { pk: devicePartition(device.id), sk: sortKeys.head },
        UpdateExpression: 'SET queueSeq = :next',
        // The version too: what the gates decided holds for the class and the place that they saw.
        ConditionExpression: 'queueSeq = :seen AND version = :version AND lifecycle = :enrolled',
        ExpressionAttributeValues: {
          ':seen': device.queueSeq,
          ':version': device.version,
          ':next': command.seq,
          ':enrolled': Lifecycle.Enrolled,
        },
      },
    },
    { Put: { TableName: table.name, Item: openItem(command), ConditionExpression: 'attribute_not_exists(pk)' } },
    ...audit.map((item) => auditPart(table, item)),
    ...gates,
  ];
  if (remembered !== undefined) {
    const { keyHash, request } = remembered;
    parts.push({ Put: rememberPut(table, device.id, keyHash, { commandId: command.id, request }, now) });
  }
  try {
    await transact(table, parts);
    return true;
  } catch (error) {
    if (cancellationsOf(error)?.some((reason) => reason.code === 'ConditionalCheckFailed')) return false;
    throw error;
  }
}

/** The item of a new command. */
const openItem = (command: StoredCommand): Item => ({
  ...storable(command),
  pk: devicePartition(command.deviceId),
  sk: sortKeys.open(command.id),
});
