import { GetCommand, PutCommand, QueryCommand, ScanCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import * as v from 'valibot';
import { batchGet } from '../../aws/batch-get.ts';
import type { Table } from '../../aws/dynamodb.ts';
import { cancellationsOf, type Item, isConditionFailed } from '../../aws/errors.ts';
import { retryContention } from '../../aws/retry.ts';
import { transact, type WritePart } from '../../devices/store.ts';
import { auditPrefix } from '../record.ts';
import type { Chains, Head } from './append.ts';
import type { DayBook, Days } from './close.ts';
import { dayBefore } from './day.ts';
import { type ChainEnd, ChainEndSchema } from './digest.ts';
import { isSeal, type Link, type Source } from './link.ts';

/** What the partition keys of everything below begin with; the policies of the functions name it. */
const prefix = 'AUDIT-';
/** One item for each place: its head. */
const headPartition = `${prefix}CHAINS`;
const stateKey = { pk: `${prefix}DAYS`, sk: 'STATE' };
const endPartition = (day: string): string => `${prefix}DAY#${day}`;
/**
 * Remembers that a record is in a chain. The sort key must not begin like that of an audit record, or the stream would
 * hand it over for archiving.
 */
const markKey = ({ pk, sk }: Source) => ({ pk: `${prefix}MARK#${pk}`, sk: `MARK#${sk}` });

/** Days for which an archived record is remembered: a stream delivers again for one, a catch-up looks back further. */
export const markDays = 90;

const HeadSchema = v.object({
  place: v.string(),
  day: v.string(),
  sequence: v.number(),
  hash: v.string(),
  opens: v.string(),
  sealed: v.boolean(),
});
const DaysSchema = v.object({
  closedThrough: v.string(),
  digestedThrough: v.string(),
  digestHash: v.exactOptional(v.string()),
});

/** Heads of chains, what is archived, and closed days, in the Directory table. */
export class ChainStore implements Chains, DayBook {
  readonly #table: Table;
  readonly #now: () => Date;

  constructor(table: Table, now: () => Date) {
    this.#table = table;
    this.#now = now;
  }

  async head(place: string): Promise<Head | undefined> {
    const item = await this.#get({ pk: headPartition, sk: place });
    return item === undefined ? undefined : v.parse(HeadSchema, item);
  }

  async heads(): Promise<readonly Head[]> {
    return (await this.#all(headPartition)).map((item) => v.parse(HeadSchema, item));
  }

  async archived(sources: readonly Source[]): Promise<ReadonlySet<Source>> {
    const keys = new Map(sources.map((source) => [textOf(markKey(source)), markKey(source)]));
    const items = await batchGet(this.#table, [...keys.values()], { consistent: true, projection: 'pk, sk' });
    const found = new Set(items.map((item) => textOf(v.parse(Key, item))));
    return new Set(sources.filter((source) => found.has(textOf(markKey(source)))));
  }

  async closedThrough(): Promise<string | undefined> {
    const item = await this.#get(stateKey);
    return item === undefined ? undefined : v.parse(DaysSchema, item).closedThrough;
  }

  async begin(before: Head | undefined, head: Head, closedThrough: string | undefined): Promise<boolean> {
    const { name: TableName } = this.#table;
    const state: WritePart =
      closedThrough === undefined
        ? { Put: { TableName, Item: { ...stateKey, ...daysBefore(head.day) }, ConditionExpression: absent } }
        : {
            ConditionCheck: {
              TableName,
              Key: stateKey,
              ConditionExpression: 'closedThrough < :day',
              ExpressionAttributeValues: { ':day': head.day },
            },
          };
    const put: WritePart = {
      Put: {
        TableName,
        Item: { pk: headPartition, sk: head.place, ...head },
        ...(before === undefined ? { ConditionExpression: absent } : unchanged(before)),
      },
    };
    return this.#attempt([put, state]);
  }

  async advance(before: Head, links: readonly Link[]): Promise<void> {
    const { name: TableName } = this.#table;
    const last = links.at(-1);
    if (last === undefined) return;
    const { place, day, opens } = before;
    const head: Head = { place, day, opens, sequence: last.sequence, hash: last.hash, sealed: isSeal(last) };
    const ttl = Math.floor(this.#now().getTime() / 1000) + markDays * 86_400;
    const end: ChainEnd = { place, links: last.sequence, opens, closes: last.hash };
    await this.#attempt([
      { Put: { TableName, Item: { pk: headPartition, sk: place, ...head }, ...unchanged(before) } },
      ...links.flatMap((link): WritePart[] => {
        if (isSeal(link)) return [];
        const Item = { ...markKey(link.source), chain: link.chain, sequence: link.sequence, ttl };
        return [{ Put: { TableName, Item } }];
      }),
      ...(isSeal(last) ? [{ Put: { TableName, Item: { pk: endPartition(day), sk: place, ...end } } }] : []),
    ]);
  }

  async days(first: Days): Promise<Days> {
    const item = await this.#get(stateKey);
    if (item !== undefined) return v.parse(DaysSchema, item);
    try {
      await this.#table.client.send(
        new PutCommand({
          TableName: this.#table.name,
          Item: { ...stateKey, ...first },
          ConditionExpression: absent,
        }),
      );
      return first;
    } catch (error) {
      if (isConditionFailed(error)) return this.days(first);
      throw error;
    }
  }

  async close(day: string): Promise<void> {
    await this.#update('SET closedThrough = :day', 'closedThrough < :day', { ':day': day });
  }

  async ends(day: string): Promise<readonly ChainEnd[]> {
    return (await this.#all(endPartition(day))).map((item) => v.parse(v.object(ChainEndSchema.entries), item));
  }

  async digested(day: string, hash: string): Promise<void> {
    await this.#update('SET digestedThrough = :day, digestHash = :hash', 'digestedThrough < :day', {
      ':day': day,
      ':hash': hash,
    });
  }

  /** False when the condition does not hold. */
  async #update(UpdateExpression: string, condition: string, values: Record<string, unknown>): Promise<boolean> {
    try {
      await this.#table.client.send(
        new UpdateCommand({
          TableName: this.#table.name,
          Key: stateKey,
          UpdateExpression,
          ConditionExpression: condition,
          ExpressionAttributeValues: values,
        }),
      );
      return true;
    } catch (error) {
      if (isConditionFailed(error)) return false;
      throw error;
    }
  }

  /** False when a condition does not hold; what only collided is tried again. */
  async #attempt(parts: readonly WritePart[]): Promise<boolean> {
    try {
      await retryContention(() => transact(this.#table, parts));
      return true;
    } catch (error) {
      if (cancellationsOf(error)?.some(({ code }) => code === 'ConditionalCheckFailed')) return false;
      throw error;
    }
  }

  async #get(Key: { pk: string; sk: string }): Promise<Item | undefined> {
    const answer = await this.#table.client.send(
      new GetCommand({ TableName: this.#table.name, Key, ConsistentRead: true }),
    );
    return answer.Item;
  }

  async #all(partition: string): Promise<Item[]> {
    const items: Item[] = [];
    let start: Item | undefined;
    do {
      const answer = await this.#table.client.send(
        new QueryCommand({
          TableName: this.#table.name,
          KeyConditionExpression: 'pk = :partition',
          ExpressionAttributeValues: { ':partition': partition },
          ConsistentRead: true,
          ...(start === undefined ? {} : { ExclusiveStartKey: start }),
        }),
      );
      items.push(...(answer.Items ?? []));
      start = answer.LastEvaluatedKey;
    } while (start !== undefined);
    return items;
  }
}

