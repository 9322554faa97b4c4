import { QueryCommand } from '@aws-sdk/lib-dynamodb';
import type { AuditItem } from '../audit/record.ts';
import type { Table } from '../aws/dynamodb.ts';
import { cancellationsOf, type Item } from '../aws/errors.ts';
import { retryContention } from '../aws/retry.ts';
import { auditPart, transact, type WritePart } from '../devices/store.ts';
import { type Brake, type BrakePlace, BrakeScope } from './brake.ts';

/** Partition of the Directory table that holds the brakes that are pulled: one query reads them all. */
const brakePartition = 'BRAKE';

const sortKeyOf = ({ scope, siteId, unitId }: BrakePlace): string =>
  scope === BrakeScope.Network ? 'NETWORK' : scope === BrakeScope.Site ? `SITE#${siteId}` : `UNIT#${siteId}#${unitId}`;

/** All brakes that are pulled, read consistently. One request as long as they are fewer than thousands. */
export async function listBrakes(directory: Table): Promise<Brake[]> {
  const brakes: Brake[] = [];
  let from: Item | undefined;
  do {
    const answer = await directory.client.send(
      new QueryCommand({
        TableName: directory.name,
        KeyConditionExpression: 'pk = :pk',
        ExpressionAttributeValues: { ':pk': brakePartition },
        ConsistentRead: true,
        ...(from === undefined ? {} : { ExclusiveStartKey: from }),
      }),
    );
    brakes.push(...(answer.Items ?? []).map(brakeOf));
    from = answer.LastEvaluatedKey;
  } while (from !== undefined);
  return brakes;
}

/** The brake of a place, if it is pulled. */
export async function getBrake(directory: Table, place: BrakePlace): Promise<Brake | undefined> {
  const wanted = sortKeyOf(place);
  return (await listBrakes(directory)).find((brake) => sortKeyOf(brake) === wanted);
}

/**
 * Stores a brake with its audit record and alert.
 *
 * @param seen the brake as it was read; undefined when there was none
 * @returns false, and nothing written, when it was changed since
 */
export function putBrake(
  directory: Table,
  brake: Brake,
  seen: Brake | undefined,
  audit: AuditItem,
  alert: WritePart,
): Promise<boolean> {
  return attempt(directory, [
    {
      Put: {
        TableName: directory.name,
        Item: { pk: brakePartition, sk: sortKeyOf(brake), ...brake },
        ...(seen === undefined ? { ConditionExpression: 'attribute_not_exists(pk)' } : versionIs(seen)),
      },
    },
    auditPart(directory, audit),
    alert,
  ]);
}

/** Releases a brake; false, and nothing written, when it was changed since. */
export function deleteBrake(directory: Table, seen: Brake, audit: AuditItem, alert: WritePart): Promise<boolean> {
  return attempt(directory, [
    {
      Delete: {
        TableName: directory.name,
        Key: { pk: brakePartition, sk: sortKeyOf(seen) },
        ...versionIs(seen),
      },
    },
    auditPart(directory, audit),
    alert,
  ]);
}

const versionIs = ({ version }: Brake) => ({
  ConditionExpression: 'version = :seen',
  ExpressionAttributeValues: { ':seen': version },
});

async function attempt(directory: Table, parts: readonly WritePart[]): Promise<boolean> {
  try {
    await retryContention(() => transact(directory, parts));
    return true;
  } catch (error) {
    if (cancellationsOf(error)?.some(({ code }) => code === 'ConditionalCheckFailed')) return false;
    throw error;
  }
}

/** Only this file makes such items, so their form is known. */
function brakeOf(item: Item): Brake {
  const { pk: _pk, sk: _sk, ...brake } = item;
  return brake as unknown as Brake;
}

/** Longest time that a function may decide on a state of the brake that it read before, milliseconds. */
export const brakeCacheMilliseconds = 500;

/** Says which brakes are pulled. */
export type ReadBrakes = () => Promise<readonly Brake[]>;

/**
 * Reads the brakes at most every half second, however many ask: a check-in that hands out something asks, and a fleet
 * that comes back after a power cut is thousands of those. An answer is never older than that, counted from before it
 * was asked for. A read that fails is not remembered, and fails whoever asked: unknown is not "released".
 *
 * @param clock milliseconds, monotonic
 */
export function brakeReader(directory: Table, clock: () => number = () => performance.now()): ReadBrakes {
  let latest: { readonly askedAt: number; readonly answer: Promise<readonly Brake[]> } | undefined;
  return () => {
    const now = clock();
    if (latest !== undefined && now - latest.askedAt < brakeCacheMilliseconds) return latest.answer;
    const reading = { askedAt: now, answer: listBrakes(directory) as Promise<readonly Brake[]> };
    latest = reading;
    reading.answer.catch(() => {
      if (latest === reading) latest = undefined;
    });
    return reading.answer;
  };
}
