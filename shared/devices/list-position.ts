import * as v from 'valibot';
import { decodeCursor } from '../http/cursor.ts';
import type { DeviceFilter, ListPosition } from './store.ts';

/** Key of a device in the index `bySite`: its unit, and its id. */
const After = v.pipe(v.string(), v.regex(/^[\w-]{1,80}#d-[0-9a-z]{24}$/));

/** Where a list of devices goes on: at a site of the filter by its number, or without such a filter at its partition. */
const Position = v.variant('site', [
  v.pipe(
    v.strictObject({ site: v.pipe(v.number(), v.safeInteger(), v.minValue(0)), after: v.optional(After) }),
    v.transform(({ site, after }) => (after === undefined ? { site } : { site, after })),
  ),
  v.strictObject({ site: v.pipe(v.string(), v.regex(/^SITE#[\w-]{1,80}$/)), after: After }),
]);

/**
 * Where a list of devices goes on, out of its cursor.
 *
 * @param list what is listed and how it is filtered, as for `decodeCursor`
 * @throws ProblemError 400 when the cursor is not one of this list with these filters
 */
export function listPosition(
  list: readonly unknown[],
  cursor: string | undefined,
  { siteIds, unitId }: DeviceFilter,
): ListPosition | undefined {
  if (cursor === undefined) return undefined;
  const ofFilter = v.check<v.InferOutput<typeof Position>, string>(
    ({ site, after }) =>
      (typeof site === 'number') === (siteIds !== undefined) &&
      (unitId === undefined || after === undefined || after.startsWith(`${unitId}#`)),
    'does not belong to this list',
  );
  return decodeCursor(list, cursor, v.pipe(Position, ofFilter));
}
