import { setTimeout as pause } from 'node:timers/promises';
import { ProvisionedThroughputExceededException } from '@aws-sdk/client-dynamodb';
import { BatchGetCommand } from '@aws-sdk/lib-dynamodb';
import type { Table } from './dynamodb.ts';
import type { Item } from './errors.ts';

/** Keys that DynamoDB takes in one request. */
const keysOfRequest = 100;
/** Answers in a row that bring nothing, before it is given up; with the pauses between them, 2 s at most. */
const mostInVain = 6;
const longestPause = (inVain: number): number => Math.min(800, 50 * 2 ** inVain);

/** How the items are read. */
export interface BatchGetOptions {
  /** @default false */
  readonly consistent?: boolean;
  /** The attributes that are wanted; all of them when left out. */
  readonly projection?: string;
}

/**
 * The items with these keys, in no order, without those that do not exist; no key may be named twice. One request for
 * each 100, and more for what DynamoDB leaves out when it is busy or 16 MB are full: the SDK repeats only requests that
 * failed as a whole.
 *
 * @throws ProvisionedThroughputExceededException when the table goes on leaving out the rest
 */
export async function batchGet(
  table: Table,
  keys: readonly Item[],
  { consistent = false, projection }: BatchGetOptions = {},
): Promise<Item[]> {
  const chunks: Item[][] = [];
  for (let start = 0; start < keys.length; start += keysOfRequest)
    chunks.push(keys.slice(start, start + keysOfRequest));
  const options = {
    ConsistentRead: consistent,
    ...(projection === undefined ? {} : { ProjectionExpression: projection }),
  };
  return (await Promise.all(chunks.map((chunk) => readAll(table, chunk, options)))).flat();
}

async function readAll(table: Table, keys: readonly Item[], options: object): Promise<Item[]> {
  const items: Item[] = [];
  let missing: readonly Item[] = keys;
  for (let inVain = 0; missing.length > 0; ) {
    const { Responses, UnprocessedKeys } = await table.client.send(
      new BatchGetCommand({ RequestItems: { [table.name]: { Keys: [...missing], ...options } } }),
    );
    items.push(...(Responses?.[table.name] ?? []));
    const left = UnprocessedKeys?.[table.name]?.Keys ?? [];
    inVain = left.length < missing.length ? 0 : inVain + 1;
    missing = left;
    if (inVain === mostInVain) {
      throw new ProvisionedThroughputExceededException({ message: 'The table leaves out items.', $metadata: {} });
    }
    if (left.length > 0) await pause(Math.random() * longestPause(inVain));
  }
  return items;
}
