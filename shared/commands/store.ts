import { GetCommand, PutCommand, QueryCommand, TransactWriteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { AuditItem } from '../audit/record.ts';
import { batchGet } from '../aws/batch-get.ts';
import type { Table } from '../aws/dynamodb.ts';
import { cancellationsOf, type Item, isConditionFailed, itemOfFailedCondition } from '../aws/errors.ts';
import { retryContention } from '../aws/retry.ts';
import type { Device, DeviceId } from '../devices/device.ts';
import { closedPrefix, devicePartition, endOfOpen, openPrefix, sortKeys } from '../devices/keys.ts';
import { auditPart, deviceOf, type WritePart } from '../devices/store.ts';
import type { CommandId, StoredCommand } from './command.ts';
import { isFinal } from './life.ts';

/** The head of a device and its open commands in order of delivery. */
export interface Queue {
  readonly device?: Device;
  readonly open: readonly StoredCommand[];
}

/** How long a closed command stays in the table. The audit trail keeps its own time. */
export const closedDays = 400;

/** How long an `Idempotency-Key` is remembered. */
export const idempotencyHours = 24;

/**
 * The head and all open commands, in one request: 0.5 read units for each 4 KB in all, 1 with `consistent`.
 * The writer keeps the queue so short that it fits.
 */
export async function readQueue(
  table: Table,
  id: DeviceId,
  options: { readonly consistent?: boolean } = {},
): Promise<Queue> {
  const items: Item[] = [];
  let from: Item | undefined;
  do {
    const answer = await table.client.send(
      new QueryCommand({
        TableName: table.name,
        KeyConditionExpression: 'pk = :pk AND sk BETWEEN :head AND :end',
        ExpressionAttributeValues: { ':pk': devicePartition(id), ':head': sortKeys.head, ':end': endOfOpen },
        ConsistentRead: options.consistent ?? false,
        ...(from === undefined ? {} : { ExclusiveStartKey: from }),
      }),
    );
    items.push(...(answer.Items ?? []));
    from = answer.LastEvaluatedKey;
  } while (from !== undefined);
  const head = items.find((item) => item['sk'] === sortKeys.head);
  const open = items.filter((item) => item !== head).map(commandOf);
  return head === undefined ? { open } : { device: deviceOf(head), open };
}

/** The command, open or closed. One request, 2 read units. */
export async function getStoredCommand(
  table: Table,
  id: DeviceId,
  commandId: CommandId,
): Promise<StoredCommand | undefined> {
  const pk = devicePartition(id);
  const keys = [sortKeys.open(commandId), sortKeys.closed(commandId)].map((sk) => ({ pk, sk }));
  const items = await batchGet(table, keys, { consistent: true });
  // The two reads of a batch are not one moment: a command that closes between them is seen twice. The end counts.
  const found = items.map(commandOf);
  return found.find(isFinal) ?? found[0];
}

/** Where a list of commands goes on. */
export interface CommandPosition {
  readonly list: 'open' | 'closed';
  readonly after?: string;
}

/** One page of a device's commands. */
export interface CommandPage {
  readonly commands: readonly StoredCommand[];
  readonly next?: CommandPosition;
}

/** Open commands in order of delivery, then closed ones, the newest first. At most two requests a page. */
export async function listStoredCommands(
  table: Table,
  id: DeviceId,
  limit: number,
  position: CommandPosition = { list: 'open' },
): Promise<CommandPage> {
  const page = await queryCommands(table, id, limit, position);
  const missing = limit - page.commands.length;
  if (position.list === 'closed' || page.next !== undefined) return page;
  if (missing === 0) return { commands: page.commands, next: { list: 'closed' } };
  const closed = await queryCommands(table, id, missing, { list: 'closed' });
  return { ...closed, commands: [...page.commands, ...closed.commands] };
}

async function queryCommands(
  table: Table,
  id: DeviceId,
  limit: number,
  position: CommandPosition,
): Promise<CommandPage> {
  const pk = devicePartition(id);
  const prefix = position.list === 'open' ? openPrefix : closedPrefix;
  const answer = await table.client.send(
    new QueryCommand({
      TableName: table.name,
      KeyConditionExpression: 'pk = :pk AND begins_with(sk, :prefix)',
      ExpressionAttributeValues: { ':pk': pk, ':prefix': prefix },
      ConsistentRead: true,
      ScanIndexForward: position.list === 'open',
      Limit: limit,
      ...(position.after === undefined ? {} : { ExclusiveStartKey: { pk, sk: prefix + position.after } }),
    }),
  );
  const last = answer.LastEvaluatedKey?.['sk'];
  return {
    commands: (answer.Items ?? []).map(commandOf),
    ...(last === undefined ? {} : { next: { list: position.list, after: String(last).slice(prefix.length) } }),
  };
}

/**
 * Changes an open command: `decide` gets it as it is and returns what it should be, or undefined to leave it. When
 * another writer was faster, `decide` is asked again with what is there now. One request: an update, or, when it comes
 * to its end, the transaction that moves it to the closed ones (with the audit record, if a person ended it).
 *
 * @returns the command as it is afterwards; undefined when it is no longer open, so that nothing was changed
 */
export async function changeCommand(
  table: Table,
  command: StoredCommand,
  decide: (current: StoredCommand) => StoredCommand | undefined,
  audit?: (after: StoredCommand) => AuditItem,
): Promise<StoredCommand | undefined> {
  let current: StoredCommand | undefined = command;
  return retryContention(async () => {
    while (current !== undefined) {
      const after = decide(current);
      if (after === undefined) return current;
      const outcome = await save(table, current, after, audit);
      if (outcome.saved) return after;
      current = outcome.current;
    }
    return undefined;
  });
}

/** A change that does not end an open command, as part of a transaction; its condition: nobody changed it since. */
export const changePart = (table: Table, before: StoredCommand, after: StoredCommand): WritePart => ({
  Update: {
    TableName: table.name,
    Key: { pk: devicePartition(before.deviceId), sk: sortKeys.open(before.id) },
    ...updateOf(before, after),
    ConditionExpression: 'revision = :revision',
  },
});

type SaveOutcome = { readonly saved: true } | { readonly saved: false; readonly current: StoredCommand | undefined };

async function save(
  table: Table,
  before: StoredCommand,
  after: StoredCommand,
  audit: ((after: StoredCommand) => AuditItem) | undefined,
): Promise<SaveOutcome> {
  const key = { pk: devicePartition(before.deviceId), sk: sortKeys.open(before.id) };
  const guard = {
    ConditionExpression: 'revision = :revision',
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  } as const;
  try {
    if (isFinal(after)) {
      const parts: WritePart[] = [
        {
          Delete: {
            TableName: table.name,
            Key: key,
            ...guard,
            ExpressionAttributeValues: { ':revision': before.revision },
          },
        },
        { Put: { TableName: table.name, Item: closedItem(after) } },
      ];
      if (audit !== undefined) parts.push(auditPart(table, audit(after)));
      await table.client.send(new TransactWriteCommand({ TransactItems: parts }));
    } else {
      await table.client.send(
        new UpdateCommand({ TableName: table.name, Key: key, ...updateOf(before, after), ...guard }),
      );
    }
    return { saved: true };
  } catch (error) {
    const item = isConditionFailed(error) ? itemOfFailedCondition(error) : failedGuardOf(error);
    if (item === 'other') throw error;
    const current = item === undefined ? undefined : commandOf(item);
    // A retry after an answer that was lost finds its own change: then it is done.
    if (current !== undefined && current.revision === after.revision && sameEnd(current, after)) return { saved: true };
    return { saved: false, current };
  }
}

const sameEnd = (a: StoredCommand, b: StoredCommand): boolean => {
  const [x, y] = [a.history.at(-1), b.history.at(-1)];
  return a.status === b.status && x?.at === y?.at && x?.source === y?.source;
};

/** What stood in the way of a transaction's first part; `other` when that was not its condition. */
function failedGuardOf(error: unknown): Item | undefined | 'other' {
  const first = cancellationsOf(error)?.[0];
  return first?.code === 'ConditionalCheckFailed' ? first.item : 'other';
}

/** Only what changes in a life; the rest of the item stays untouched. */
const mutable = ['status', 'history', 'decisions', 'detail', 'deferredUntil', 'verifyUntil', 'revision'] as const;

function updateOf(commandBefore: StoredCommand, commandAfter: StoredCommand) {
  const [before, after] = [storable(commandBefore), storable(commandAfter)];
  const set = mutable.filter((name) => after[name] !== undefined && after[name] !== before[name]);
  const remove = mutable.filter((name) => after[name] === undefined && before[name] !== undefined);
  return {
    UpdateExpression: [
      `SET ${set.map((name) => `#${name} = :${name}New`).join(', ')}`,
      ...(remove.length > 0 ? [`REMOVE ${remove.map((name) => `#${name}`).join(', ')}`] : []),
    ].join(' '),
    ExpressionAttributeNames: Object.fromEntries([...set, ...remove].map((name) => [`#${name}`, name])),
    ExpressionAttributeValues: {
      ':revision': commandBefore.revision,
      ...Object.fromEntries(set.map((name) => [`:${name}New`, after[name]])),
    },
  };
}

/** What a remembered `Idempotency-Key` stands for. */
export interface RememberedRequest {
  readonly commandId: CommandId;
  /** `contentHash` of the request's body. */
  readonly request: string;
}

/** The command that was queued with this key, if any. Read consistently: 1 read unit. */
export async function getRememberedRequest(
  table: Table,
  id: DeviceId,
  keyHash: string,
): Promise<RememberedRequest | undefined> {
  const { Item } = await table.client.send(
    new GetCommand({
      TableName: table.name,
      Key: { pk: devicePartition(id), sk: sortKeys.idempotency(keyHash) },
      ConsistentRead: true,
    }),
  );
  if (Item === undefined) return undefined;
  return { commandId: String(Item['commandId']), request: String(Item['request']) };
}

/** Remembers a key whose request was answered with a command that was there already. The first one stays. */
export async function rememberRequest(
  table: Table,
  id: DeviceId,
  keyHash: string,
  remembered: RememberedRequest,
  now: Date,
): Promise<void> {
  try {
    await table.client.send(new PutCommand(rememberPut(table, id, keyHash, remembered, now)));
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
  }
}

/** The write that remembers an idempotency key, on condition that it is new. */
export function rememberPut(table: Table, id: DeviceId, keyHash: string, remembered: RememberedRequest, now: Date) {
  return {
    TableName: table.name,
    Item: {
      pk: devicePartition(id),
      sk: sortKeys.idempotency(keyHash),
      ...remembered,
      ttl: Math.floor(now.getTime() / 1_000) + idempotencyHours * 3_600,
    },
    ConditionExpression: 'attribute_not_exists(pk)',
  };
}

const closedItem = (command: StoredCommand): Item => ({
  ...storable(command),
  pk: devicePartition(command.deviceId),
  sk: sortKeys.closed(command.id),
  ttl: Math.floor(Date.parse(command.closedAt ?? command.createdAt) / 1_000) + closedDays * 86_400,
});

/**
 * What the device said in its own words is kept as JSON text: DynamoDB refuses numbers, depths and names that JSON
 * allows, and a result must not be lost to that.
 */
export function storable(command: StoredCommand): Item {
  const { detail, lateResult, ...rest } = command;
  return {
    ...rest,
    ...(detail === undefined ? {} : { detail: JSON.stringify(detail) }),
    ...(lateResult === undefined ? {} : { lateResult: JSON.stringify(lateResult) }),
  };
}

/** The command that an item holds: only this file makes such items, so their form is known. */
export function commandOf(item: Item): StoredCommand {
  const { pk: _pk, sk: _sk, ttl: _ttl, detail, lateResult, ...command } = item;
  return {
    ...command,
    ...(typeof detail === 'string' ? { detail: JSON.parse(detail) } : {}),
    ...(typeof lateResult === 'string' ? { lateResult: JSON.parse(lateResult) } : {}),
  } as unknown as StoredCommand;
}