/** A part of a table's audit records. */
export interface RecordPage {
  readonly items: readonly Item[];
  /** Where to go on; missing at the end of the table. */
  readonly after?: Source;
}

/** Reads one page (1 MB) of a whole table for audit records since a moment: for repairs, not for every day. */
export async function scanRecords(table: Table, since: Date, after: Source | undefined): Promise<RecordPage> {
  const answer = await table.client.send(
    new ScanCommand({
      TableName: table.name,
      FilterExpression: 'begins_with(sk, :audit) AND #at >= :since',
      ExpressionAttributeNames: { '#at': 'at' },
      ExpressionAttributeValues: { ':audit': auditPrefix, ':since': since.toISOString() },
      ConsistentRead: true,
      ...(after === undefined ? {} : { ExclusiveStartKey: { ...after } }),
    }),
  );
  const last = answer.LastEvaluatedKey;
  return { items: answer.Items ?? [], ...(last === undefined ? {} : { after: v.parse(Key, last) }) };
}

const absent = 'attribute_not_exists(pk)';

const Key = v.object({ pk: v.string(), sk: v.string() });

const textOf = (key: { readonly pk: string; readonly sk: string }): string => JSON.stringify([key.pk, key.sk]);

/** The first chain there is: the days before it are closed, the first digest is that of its day. */
function daysBefore(day: string): Days {
  const before = dayBefore(day);
  return { closedThrough: before, digestedThrough: before };
}

/** The head still is what was read. */
function unchanged({ day, sequence, hash, sealed }: Head) {
  return {
    ConditionExpression: '#day = :day AND #sequence = :sequence AND #hash = :hash AND #sealed = :sealed',
    ExpressionAttributeNames: { '#day': 'day', '#sequence': 'sequence', '#hash': 'hash', '#sealed': 'sealed' },
    ExpressionAttributeValues: { ':day': day, ':sequence': sequence, ':hash': hash, ':sealed': sealed },
  };
}
