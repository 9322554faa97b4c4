import * as v from 'valibot';
import { decodeCursor, encodeCursor } from './cursor.ts';

/** Items of a page when the client does not say. */
export const defaultLimit = 50;

/** Most items of a page. */
export const largestLimit = 100;

/** Query parameters that every list takes; spread them into the schema of its query. */
export const pageEntries = {
  limit: v.optional(
    v.pipe(
      v.string(),
      v.check((text) => /^\d{1,3}$/.test(text), 'must be a number'),
      v.description(`Maximum number of items, 1 to ${largestLimit}; default ${defaultLimit}`),
      v.metadata({ type: 'integer', minimum: 1, maximum: largestLimit }),
      v.toNumber(),
      v.minValue(1, 'must be at least 1'),
      v.maxValue(largestLimit, `must be at most ${largestLimit}`),
    ),
    String(defaultLimit),
  ),
  cursor: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[\w-]{1,1024}$/, 'must be the `next` of a page'),
      v.description('`next` of the previous page; keep the filters the same'),
    ),
  ),
};

/** Query of a list without filters. */
export const PageQuery = v.strictObject(pageEntries);

/** What a list answers. `next` is the cursor of the next page and missing on the last. */
export const pageOf = <Item extends v.GenericSchema>(item: Item) =>
  v.object({
    items: v.array(item),
    next: v.optional(v.pipe(v.string(), v.description('Cursor of the next page; absent on the last page'))),
  });

/**
 * The sort key to go on after, out of the request's cursor. `list` names the list and its filters.
 *
 * @param begins what all sort keys of the list begin with: DynamoDB takes no other to go on after
 */
export function startAfter(list: readonly unknown[], cursor: string | undefined, begins = ''): string | undefined {
  const key = v.pipe(v.string(), v.nonEmpty(), v.maxLength(512), v.startsWith(begins));
  return cursor === undefined ? undefined : decodeCursor(list, cursor, key);
}

/** The body of a page whose next one begins after the sort key `after`. */
export function pageBody<Item>(list: readonly unknown[], items: readonly Item[], after: unknown) {
  return { items, ...(after === undefined ? {} : { next: encodeCursor(list, after) }) };
}
