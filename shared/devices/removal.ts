import type { AuditItem } from '../audit/record.ts';
import type { Table } from '../aws/dynamodb.ts';
import { cancellationsOf } from '../aws/errors.ts';
import { retryContention } from '../aws/retry.ts';
import { type Device, Lifecycle } from './device.ts';
import { devicePartition, sortKeys } from './keys.ts';
import { auditPart, transact } from './store.ts';

/**
 * Deletes the record of a device that never enrolled, with its audit record, which stays.
 *
 * @returns false, and nothing written, when the device was changed since, or is not expected any more
 */
export async function deleteExpected(table: Table, seen: Device, audit: AuditItem): Promise<boolean> {
  try {
    await retryContention(() =>
      transact(table, [
        {
          Delete: {
            TableName: table.name,
            Key: { pk: devicePartition(seen.id), sk: sortKeys.head },
            ConditionExpression: 'version = :seen AND lifecycle = :expected',
            ExpressionAttributeValues: { ':seen': seen.version, ':expected': Lifecycle.Expected },
          },
        },
        auditPart(table, audit),
      ]),
    );
    return true;
  } catch (error) {
    if (cancellationsOf(error)?.some(({ code }) => code === 'ConditionalCheckFailed')) return false;
    throw error;
  }
}
