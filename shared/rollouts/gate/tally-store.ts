import { QueryCommand } from '@aws-sdk/lib-dynamodb';
import { batchGet } from '../../aws/batch-get.ts';
import type { Table } from '../../aws/dynamodb.ts';
import { cancellationsOf, type Item } from '../../aws/errors.ts';
import { retryContention } from '../../aws/retry.ts';
import { devicePartition } from '../../devices/keys.ts';
import { transact, type WritePart } from '../../devices/store.ts';
import type { Execution } from '../executions/execution.ts';
import type { StoredExecution } from '../executions/execution-store.ts';
import { countedSortKey, rolloutPartition, rolloutSortKeys, tallyPrefix } from '../keys.ts';
import { keptUntil } from '../retention.ts';
import { addDeltas, type Counted, countedOf, deltaOf, type TallyDelta, tallyFrom, type WaveTally } from './tally.ts';

/** Executions that one transaction counts; DynamoDB takes 100 writes, and one is the tally's. */
const executionsAtOnce = 90;

/** How often a part is decided anew when somebody else counted some of its executions meanwhile. */
const tries = 20;

/**
 * Counts executions into the tallies of their waves and sites, each state once, whatever comes twice, late or in
 * disorder: beside each device lies what is counted of it, and both are written in one transaction, with the version
 * that was counted as the condition. For a site's devices that come together: 1 read unit each, 2 write units each, and
 * 2 for each KB of the tally.
 *
 * @param images executions as the stream told them
 */
export async function countExecutions(
  devices: Table,
  directory: Table,
  images: readonly StoredExecution[],
  now: Date,
): Promise<void> {
  const tallies = new Map<string, StoredExecution[]>();
  for (const execution of newestOf(images, now)) {
    const { rolloutId, direction, wave, siteId } = execution;
    const key = `${rolloutId} ${direction} ${wave} ${siteId}`;
    const together = tallies.get(key);
    if (together === undefined) tallies.set(key, [execution]);
    else together.push(execution);
  }
  for (const together of tallies.values()) {
    for (let start = 0; start < together.length; start += executionsAtOnce) {
      await countTogether(devices, directory, together.slice(start, start + executionsAtOnce), now);
    }
  }
}

/** Of each execution the newest image. One that is older than the memory of what is counted was counted long ago. */
function newestOf(images: readonly StoredExecution[], now: Date): StoredExecution[] {
  const newest = new Map<string, StoredExecution>();
  for (const image of images) {
    if (keptUntil(Date.parse(image.since)) * 1_000 <= now.getTime()) continue;
    const key = markKey(image);
    if ((newest.get(key)?.version ?? 0) < image.version) newest.set(key, image);
  }
  return [...newest.values()];
}

const markKey = ({ deviceId, rolloutId, direction }: StoredExecution): string =>
  `${devicePartition(deviceId)} ${countedSortKey(rolloutId, direction)}`;

/** Executions of one wave, site and direction. */
async function countTogether(
  devices: Table,
  directory: Table,
  executions: readonly StoredExecution[],
  now: Date,
): Promise<void> {
  for (let tried = 1; ; tried += 1) {
    const marks = await readMarks(devices, executions);
    const fresh = executions.filter((execution) => (marks.get(markKey(execution))?.version ?? 0) < execution.version);
    const [first] = fresh;
    if (first === undefined) return;
    const delta = addDeltas(
      fresh.map((execution) => deltaOf(marks.get(markKey(execution)), countedOf(execution), execution)),
    );
    const parts = [
      ...fresh.map((execution) => markPart(devices, execution, marks.get(markKey(execution)), now)),
      ...tallyParts(directory, first, delta),
    ];
    try {
      await retryContention(() => transact(devices, parts));
      return;
    } catch (error) {
      const raced = cancellationsOf(error)?.some(({ code }) => code === 'ConditionalCheckFailed') === true;
      if (!raced || tried === tries) throw error;
    }
  }
}

async function readMarks(devices: Table, executions: readonly StoredExecution[]): Promise<Map<string, Counted>> {
  const keys = executions.map(({ deviceId, rolloutId, direction }) => ({
    pk: devicePartition(deviceId),
    sk: countedSortKey(rolloutId, direction),
  }));
  const items = await batchGet(devices, keys, { consistent: true });
  return new Map(items.map((item) => [`${String(item['pk'])} ${String(item['sk'])}`, countedItem(item)]));
}

function countedItem(item: Item): Counted {
  const { pk: _pk, sk: _sk, ttl: _ttl, ...counted } = item;
  return counted as unknown as Counted;
}

function markPart(devices: Table, execution: StoredExecution, seen: Counted | undefined, now: Date): WritePart {
  const { deviceId, rolloutId, direction } = execution;
  return {
    Put: {
      TableName: devices.name,
      Item: {
        pk: devicePartition(deviceId),
        sk: countedSortKey(rolloutId, direction),
        ...countedOf(execution),
        ttl: keptUntil(now.getTime()),
      },
      ...(seen === undefined
        ? { ConditionExpression: 'attribute_not_exists(pk)' }
        : { ConditionExpression: 'version = :seen', ExpressionAttributeValues: { ':seen': seen.version } }),
    },
  };
}

/** The counts are attributes of their own, so that two who count add to the same item without reading it. */
function tallyParts(directory: Table, execution: StoredExecution, delta: TallyDelta): WritePart[] {
  const { rolloutId, direction, wave, siteId } = execution;
  const changes = Object.entries(delta);
  if (changes.length === 0) return [];
  return [
    {
      Update: {
        TableName: directory.name,
        Key: { pk: rolloutPartition(rolloutId), sk: rolloutSortKeys.tally(direction, wave, siteId) },
        UpdateExpression: `ADD ${changes.map((_, index) => `#${index} :${index}`).join(', ')}`,
        ExpressionAttributeNames: Object.fromEntries(changes.map(([name], index) => [`#${index}`, name])),
        ExpressionAttributeValues: Object.fromEntries(changes.map(([, by], index) => [`:${index}`, by])),
      },
    },
  ];
}

/** All tallies of a rollout, of one direction or both. Consistent: 1 read unit for each 4 KB. */
export async function listTallies(
  directory: Table,
  rolloutId: string,
  direction?: Execution['direction'],
): Promise<WaveTally[]> {
  const tallies: WaveTally[] = [];
  let from: Item | undefined;
  do {
    const answer = await directory.client.send(
      new QueryCommand({
        TableName: directory.name,
        KeyConditionExpression: 'pk = :rollout AND begins_with(sk, :prefix)',
        ExpressionAttributeValues: {
          ':rollout': rolloutPartition(rolloutId),
          ':prefix': direction === undefined ? tallyPrefix : `${tallyPrefix}${direction}#`,
        },
        ConsistentRead: true,
        ...(from === undefined ? {} : { ExclusiveStartKey: from }),
      }),
    );
    tallies.push(...(answer.Items ?? []).map((item) => tallyOf(rolloutId, item)));
    from = answer.LastEvaluatedKey;
  } while (from !== undefined);
  return tallies;
}

function tallyOf(rolloutId: string, item: Item): WaveTally {
  const { pk: _pk, sk, ...counts } = item;
  const [, direction, wave, siteId = ''] = String(sk).split('#');
  return tallyFrom(
    { rolloutId, direction: direction === 'back' ? 'back' : 'forward', wave: Number(wave), siteId },
    counts as Readonly<Record<string, number>>,
  );
}
