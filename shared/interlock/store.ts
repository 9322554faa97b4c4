import type { UpdateCommandInput } from '@aws-sdk/lib-dynamodb';
import type { AuditItem } from '../audit/record.ts';
import type { Table } from '../aws/dynamodb.ts';
import { cancellationsOf } from '../aws/errors.ts';
import { retryContention } from '../aws/retry.ts';
import type { Device } from '../devices/device.ts';
import { devicePartition, sortKeys } from '../devices/keys.ts';
import { auditPart, transact, type WritePart } from '../devices/store.ts';
import type { Signals } from './signals.ts';

/**
 * Writes what other systems say of a device, with the audit record if there is one, if nobody else wrote since `seen` was
 * read. It is no change of the device by a person: its version, and with it the ETag, stays.
 *
 * @returns false, and nothing written, when somebody was faster or the device is gone
 */
export async function saveSignals(
  table: Table,
  seen: Device,
  signals: Signals,
  audit: AuditItem | undefined,
): Promise<boolean> {
  const known = seen.signals === undefined ? 'attribute_not_exists(signals)' : 'signals = :seen';
  const Update = {
    TableName: table.name,
    Key: { pk: devicePartition(seen.id), sk: sortKeys.head },
    UpdateExpression: 'SET signals = :signals',
    ConditionExpression: `attribute_exists(pk) AND ${known}`,
    ExpressionAttributeValues: {
      ':signals': signals,
      ...(seen.signals === undefined ? {} : { ':seen': seen.signals }),
    },
  } satisfies UpdateCommandInput;
  const parts: WritePart[] = [{ Update }, ...(audit === undefined ? [] : [auditPart(table, audit)])];
  try {
    await retryContention(() => transact(table, parts));
    return true;
  } catch (error) {
    if (cancellationsOf(error)?.[0]?.code === 'ConditionalCheckFailed') return false;
    throw error;
  }
}
