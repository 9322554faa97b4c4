import { GetCommand, QueryCommand, type QueryCommandOutput, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { Table } from '../../aws/dynamodb.ts';
import { type Item, isConditionFailed } from '../../aws/errors.ts';
import { type DeviceClass, type DeviceId, Lifecycle } from '../../devices/device.ts';
import { bySite, sitePartition } from '../../devices/keys.ts';
import type { WritePart } from '../../devices/store.ts';

/** A care unit. */
interface UnitPlace {
  readonly siteId: string;
  readonly unitId: string;
}

/** What spares are counted by. */
export interface SparesPlace extends UnitPlace {
  readonly class: DeviceClass;
}

/** A device that is taken out of service. */
export interface Away {
  /** `rollout <id>` or `command <id>`. */
  readonly by: string;
  /** RFC 3339. */
  readonly since: string;
  /** A single command takes a device away for so long at most (RFC 3339); one of a rollout is away until it is seen to work. */
  readonly until?: string;
}

const sparesPartition = (siteId: string, unitId: string): string => `SPARES#${siteId}#${unitId}`;

const keyOf = ({ siteId, unitId, class: deviceClass }: SparesPlace) => ({
  pk: sparesPartition(siteId, unitId),
  sk: deviceClass,
});

/**
 * The write that takes a device out of service (rule R8). Its condition counts the devices that are away in this very
 * moment, so that of two takers of the last spare one fails (I2). A device that is away already takes no other spare.
 *
 * @param budget how many of the class the unit can spare at once (`unitBudget`)
 */
export function takeSparePart(
  directory: Table,
  place: SparesPlace,
  deviceId: DeviceId,
  by: string,
  budget: number,
  now: Date,
  until?: Date,
): WritePart {
  const away: Away = {
    by,
    since: now.toISOString(),
    ...(until === undefined ? {} : { until: until.toISOString() }),
  };
  const conditions = ['contains(away, :id)'];
  if (budget > 0) conditions.push('attribute_not_exists(away)', 'size(away) < :budget');
  return {
    Update: {
      TableName: directory.name,
      Key: keyOf(place),
      // The ids are a set, which is made by its first member; who took each is beside it under the device's id.
      UpdateExpression: 'ADD away :device SET #device = :away',
      ConditionExpression: conditions.join(' OR '),
      ExpressionAttributeNames: { '#device': deviceId },
      ExpressionAttributeValues: {
        ':device': new Set([deviceId]),
        ':id': deviceId,
        ':away': away,
        ...(budget > 0 ? { ':budget': budget } : {}),
      },
    },
  };
}

/** The write that says that a device is back in service. One that was not away changes nothing. */
export const releaseSparePart = (directory: Table, place: SparesPlace, deviceId: DeviceId): WritePart => ({
  Update: {
    TableName: directory.name,
    Key: keyOf(place),
    UpdateExpression: 'DELETE away :device REMOVE #device',
    ExpressionAttributeNames: { '#device': deviceId },
    ExpressionAttributeValues: { ':device': new Set([deviceId]) },
  },
});

/** The same, on condition that nobody else took the device away since. */
export function releaseOwnSparePart(directory: Table, place: SparesPlace, deviceId: DeviceId, by: string): WritePart {
  return {
    Update: {
      TableName: directory.name,
      Key: keyOf(place),
      UpdateExpression: 'DELETE away :device REMOVE #device',
      ConditionExpression: 'attribute_not_exists(#device) OR #device.#by = :by',
      ExpressionAttributeNames: { '#device': deviceId, '#by': 'by' },
      ExpressionAttributeValues: { ':device': new Set([deviceId]), ':by': by },
    },
  };
}

/** Ends what a single command took; what somebody else took of the same device since stays. Doing it twice is harmless. */
export async function endLease(directory: Table, place: SparesPlace, deviceId: DeviceId, by: string): Promise<void> {
  try {
    await directory.client.send(
      new UpdateCommand({
        TableName: directory.name,
        Key: keyOf(place),
        UpdateExpression: 'DELETE away :device REMOVE #device',
        ConditionExpression: '#device.#by = :by',
        ExpressionAttributeNames: { '#device': deviceId, '#by': 'by' },
        ExpressionAttributeValues: { ':device': new Set([deviceId]), ':by': by },
      }),
    );
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
  }
}

/** The devices of a unit's class that are out of service now, whoever took them. Consistent: 1 read unit. */
export async function readAway(
  directory: Table,
  place: SparesPlace,
  now: Date,
): Promise<Readonly<Record<DeviceId, Away>>> {
  return stillAway(await readTaken(directory, place), now);
}

/**
 * The same, for whoever is about to take a spare: leases that are over are taken out of the item first, since the
 * condition of the taking counts what is in it.
 */
export async function settleAway(
  directory: Table,
  place: SparesPlace,
  now: Date,
): Promise<Readonly<Record<DeviceId, Away>>> {
  const taken = Object.entries(await readTaken(directory, place));
  const over = taken.filter(([, away]) => isOver(away, now));
  await Promise.all(over.map(([deviceId, { by }]) => endLease(directory, place, deviceId, by)));
  return stillAway(Object.fromEntries(taken), now);
}

const isOver = ({ until }: Away, now: Date): boolean => until !== undefined && Date.parse(until) <= now.getTime();

async function readTaken(directory: Table, place: SparesPlace): Promise<Readonly<Record<DeviceId, Away>>> {
  const { Item } = await directory.client.send(
    new GetCommand({ TableName: directory.name, Key: keyOf(place), ConsistentRead: true }),
  );
  return takenIn(Item ?? {});
}

/** Only this file makes such items, so their form is known. */
function takenIn(item: Item): Readonly<Record<DeviceId, Away>> {
  const { pk: _pk, sk: _sk, away: _away, ...taken } = item;
  return taken as Readonly<Record<DeviceId, Away>>;
}

const stillAway = (taken: Readonly<Record<DeviceId, Away>>, now: Date): Readonly<Record<DeviceId, Away>> =>
  Object.fromEntries(Object.entries(taken).filter(([, away]) => !isOver(away, now)));

/**
 * The devices of a unit that are out of service now, by class; classes of which none ever was may be missing.
 * Consistent: 1 read unit for each 4 KB.
 */
export async function listAway(
  directory: Table,
  { siteId, unitId }: UnitPlace,
  now: Date,
): Promise<ReadonlyMap<DeviceClass, Readonly<Record<DeviceId, Away>>>> {
  // At most one item for each class: far less than a page.
  const { Items = [] } = await directory.client.send(
    new QueryCommand({
      TableName: directory.name,
      KeyConditionExpression: 'pk = :unit',
      ExpressionAttributeValues: { ':unit': sparesPartition(siteId, unitId) },
      ConsistentRead: true,
    }),
  );
  return new Map(Items.map((item) => [item['sk'] as DeviceClass, stillAway(takenIn(item), now)]));
}

/** How many devices of the class are enrolled in the unit, from the index of devices, which may lag by a moment. */
export async function countOfClass(devices: Table, place: SparesPlace): Promise<number> {
  let count = 0;
  for await (const answer of enrolledIn(devices, place, place.class)) count += answer.Count ?? 0;
  return count;
}

/** The same for all classes of which the unit has a device. */
export async function countByClass(devices: Table, place: UnitPlace): Promise<ReadonlyMap<DeviceClass, number>> {
  const counts = new Map<DeviceClass, number>();
  for await (const { Items = [] } of enrolledIn(devices, place)) {
    for (const item of Items) {
      const deviceClass = item['class'] as DeviceClass;
      counts.set(deviceClass, (counts.get(deviceClass) ?? 0) + 1);
    }
  }
  return counts;
}

/** Pages of the enrolled devices of a unit: of one class only their number, of all classes the class of each. */
async function* enrolledIn(
  devices: Table,
  { siteId, unitId }: UnitPlace,
  only?: DeviceClass,
): AsyncGenerator<QueryCommandOutput> {
  let from: Item | undefined;
  do {
    const answer = await devices.client.send(
      new QueryCommand({
        TableName: devices.name,
        IndexName: bySite,
        KeyConditionExpression: 'gsi1pk = :site AND begins_with(gsi1sk, :unit)',
        FilterExpression: `${only === undefined ? '' : '#class = :class AND '}#lifecycle = :enrolled`,
        ExpressionAttributeNames: { '#class': 'class', '#lifecycle': 'lifecycle' },
        ExpressionAttributeValues: {
          ':site': sitePartition(siteId),
          ':unit': `${unitId}#`,
          ':enrolled': Lifecycle.Enrolled,
          ...(only === undefined ? {} : { ':class': only }),
        },
        ...(only === undefined ? { ProjectionExpression: '#class' } : { Select: 'COUNT' }),
        ...(from === undefined ? {} : { ExclusiveStartKey: from }),
      }),
    );
    yield answer;
    from = answer.LastEvaluatedKey;
  } while (from !== undefined);
}
