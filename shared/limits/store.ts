import { GetCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import * as v from 'valibot';
import { batchGet } from '../aws/batch-get.ts';
import type { Table } from '../aws/dynamodb.ts';
import type { Item } from '../aws/errors.ts';
import { type Use, type Window, windowMilliseconds, withUse } from '../commands/gates/limiter.ts';
import { type Device, Lifecycle } from '../devices/device.ts';
import { bySite, sitePartition } from '../devices/keys.ts';
import type { WritePart } from '../devices/store.ts';
import { defaultLimits, enoughDevices, type LimitedType, Limits, limitOf, placeNames } from './limits.ts';

/** The item that holds the limits; without it the defaults hold. */
const settingsKey = { pk: 'SETTINGS', sk: 'LIMITS' } as const;

/** The limits and the version of their item; 0 while the defaults hold. */
export interface StoredLimits {
  readonly limits: Limits;
  readonly version: number;
  readonly changedBy?: readonly string[];
  readonly changedAt?: string;
}

/** Reads the limits consistently: 1 read unit. Limits that cannot be read as such stop everything that is limited. */
export async function getLimits(directory: Table): Promise<StoredLimits> {
  const { Item } = await directory.client.send(
    new GetCommand({ TableName: directory.name, Key: settingsKey, ConsistentRead: true }),
  );
  if (Item === undefined) return { limits: defaultLimits, version: 0 };
  return {
    limits: v.parse(Limits, Item['limits']),
    version: Number(Item['version']),
    changedBy: v.parse(v.array(v.string()), Item['changedBy']),
    changedAt: String(Item['changedAt']),
  };
}

/** The write that sets the limits, if they are still the ones that were seen when the change was asked for. */
export function limitsPart(
  directory: Table,
  limits: Limits,
  seenVersion: number,
  changedBy: readonly string[],
  now: Date,
): WritePart {
  return {
    Put: {
      TableName: directory.name,
      Item: { ...settingsKey, limits, version: seenVersion + 1, changedBy, changedAt: now.toISOString() },
      ...(seenVersion === 0
        ? { ConditionExpression: 'attribute_not_exists(pk)' }
        : { ConditionExpression: 'version = :seen', ExpressionAttributeValues: { ':seen': seenVersion } }),
    },
  };
}

/** A window before it is read. */
type Wanted = Pick<Window, 'key' | 'place' | 'limit' | 'enrolled'>;

/**
 * The windows that touching this device with this type of command falls into: network, site, unit. Requests: one or two
 * counts of the index that end as soon as the limit is known, and one consistent read of the windows.
 */
export async function readTypeWindows(
  devices: Table,
  directory: Table,
  limits: Limits,
  type: LimitedType,
  device: Pick<Device, 'siteId' | 'unitId'>,
): Promise<readonly Window[]> {
  const { network, site, unit } = limits[type];
  const { siteId, unitId } = device;
  const [atSite, inUnit] = await Promise.all([
    countEnrolled(devices, enoughDevices(site), siteId),
    unitId === undefined ? undefined : countEnrolled(devices, enoughDevices(unit), siteId, unitId),
  ]);
  return readWindows(directory, [
    { key: `${type}#NETWORK`, place: placeNames.network, limit: network.count },
    {
      key: `${type}#SITE#${siteId ?? '-'}`,
      place: placeNames.site(siteId),
      limit: limitOf(site, atSite.counted),
      enrolled: atSite,
    },
    ...(unitId === undefined || inUnit === undefined
      ? []
      : [
          {
            key: `${type}#UNIT#${siteId}#${unitId}`,
            place: placeNames.unit(unitId),
            limit: limitOf(unit, inUnit.counted),
            enrolled: inUnit,
          },
        ]),
  ]);
}

/** The windows of break-glass: the person's and the network's. */
export function readBreakGlassWindows(
  directory: Table,
  { breakGlass }: Limits,
  person: string,
): Promise<readonly Window[]> {
  return readWindows(directory, [
    { key: `break-glass#PERSON#${person}`, place: person, limit: breakGlass.person },
    { key: 'break-glass#NETWORK', place: placeNames.network, limit: breakGlass.network },
  ]);
}

async function readWindows(directory: Table, wanted: readonly Wanted[]): Promise<readonly Window[]> {
  const items = await batchGet(
    directory,
    wanted.map(({ key }) => keyOf(key)),
    { consistent: true },
  );
  const found = new Map(items.map((item) => [item['pk'], item]));
  return wanted.map((window) => {
    const item = found.get(keyOf(window.key).pk);
    // Only this file writes windows, so their form is known.
    return { ...window, uses: (item?.['uses'] ?? []) as Use[], version: Number(item?.['version'] ?? 0) };
  });
}

const keyOf = (key: string) => ({ pk: `LIMIT#${key}`, sk: 'WINDOW' });

/** The writes that count a use, if the windows are still the ones that the limiter decided on. */
export function windowParts(directory: Table, windows: readonly Window[], use: Use): WritePart[] {
  return windows.map((window) => ({
    Put: {
      TableName: directory.name,
      Item: {
        ...keyOf(window.key),
        uses: withUse(window, use).uses,
        version: window.version + 1,
        ttl: Math.ceil((use.at + 2 * windowMilliseconds) / 1_000),
      },
      ...(window.version === 0
        ? { ConditionExpression: 'attribute_not_exists(pk)' }
        : { ConditionExpression: 'version = :seen', ExpressionAttributeValues: { ':seen': window.version } }),
    },
  }));
}

/** How many enrolled devices are placed there, counted up to `enough`. The index may lag by a moment. */
async function countEnrolled(
  devices: Table,
  enough: number,
  siteId: string | undefined,
  unitId?: string,
): Promise<NonNullable<Window['enrolled']>> {
  let counted = 0;
  let from: Item | undefined;
  while (counted < enough) {
    const answer = await devices.client.send(
      new QueryCommand({
        TableName: devices.name,
        IndexName: bySite,
        Select: 'COUNT',
        KeyConditionExpression:
          unitId === undefined ? 'gsi1pk = :site' : 'gsi1pk = :site AND begins_with(gsi1sk, :unit)',
        FilterExpression: 'lifecycle = :enrolled',
        ExpressionAttributeValues: {
          ':site': sitePartition(siteId),
          ':enrolled': Lifecycle.Enrolled,
          ...(unitId === undefined ? {} : { ':unit': `${unitId}#` }),
        },
        ...(from === undefined ? {} : { ExclusiveStartKey: from }),
      }),
    );
    counted += answer.Count ?? 0;
    from = answer.LastEvaluatedKey;
    if (from === undefined) return { counted, all: true };
  }
  return { counted, all: false };
}
