import * as v from 'valibot';
import type { OperationSpec } from '../http/operation.ts';
import { PageQuery, pageEntries, pageOf } from '../http/page.ts';
import { isDay } from './archive/day.ts';
import { AuditOutcome } from './record.ts';
import { AuditRecordSchema } from './view.ts';

/** Reading an audit trail is the same wherever it lies. */
export const auditSpec = (what: string) =>
  ({
    summary: `Audit trail of a ${what}, newest first`,
    description: `Who changed what, when, by which policy; attempts that were denied or refused are in it too. Needs \`ReadAudit\`.`,
    tag: 'Audit',
    query: PageQuery,
    answer: { status: 200, description: 'A page of the trail', schema: pageOf(AuditRecordSchema) },
  }) as const satisfies OperationSpec<undefined, { limit: number; cursor?: string | undefined }>;

const tag = 'Audit';

const wholeDay = (description: string) =>
  v.pipe(
    v.string(),
    v.check(isDay, 'must be a day, YYYY-MM-DD'),
    v.metadata({ format: 'date' }),
    v.description(description),
  );

const day = (description: string) => v.optional(wholeDay(`${description}, a UTC day (YYYY-MM-DD)`));

/** An id or name that is only compared. */
const compared = (description: string) => v.optional(v.pipe(v.string(), v.maxLength(200), v.description(description)));

const site = v.optional(
  v.pipe(
    v.string(),
    v.regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,79}$/, 'is not an id'),
    v.description('Only this site, or `organization` for what has no site. Needed by whoever may not read everywhere'),
  ),
);

const { cursor } = pageEntries;

/** A record as the archive holds it; members that this version does not know are shown as they are. */
const ArchivedRecord = v.looseObject({
  ...AuditRecordSchema.entries,
  archived: v.object({
    chain: v.pipe(v.string(), v.description('`<UTC day>/<site or organization>`')),
    sequence: v.pipe(v.number(), v.description('Its place in the chain, from 1')),
  }),
});

/** The operations on the audit archive. */
export const auditOperations = {
  searchAudit: {
    summary: 'Search the audit archive',
    description:
      'Records by the day on which they were archived (seconds after they were written), oldest first within a site. A page can hold fewer records than `limit`, even none, and still have a `next`: go on until there is none. Needs `ReadAudit`.',
    tag,
    query: v.strictObject({
      ...pageEntries,
      from: day('First day; six days before `to` when left out'),
      to: day('Last day; today when left out'),
      site,
      device: compared('Only what is about the device with this id'),
      resource: compared('Only what is about this, as `<kind>/<id>`'),
      actor: compared('Only what this one did, e.g. `user:<sub>`'),
      action: compared('Only this action, e.g. `WipeDevice`'),
      outcome: v.optional(v.picklist(Object.values(AuditOutcome))),
    }),
    answer: { status: 200, description: 'A page of records', schema: pageOf(ArchivedRecord) },
  },
  exportAudit: {
    summary: 'Copy the audit archive',
    description:
      'The files of the archive, in pages, from which `wardline audit verify` proves without any access to the system that no record was changed, left out or moved. `wardline audit export` writes them to a folder. Needs `ReadAudit`; that somebody took a copy is recorded.',
    tag,
    query: v.strictObject({
      from: wholeDay('First UTC day'),
      to: wholeDay('Last UTC day'),
      site,
      cursor,
    }),
    answer: {
      status: 200,
      description: 'A page of files',
      schema: pageOf(
        v.object({
          key: v.pipe(v.string(), v.description('Path of the file in the archive')),
          content: v.string(),
        }),
      ),
    },
  },
} as const;
