import * as v from 'valibot';
import type { OperationSpec } from '../http/operation.ts';
import { PageQuery, pageEntries, pageOf } from '../http/page.ts';
import { isDay } from './archive/day.ts';
import { AuditOutcome } from './record.ts';
import { AuditRecordSchema } from './view.ts';

/** Reading an audit trail is the same wherever it lies. */
export const auditSpec = (what: string) =>
  ({
    summary: `List the audit trail of a ${what}`,
    description:
      'Newest first. Who changed what, when, and by which policy, including attempts that were denied or refused. Requires `ReadAudit`.',
    tag: 'Audit',
    query: PageQuery,
    answer: { status: 200, description: 'A page of audit records', schema: pageOf(AuditRecordSchema) },
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
    v.description(
      'Only this site, or `organization` for records without a site. Required unless the caller may read every site',
    ),
  ),
);

const { cursor } = pageEntries;

/** A record as the archive holds it; members that this version does not know are shown as they are. */
const ArchivedRecord = v.looseObject({
  ...AuditRecordSchema.entries,
  archived: v.object({
    chain: v.pipe(v.string(), v.description('`<UTC day>/<site or organization>`')),
    sequence: v.pipe(v.number(), v.description('Position in the chain, from 1')),
  }),
});

/** The operations on the audit archive. */
export const auditOperations = {
  searchAudit: {
    summary: 'Search the audit archive',
    description:
      'Records by the day they were archived (seconds after they were written), oldest first within a site. A page may hold fewer records than `limit`, even none, and still have a `next`: continue until it is absent. Requires `ReadAudit`.',
    tag,
    query: v.strictObject({
      ...pageEntries,
      from: day('First day; default six days before `to`'),
      to: day('Last day; default today'),
      site,
      device: compared('Only records about the device with this id'),
      resource: compared('Only records about this resource, `<kind>/<id>`'),
      actor: compared('Only actions of this actor, e.g. `user:<sub>`'),
      action: compared('Only this action, e.g. `WipeDevice`'),
      outcome: v.optional(v.picklist(Object.values(AuditOutcome))),
    }),
    answer: { status: 200, description: 'A page of records', schema: pageOf(ArchivedRecord) },
  },
  exportAudit: {
    summary: 'Export the audit archive',
    description:
      'Returns the files of the archive in pages. `wardline audit export` writes them to a folder; `wardline audit verify` then proves offline that no record was changed, removed or moved. Requires `ReadAudit`. The export itself is audited.',
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
