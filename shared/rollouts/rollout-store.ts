import { DeleteCommand, GetCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import type { AuditItem } from '../audit/record.ts';
import { batchGet } from '../aws/batch-get.ts';
import type { Table } from '../aws/dynamodb.ts';
import { cancellationsOf, type Item, isConditionFailed } from '../aws/errors.ts';
import { retryContention } from '../aws/retry.ts';
import { auditPart, transact, type WritePart } from '../devices/store.ts';
import { raiseFence } from './admission/fence-store.ts';
import { rolloutPartition, rolloutSortKeys, sitePrefix } from './keys.ts';
import { type PackedLoads, packLoads, type SiteSummary, unpackLoads } from './plan/site-summary.ts';
import { type Rollout, type RolloutState, takesBack } from './rollout.ts';

/** How far the planning of a rollout is. */
export interface PlanState {
  readonly state: 'planning' | 'done' | 'failed';
  /** Why it failed, for a person. */
  readonly problem?: string;
  /** Sites with devices that take part. */
  readonly sites: number;
  /** Devices that take part. */
  readonly devices: number;
  /** Devices that were selected and take no part. */
  readonly ineligible: number;
}

/** A rollout as it is stored. */
export interface StoredRollout extends Rollout {
  /** RFC 3339. */
  readonly createdAt: string;
  /** Missing until a plan is asked for. */
  readonly plan?: PlanState;
}

/** No item of ours is larger, bytes: each read and write of it would cost more than what it says is worth. */
export const largestItemBytes = 100_000;

/** What would be stored is larger than an item may be. */
export class ItemTooLarge extends Error {
  constructor(what: string, bytes: number) {
    super(`${what} has ${bytes} bytes, and may have ${largestItemBytes}.`);
    this.name = 'ItemTooLarge';
  }
}

/** States in which time or devices change a rollout by themselves. */
const active: ReadonlySet<RolloutState> = new Set<RolloutState>([
  'awaiting-approval',
  'scheduled',
  'running',
  'soaking',
  'paused',
  'aborting',
  'rolling-back',
]);

/** Partition that names the active rollouts, and those that ended a while ago: one query, however many there ever were. */
const activePartition = 'ROLLOUTS';
const activePrefix = 'ACTIVE#';
const endedPrefix = 'ENDED#';

/** Partition of the index `byKind` that lists the rollouts by time. */
const rolloutKind = 'ROLLOUT';

/** The rollout, or undefined. Consistent: 1 read unit for each 4 KB. */
export async function getRollout(directory: Table, id: string): Promise<StoredRollout | undefined> {
  const { Item } = await directory.client.send(
    new GetCommand({ TableName: directory.name, Key: keyOf(id), ConsistentRead: true }),
  );
  return Item === undefined ? undefined : rolloutOf(Item);
}

/**
 * Stores a new rollout with its audit record.
 *
 * @throws ItemTooLarge when its definition names too much
 */
export async function createRollout(directory: Table, rollout: StoredRollout, audit: AuditItem): Promise<void> {
  await retryContention(() =>
    transact(directory, [
      {
        Put: {
          TableName: directory.name,
          Item: itemOf(rollout),
          ConditionExpression: 'attribute_not_exists(pk)',
        },
      },
      auditPart(directory, audit),
    ]),
  );
}

/**
 * Writes a change of a rollout with its audit records, if it still is what the change was decided on. Where the change takes
 * a permission back, a pause for example, no device is let in by the one before once this has returned.
 *
 * @param after its version is one higher; when it was created is taken from `before`
 * @param parts of other items, in the same transaction
 * @returns false, and nothing written, when somebody was faster or the condition of a part failed
 * @throws ItemTooLarge when its definition names too much
 */
export async function saveRollout(
  directory: Table,
  before: StoredRollout,
  after: Rollout & { readonly plan?: PlanState },
  audit: readonly AuditItem[],
  parts: readonly WritePart[] = [],
): Promise<boolean> {
  const change: WritePart = {
    Put: {
      TableName: directory.name,
      Item: itemOf({ ...after, createdAt: before.createdAt }),
      ConditionExpression: 'version = :seen',
      ExpressionAttributeValues: { ':seen': before.version },
    },
  };
  const records = audit.map((item) => auditPart(directory, item));
  try {
    await retryContention(() =>
      transact(directory, [change, ...activeParts(directory, before, after), ...records, ...parts]),
    );
  } catch (error) {
    if (cancellationsOf(error)?.some(({ code }) => code === 'ConditionalCheckFailed')) return false;
    throw error;
  }
  if (takesBack(before, after)) await raiseFence(directory, after.id, after.version);
  return true;
}

function activeParts(directory: Table, before: Rollout, after: Rollout): WritePart[] {
  if (active.has(before.state) === active.has(after.state)) return [];
  const activeKey = { pk: activePartition, sk: activePrefix + after.id };
  const endedKey = { pk: activePartition, sk: endedPrefix + after.id };
  const [key, other] = active.has(after.state) ? [activeKey, endedKey] : [endedKey, activeKey];
  return [
    { Put: { TableName: directory.name, Item: { ...key, version: after.version } } },
    { Delete: { TableName: directory.name, Key: other } },
  ];
}

/** Rollouts, the newest first: one request of the index, which may lag by a moment. */
export async function listRollouts(
  directory: Table,
  limit: number,
  after?: string,
): Promise<{ readonly items: readonly StoredRollout[]; readonly after?: string }> {
  const answer = await directory.client.send(
    new QueryCommand({
      TableName: directory.name,
      IndexName: 'byKind',
      KeyConditionExpression: 'gsi1pk = :kind',
      ExpressionAttributeValues: { ':kind': rolloutKind },
      ScanIndexForward: false,
      Limit: limit,
      ...(after === undefined ? {} : { ExclusiveStartKey: positionKey(after) }),
    }),
  );
  const items = (answer.Items ?? []).map(rolloutOf);
  const last = answer.LastEvaluatedKey?.['gsi1sk'];
  return typeof last === 'string' ? { items, after: last } : { items };
}

const positionKey = (position: string): Item => ({
  gsi1pk: rolloutKind,
  gsi1sk: position,
  ...keyOf(position.slice(position.lastIndexOf('#') + 1)),
});

/**
 * Rollouts that time or devices may change: awaiting approval, scheduled, running, soaking, paused, aborting, rolling
 * back. Consistent: 1 read unit for their names, and those of the rollouts.
 */
export const listActiveRollouts = (directory: Table): Promise<StoredRollout[]> => listNamed(directory, activePrefix);

/**
 * Rollouts that came to an end and were not forgotten since: whoever ended one may have broken off before all that waited
 * for the end was told of it.
 */
export const listEndedRollouts = (directory: Table): Promise<StoredRollout[]> => listNamed(directory, endedPrefix);

/** Forgets the end of a rollout, unless it went on since. 1 write unit. */
export async function forgetEnded(directory: Table, { id, version }: Rollout): Promise<void> {
  try {
    await directory.client.send(
      new DeleteCommand({
        TableName: directory.name,
        Key: { pk: activePartition, sk: endedPrefix + id },
        ConditionExpression: 'version = :seen',
        ExpressionAttributeValues: { ':seen': version },
      }),
    );
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
  }
}

async function listNamed(directory: Table, prefix: string): Promise<StoredRollout[]> {
  const names = await everyItem(directory, activePartition, prefix);
  const ids = names.map((item) => String(item['sk']).slice(prefix.length));
  const rollouts = (await batchGet(directory, ids.map(keyOf), { consistent: true })).map(rolloutOf);
  return rollouts.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** DynamoDB takes 100 writes at once; one looks at the rollout. */
const summariesAtOnce = 30;

/**
 * Writes the summaries of a plan in the place of those of an earlier one, as long as the rollout is at this version: a
 * planner that is overtaken by an edit changes nothing that anybody looks at.
 *
 * @returns false when the rollout is not at this version any more
 * @throws ItemTooLarge when a site has more units and classes than an item can hold
 */
export async function putSiteSummaries(
  directory: Table,
  rolloutId: string,
  version: number,
  summaries: readonly SiteSummary[],
): Promise<boolean> {
  const items = summaries.map((summary) => summaryItem(rolloutId, summary));
  const kept = new Set(items.map(({ sk }) => sk));
  const old = (await everyItem(directory, rolloutPartition(rolloutId), sitePrefix, 'sk'))
    .map(({ sk }) => sk)
    .filter((sk) => !kept.has(sk));
  const parts: WritePart[] = [
    ...old.map((sk) => ({
      Delete: { TableName: directory.name, Key: { pk: rolloutPartition(rolloutId), sk } },
    })),
    ...items.map((Item) => ({ Put: { TableName: directory.name, Item } })),
  ];
  const stillAtVersion: WritePart = {
    ConditionCheck: {
      TableName: directory.name,
      Key: keyOf(rolloutId),
      ConditionExpression: 'version = :seen',
      ExpressionAttributeValues: { ':seen': version },
    },
  };
  for (let start = 0; start < parts.length; start += summariesAtOnce) {
    const together = parts.slice(start, start + summariesAtOnce);
    try {
      await retryContention(() => transact(directory, [stillAtVersion, ...together]));
    } catch (error) {
      if (cancellationsOf(error)?.[0]?.code === 'ConditionalCheckFailed') return false;
      throw error;
    }
  }
  return true;
}

/** What the plan comes to at a site; undefined when it has no selected device. Consistent. */
export async function getSiteSummary(
  directory: Table,
  rolloutId: string,
  siteId: string,
): Promise<SiteSummary | undefined> {
  const { Item } = await directory.client.send(
    new GetCommand({
      TableName: directory.name,
      Key: { pk: rolloutPartition(rolloutId), sk: rolloutSortKeys.site(siteId) },
      ConsistentRead: true,
    }),
  );
  return Item === undefined ? undefined : summaryFrom(Item);
}

/** What the plan comes to at all its sites. Consistent: 1 read unit for each 4 KB. */
export async function listSiteSummaries(directory: Table, rolloutId: string): Promise<SiteSummary[]> {
  return (await everyItem(directory, rolloutPartition(rolloutId), sitePrefix)).map(summaryFrom);
}

async function everyItem(directory: Table, partition: string, prefix: string, only?: string): Promise<Item[]> {
  const items: Item[] = [];
  let from: Item | undefined;
  do {
    const answer = await directory.client.send(
      new QueryCommand({
        TableName: directory.name,
        KeyConditionExpression: 'pk = :pk AND begins_with(sk, :prefix)',
        ExpressionAttributeValues: { ':pk': partition, ':prefix': prefix },
        ConsistentRead: true,
        ...(only === undefined ? {} : { ProjectionExpression: only }),
        ...(from === undefined ? {} : { ExclusiveStartKey: from }),
      }),
    );
    items.push(...(answer.Items ?? []));
    from = answer.LastEvaluatedKey;
  } while (from !== undefined);
  return items;
}

const keyOf = (id: string) => ({ pk: rolloutPartition(id), sk: rolloutSortKeys.rollout });

function itemOf(rollout: StoredRollout): Item {
  return measured(`The rollout ${rollout.id}`, {
    ...keyOf(rollout.id),
    gsi1pk: rolloutKind,
    gsi1sk: `${rollout.createdAt}#${rollout.id}`,
    ...rollout,
  });
}

/** Only this file makes such items, so their form is known. */
function rolloutOf(item: Item): StoredRollout {
  const { pk: _pk, sk: _sk, gsi1pk: _gsi1pk, gsi1sk: _gsi1sk, ...rollout } = item;
  return rollout as unknown as StoredRollout;
}

function summaryItem(rolloutId: string, { units, ...summary }: SiteSummary): Item {
  return measured(`The plan of site ${summary.siteId}`, {
    pk: rolloutPartition(rolloutId),
    sk: rolloutSortKeys.site(summary.siteId),
    ...summary,
    loads: packLoads(units),
  });
}

function summaryFrom(item: Item): SiteSummary {
  const { pk: _pk, sk: _sk, loads, ...summary } = item;
  return { ...(summary as unknown as Omit<SiteSummary, 'units'>), units: unpackLoads(loads as PackedLoads) };
}

/** The item, if it is not too large. JSON is never shorter than what DynamoDB counts of such an item. */
function measured(what: string, item: Item): Item {
  const bytes = Buffer.byteLength(JSON.stringify(item));
  if (bytes > largestItemBytes) throw new ItemTooLarge(what, bytes);
  return item;
}
