import { hash } from 'node:crypto';
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import type { Table } from '../../aws/dynamodb.ts';
import { isConditionFailed } from '../../aws/errors.ts';
import { retryContention } from '../../aws/retry.ts';
import type { WritePart } from '../../devices/store.ts';
import { fencePartition } from '../keys.ts';
import type { SparesPlace } from './spares-store.ts';

/**
 * In so many parts the units of a rollout are fenced off. All that are let in write on condition of an item, and two that
 * do so at the same moment are in each other's way; with one item for each unit a pause would write thousands.
 */
const parts = 32;

/** Each device that is being let in is in the way of a part for some milliseconds, and the answer "paused" waits for all parts: about 4 seconds. */
const raiseTries = 24;

const keyOf = (rolloutId: string, part: number) => ({ pk: fencePartition(rolloutId, part), sk: 'FENCE' });

/** The units of a part wait for each other's spares rarely, and never for those of another part. */
const partOf = ({ siteId, unitId }: Pick<SparesPlace, 'siteId' | 'unitId'>): number =>
  Number.parseInt(hash('sha256', `${siteId}#${unitId}`, 'hex').slice(0, 8), 16) % parts;

/**
 * Fences off whoever is being let in at this moment by what the rollout was before: none of them is any more once this
 * has returned. Whoever reads the rollout from now on is told by it. 32 requests at once, 1 write unit each.
 *
 * @param version of the rollout that takes a permission back
 */
export async function raiseFence(directory: Table, rolloutId: string, version: number): Promise<void> {
  const raise = async (part: number) => {
    try {
      await retryContention(
        () =>
          directory.client.send(
            new PutCommand({
              TableName: directory.name,
              Item: { ...keyOf(rolloutId, part), version },
              ConditionExpression: 'attribute_not_exists(pk) OR version < :version',
              ExpressionAttributeValues: { ':version': version },
            }),
          ),
        raiseTries,
      );
    } catch (error) {
      // A later change has raised it already.
      if (!isConditionFailed(error)) throw error;
    }
  };
  await Promise.all(Array.from({ length: parts }, (_, part) => raise(part)));
}

/**
 * The condition of letting in a device: nobody has taken a permission back since the rollout was read.
 *
 * @param version of the rollout that it was decided on
 */
export const withinFencePart = (
  directory: Table,
  rolloutId: string,
  place: Pick<SparesPlace, 'siteId' | 'unitId'>,
  version: number,
): WritePart => ({
  ConditionCheck: {
    TableName: directory.name,
    Key: keyOf(rolloutId, partOf(place)),
    ConditionExpression: 'attribute_not_exists(pk) OR version <= :version',
    ExpressionAttributeValues: { ':version': version },
  },
});
