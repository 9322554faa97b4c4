import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import type { Table } from '../../aws/dynamodb.ts';
import { rolloutPartition } from '../keys.ts';
import type { Comparison } from './control.ts';

/** The last comparison of a wave's updated devices with devices that are not updated yet. */
export interface ControlSample {
  /** RFC 3339. */
  readonly at: string;
  readonly comparisons: readonly Comparison[];
}

const keyOf = (rolloutId: string, wave: number) => ({
  pk: rolloutPartition(rolloutId),
  sk: `CONTROL#${String(wave).padStart(2, '0')}`,
});

/** Keeps a comparison in the place of the one before. */
export async function putControl(
  directory: Table,
  rolloutId: string,
  wave: number,
  sample: ControlSample,
): Promise<void> {
  await directory.client.send(
    new PutCommand({ TableName: directory.name, Item: { ...keyOf(rolloutId, wave), ...sample } }),
  );
}

/** The last comparison of a wave; undefined when none was made. Consistent: 1 read unit for each 4 KB. */
export async function getControl(
  directory: Table,
  rolloutId: string,
  wave: number,
): Promise<ControlSample | undefined> {
  const { Item } = await directory.client.send(
    new GetCommand({ TableName: directory.name, Key: keyOf(rolloutId, wave), ConsistentRead: true }),
  );
  if (Item === undefined) return undefined;
  return { at: String(Item['at']), comparisons: Item['comparisons'] as Comparison[] };
}
