import { PutCommand } from '@aws-sdk/lib-dynamodb';
import type { Table } from '../aws/dynamodb.ts';
import { type Item, isConditionFailed } from '../aws/errors.ts';
import { type Alert, alertPart } from './alert.ts';

/** Stores an alert by itself, for what was refused and so changed nothing else. Once for each `onceKey`. */
export async function raise(
  directory: Table,
  alert: Omit<Alert, 'id' | 'at'>,
  now: Date,
  onceKey?: string,
): Promise<void> {
  try {
    await directory.client.send(new PutCommand(alertPart(directory, alert, now, onceKey).Put));
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
  }
}

/** The alert that an item holds: only `alertPart` makes such items, so their form is known. */
export function alertOf(item: Item): Alert {
  const { pk: _pk, sk: _sk, ttl: _ttl, ...alert } = item;
  return alert as unknown as Alert;
}
