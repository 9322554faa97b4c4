import { GetCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import { batchGet } from '../../aws/batch-get.ts';
import type { Table } from '../../aws/dynamodb.ts';
import { cancellationsOf, type Item } from '../../aws/errors.ts';
import { retryContention } from '../../aws/retry.ts';
import type { DeviceId } from '../../devices/device.ts';
import { devicePartition } from '../../devices/keys.ts';
import { transact, type WritePart } from '../../devices/store.ts';
import {
  byRollout,
  type ExecutionFilter,
  executedSortKey,
  executionIndexKey,
  executionIndexPrefix,
  executionSortKey,
  siteOfRollout,
} from '../keys.ts';
import { keptUntil } from '../retention.ts';
import { type Execution, isFinal } from './execution.ts';

/** An execution as it is stored. */
export interface StoredExecution extends Execution {
  /** Its place in the plan of its wave at its site, from 0: the order of admission. */
  readonly rank: number;
  /** `<hardware revision>/<unit type>`; with the site, the stratum. */
  readonly stratum: string;
  readonly artifact: { readonly name: string; readonly version: string };
  /** The command that carries its present step to the device. */
  readonly commandId?: string;
}

/** The device's current execution of this kind of artifact, unfinished or the last one. Consistent: 1 read unit. */
export async function getExecution(
  devices: Table,
  deviceId: DeviceId,
  kind: string,
): Promise<StoredExecution | undefined> {
  const { Item } = await devices.client.send(
    new GetCommand({
      TableName: devices.name,
      Key: { pk: devicePartition(deviceId), sk: executionSortKey(kind) },
      ConsistentRead: true,
    }),
  );
  return Item === undefined ? undefined : executionOf(Item);
}

/** An execution that ended before the present one of its kind began, or that never began. Consistent: 1 read unit. */
export async function getExecuted(
  devices: Table,
  deviceId: DeviceId,
  rolloutId: string,
  direction: Execution['direction'],
): Promise<StoredExecution | undefined> {
  const { Item } = await devices.client.send(
    new GetCommand({
      TableName: devices.name,
      Key: { pk: devicePartition(deviceId), sk: executedSortKey(rolloutId, direction) },
      ConsistentRead: true,
    }),
  );
  return Item === undefined ? undefined : executionOf(Item);
}

/**
 * The current executions of this kind of these devices, 100 at most; none for devices that have none. One request, 0.5
 * read units each; may lag by a moment.
 */
export async function readExecutions(
  devices: Table,
  deviceIds: readonly DeviceId[],
  kind: string,
): Promise<ReadonlyMap<DeviceId, StoredExecution>> {
  const items = await batchGet(
    devices,
    deviceIds.map((id) => ({ pk: devicePartition(id), sk: executionSortKey(kind) })),
  );
  return new Map(items.map(executionOf).map((execution) => [execution.deviceId, execution]));
}

/** What became of the attempt to start an execution. */
export type Start =
  | 'started'
  /** The device is or was in this rollout, in this direction: nothing is begun twice. */
  | 'there'
  /**
   * Another rollout of the same kind, or the other direction of this one, has not finished with the device; or, for a way
   * back, has brought it something else since.
   */
  | { readonly busyWith: string };

/**
 * Starts an execution, unless the device has an unfinished one of its kind (I1): of two that start at the same moment
 * one is told that the device is busy. A finished one makes room in the same transaction. One request, two when
 * something is there; 6 write units, 12 when something makes room.
 */
export function startExecution(devices: Table, execution: StoredExecution): Promise<Start> {
  const pk = devicePartition(execution.deviceId);
  const sk = executionSortKey(execution.artifactKind);
  const executed = executedSortKey(execution.rolloutId, execution.direction);
  const neverEnded: WritePart = {
    ConditionCheck: {
      TableName: devices.name,
      Key: { pk, sk: executed },
      ConditionExpression: 'attribute_not_exists(pk)',
    },
  };
  const attempt = async (seen: StoredExecution | undefined): Promise<'started' | 'there' | StoredExecution> => {
    const current = seen === undefined ? { ConditionExpression: 'attribute_not_exists(pk)' } : isStill(seen);
    try {
      await transact(devices, [
        {
          Put: {
            TableName: devices.name,
            Item: itemOf(execution, sk),
            ...current,
            ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
          },
        },
        neverEnded,
        ...(seen === undefined ? [] : [{ Put: { TableName: devices.name, Item: endedItem(seen) } }]),
      ]);
      return 'started';
    } catch (error) {
      const reasons = cancellationsOf(error);
      if (reasons?.[1]?.code === 'ConditionalCheckFailed') return 'there';
      const found = reasons?.[0]?.item;
      if (found !== undefined) return executionOf(found);
      // What was to make room is gone.
      if (reasons?.[0]?.code === 'ConditionalCheckFailed') return attempt(undefined);
      throw error;
    }
  };
  return retryContention(async () => {
    let seen: StoredExecution | undefined;
    for (;;) {
      const found = await attempt(seen);
      if (typeof found === 'string') return found;
      if (isSame(found, execution)) return 'there';
      if (!isFinal(found)) return { busyWith: found.rolloutId };
      if (execution.direction === 'back' && runsAnother(found, execution)) return { busyWith: found.rolloutId };
      seen = found;
    }
  });
}

/**
 * Whether another rollout has brought something else to the device since: then it does not run what is to be taken back,
 * and would lose what it got later.
 */
const runsAnother = ({ rolloutId, activatedAt, direction, status }: Execution, back: Execution): boolean =>
  rolloutId !== back.rolloutId &&
  (direction === 'forward'
    ? activatedAt !== undefined && status.state !== 'rolled-back'
    : status.state !== 'succeeded');

const isSame = (a: Execution, b: Execution): boolean => a.rolloutId === b.rolloutId && a.direction === b.direction;

/**
 * Records that a planned device takes no part, beside its current execution, which is another's. Nothing happens when
 * the device is or was in this rollout and direction. One request, 4 write units.
 */
export async function recordIneligible(devices: Table, execution: StoredExecution): Promise<void> {
  const pk = devicePartition(execution.deviceId);
  const { rolloutId, direction } = execution;
  try {
    await retryContention(() =>
      transact(devices, [
        {
          Put: {
            TableName: devices.name,
            Item: endedItem(execution),
            ConditionExpression: 'attribute_not_exists(pk)',
          },
        },
        {
          ConditionCheck: {
            TableName: devices.name,
            Key: { pk, sk: executionSortKey(execution.artifactKind) },
            ConditionExpression: 'attribute_not_exists(pk) OR rolloutId <> :rollout OR direction <> :direction',
            ExpressionAttributeValues: { ':rollout': rolloutId, ':direction': direction },
          },
        },
      ]),
    );
  } catch (error) {
    if (!isRefusedByCondition(error)) throw error;
  }
}

/**
 * Writes a change of an execution, if it still is what the change was decided on, together with parts of other items.
 *
 * @returns false, and nothing written, when somebody was faster or the condition of a part failed
 */
export async function saveExecution(
  devices: Table,
  before: StoredExecution,
  after: StoredExecution,
  parts: readonly WritePart[] = [],
): Promise<boolean> {
  try {
    await retryContention(() => transact(devices, [executionPart(devices, before, after), ...parts]));
    return true;
  } catch (error) {
    if (isRefusedByCondition(error)) return false;
    throw error;
  }
}

/**
 * The same for an execution that ended and has made room for the next one of its kind.
 *
 * @returns false, and nothing written, when somebody was faster or the condition of a part failed
 */
export async function saveExecuted(
  devices: Table,
  before: StoredExecution,
  after: StoredExecution,
  parts: readonly WritePart[] = [],
): Promise<boolean> {
  const change: WritePart = { Put: { TableName: devices.name, Item: endedItem(after), ...isStill(before) } };
  try {
    await retryContention(() => transact(devices, [change, ...parts]));
    return true;
  } catch (error) {
    if (isRefusedByCondition(error)) return false;
    throw error;
  }
}

/** The change of an execution as part of a transaction; its condition: nobody changed it since. */
export const executionPart = (devices: Table, before: StoredExecution, after: StoredExecution): WritePart => ({
  Put: {
    TableName: devices.name,
    Item: itemOf(after, executionSortKey(after.artifactKind)),
    ...isStill(before),
  },
});

/** What a list of executions is narrowed to, how long it may be, and where it goes on. */
export interface ExecutionListOptions extends ExecutionFilter {
  readonly limit: number;
  /** Of the page before. */
  readonly after?: string | undefined;
}

/**
 * Executions of a rollout at a site by group, unit, class, wave and rank: one request of the index, which may lag by a
 * moment. A unit is looked for within a group, a class within a unit.
 */
export async function listExecutions(
  devices: Table,
  rolloutId: string,
  siteId: string,
  options: ExecutionListOptions,
): Promise<{ readonly items: readonly StoredExecution[]; readonly after?: string }> {
  const partition = siteOfRollout(rolloutId, siteId);
  const prefix = executionIndexPrefix(options);
  const answer = await devices.client.send(
    new QueryCommand({
      TableName: devices.name,
      IndexName: byRollout,
      KeyConditionExpression: prefix === '' ? 'gsi2pk = :site' : 'gsi2pk = :site AND begins_with(gsi2sk, :prefix)',
      ExpressionAttributeValues: { ':site': partition, ...(prefix === '' ? {} : { ':prefix': prefix }) },
      Limit: options.limit,
      ...(options.after === undefined ? {} : { ExclusiveStartKey: startKey(partition, options.after) }),
    }),
  );
  const items = (answer.Items ?? []).map(executionOf);
  const last = answer.LastEvaluatedKey;
  return last === undefined ? { items } : { items, after: `${String(last['gsi2sk'])} ${String(last['sk'])}` };
}

/** A position is the two sort keys: neither holds a blank, and the device's id is at the end of the first. */
function startKey(partition: string, after: string): Item {
  const [gsi2sk = '', sk = ''] = after.split(' ');
  const deviceId = gsi2sk.slice(gsi2sk.lastIndexOf('#') + 1);
  return { gsi2pk: partition, gsi2sk, pk: devicePartition(deviceId), sk };
}

/** The execution that an item of the table, the index or the stream holds. Only this file makes such items. */
export function executionOf(item: Item): StoredExecution {
  const { pk: _pk, sk: _sk, gsi2pk: _gsi2pk, gsi2sk: _gsi2sk, ttl: _ttl, ...execution } = item;
  return execution as unknown as StoredExecution;
}

function itemOf(execution: StoredExecution, sk: string): Item {
  return { ...execution, pk: devicePartition(execution.deviceId), sk, ...executionIndexKey(execution) };
}

/** An ended execution beside the current one, kept as long as the command history. */
function endedItem(execution: StoredExecution): Item {
  const { rolloutId, direction, since } = execution;
  return { ...itemOf(execution, executedSortKey(rolloutId, direction)), ttl: keptUntil(Date.parse(since)) };
}

/** It is in this place, of the same rollout, and at the same version. */
const isStill = ({ rolloutId, direction, version }: StoredExecution) => ({
  ConditionExpression: 'rolloutId = :rollout AND direction = :direction AND version = :seen',
  ExpressionAttributeValues: { ':rollout': rolloutId, ':direction': direction, ':seen': version },
});

const isRefusedByCondition = (error: unknown): boolean =>
  cancellationsOf(error)?.some(({ code }) => code === 'ConditionalCheckFailed') === true;
