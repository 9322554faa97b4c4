import * as v from 'valibot';
import type { Archive } from '../../shared/audit/archive/archive.ts';
import { dayOf, isDay } from '../../shared/audit/archive/day.ts';
import { organizationPlace, publicKeyPrefix } from '../../shared/audit/archive/names.ts';
import { exportArchive, searchArchive } from '../../shared/audit/archive/read.ts';
import { auditOperations } from '../../shared/audit/operations.ts';
import { auditRecord } from '../../shared/audit/record.ts';
import { operation } from '../../shared/http/api.ts';
import { decodeCursor } from '../../shared/http/cursor.ts';
import { pageBody } from '../../shared/http/page.ts';
import { problems } from '../../shared/http/problem.ts';
import type { Guard, KeepRecord } from '../../shared/identity/guard.ts';
import { organization, type Resource, siteResource } from '../../shared/identity/resource.ts';
import { organizationPartition, sitePartition } from '../../shared/places/store.ts';

/** What the operations on the archive work with. */
export interface Services {
  readonly archive: Archive;
  readonly guard: Guard;
  readonly keep: KeepRecord;
}

const SearchPosition = v.strictObject({
  day: v.string(),
  key: v.exactOptional(v.string()),
  line: v.exactOptional(v.number()),
});
const ExportPosition = v.strictObject({ part: v.string(), after: v.exactOptional(v.string()) });

/** The operations on the audit archive. */
export function auditHandlers({ archive, guard, keep }: Services) {
  return {
    searchAudit: operation(auditOperations.searchAudit, async ({ caller, query, receivedAt }) => {
      const { limit, cursor, site, device, resource, actor, action, outcome } = query;
      guard.assertMay(caller, 'ReadAudit', placeOf(site).resource, receivedAt);
      const to = query.to ?? dayOf(receivedAt);
      const from = query.from ?? dayOf(new Date(Date.parse(to) - 6 * 86_400_000));
      assertRange(from, to);
      const wanted = Object.entries({
        resource: device === undefined ? resource : `device/${device}`,
        actor,
        action,
        outcome,
      }).filter(([, value]) => value !== undefined);
      const list = ['audit', from, to, site, wanted];
      const page = await searchArchive(
        archive,
        { from, to, ...(site === undefined ? {} : { place: site }) },
        (record) => wanted.every(([name, value]) => record[name] === value),
        limit,
        cursor === undefined ? undefined : searchPosition(list, cursor, { from, to, site }),
      );
      const items = page.items.map(({ record, chain, sequence }) => ({ ...record, archived: { chain, sequence } }));
      return { body: pageBody(list, items, page.next) };
    }),

    exportAudit: operation(auditOperations.exportAudit, async ({ caller, query, receivedAt }) => {
      const { from, to, site, cursor } = query;
      const { resource, partition } = placeOf(site);
      const permit = await guard.permit(caller, 'ReadAudit', resource, partition, receivedAt);
      assertRange(from, to);
      if (cursor === undefined)
        await keep(auditRecord(partition, { ...permit, after: { copied: { from, to } } }, receivedAt));
      const list = ['audit-archive', from, to, site];
      const position = cursor === undefined ? undefined : exportPosition(list, cursor, { from, to, site });
      const page = await exportArchive(archive, { from, to, ...(site === undefined ? {} : { place: site }) }, position);
      return { body: pageBody(list, page.items, page.next) };
    }),
  };
}

/** What a caller must be allowed to read for a place, and where that is recorded. */
function placeOf(site: string | undefined): { resource: Resource; partition: string } {
  return site === undefined || site === organizationPlace
    ? { resource: organization(), partition: organizationPartition }
    : { resource: siteResource(site), partition: sitePartition(site) };
}

function assertRange(from: string, to: string): void {
  if (from <= to) return;
  throw problems.invalid('The first day lies after the last.', [{ pointer: 'query/from', detail: 'lies after `to`' }]);
}

/** The days and the place that a cursor was made for. */
type Asked = { readonly from: string; readonly to: string; readonly site: string | undefined };

/** A cursor is not trusted: what lies outside of what was asked for is none of ours. */
function searchPosition(list: readonly unknown[], cursor: string, { from, to, site }: Asked) {
  const position = decodeCursor(list, cursor, SearchPosition);
  const { day, key } = position;
  const prefix = `chains/${day}/${site === undefined ? '' : `${site}/`}`;
  if (!isDay(day) || day < from || day > to || key?.startsWith(prefix) === false) throw foreignCursor();
  return position;
}

function exportPosition(list: readonly unknown[], cursor: string, { from, to }: Asked) {
  const position = decodeCursor(list, cursor, ExportPosition);
  const { part } = position;
  if (part !== publicKeyPrefix && (!isDay(part) || part < from || part > to)) throw foreignCursor();
  return position;
}

function foreignCursor(): Error {
  return problems.invalid('The cursor does not belong to this list and these filters. Start again without a cursor.', [
    { pointer: 'query/cursor', detail: 'does not belong to this list' },
  ]);
}
