import * as v from 'valibot';
import { append, byPlace, type Means } from '../../shared/audit/archive/append.ts';
import { entryOf } from '../../shared/audit/archive/delivery.ts';
import { markDays, scanRecords } from '../../shared/audit/archive/store.ts';
import type { Table } from '../../shared/aws/dynamodb.ts';
import { Time } from '../../shared/time.ts';

const tableNames = ['devices', 'directory'] as const;
const Position = v.strictObject({
  table: v.picklist(tableNames),
  after: v.optional(v.strictObject({ pk: v.string(), sk: v.string() })),
});
const Request = v.strictObject({
  /** Records since then are looked at; not longer ago than archived records are remembered. */
  since: Time,
  /** `next` of the answer before. */
  next: v.optional(Position),
});

/** What an operator sends: `{"catchUp": {"since": "2027-03-01T00:00:00Z"}}`. */
export interface CatchUp {
  readonly catchUp: unknown;
}

/** `next`: send it with the same `since` to go on; missing when both tables were read to their ends. */
export interface CatchUpAnswer {
  /** Records that were looked at; those that were in the archive already are left alone. */
  readonly records: number;
  readonly next?: v.InferOutput<typeof Position>;
}

/** Time to finish what was begun, milliseconds. */
const reserve = 20_000;

/** Reads both tables for audit records and appends those that are in no chain, as long as the time of the call lasts. */
export async function catchUp(
  means: Means,
  tables: Readonly<Record<(typeof tableNames)[number], Table>>,
  event: CatchUp,
  timeLeft: () => number,
): Promise<CatchUpAnswer> {
  const { since, next } = v.parse(Request, event.catchUp);
  const oldest = new Date(means.now().getTime() - (markDays - 1) * 86_400_000).toISOString();
  if (new Date(since).toISOString() < oldest) {
    throw new RangeError(`since must not be before ${oldest}: what was archived earlier is no longer remembered.`);
  }
  let records = 0;
  for (const table of tableNames.slice(tableNames.indexOf(next?.table ?? 'devices'))) {
    let after = next?.table === table ? next.after : undefined;
    do {
      if (timeLeft() < reserve) return { records, next: { table, ...(after === undefined ? {} : { after }) } };
      const page = await scanRecords(tables[table], new Date(since), after);
      for (const [place, entries] of byPlace(page.items.map(entryOf))) await append(means, place, entries);
      records += page.items.length;
      after = page.after;
    } while (after !== undefined);
  }
  return { records };
}
