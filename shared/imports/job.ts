import * as v from 'valibot';

/** Where an import is in its life. */
export const ImportState = {
  /** Uploaded, not begun. */
  Queued: 'queued',
  Running: 'running',
  /** All rows were looked at; the report says what became of each. */
  Done: 'done',
  /** The list could not be read any further; rows before that point were imported. */
  Failed: 'failed',
} as const;
export type ImportState = (typeof ImportState)[keyof typeof ImportState];

/** What became of a row. */
export const RowOutcome = { Created: 'created', Unchanged: 'unchanged', Refused: 'refused' } as const;
export type RowOutcome = (typeof RowOutcome)[keyof typeof RowOutcome];

const time = v.pipe(v.string(), v.isoTimestamp());
const count = v.pipe(v.number(), v.integer(), v.minValue(0));

/** What became of one row, as reports show it. */
export const RowResult = v.object({
  line: v.pipe(count, v.description('Line of the CSV file, or position in the JSON array, from 1')),
  serial: v.optional(v.string()),
  deviceId: v.optional(v.string()),
  outcome: v.picklist(Object.values(RowOutcome)),
  reasons: v.optional(v.pipe(v.array(v.string()), v.description('Why the row was refused'))),
});
export type RowResult = v.InferOutput<typeof RowResult>;

/** Rows by outcome. */
export const RowCounts = v.object({ read: count, created: count, unchanged: count, refused: count });
export type RowCounts = v.InferOutput<typeof RowCounts>;

/** An import as the API shows it. */
export const ImportView = v.object({
  id: v.string(),
  state: v.picklist(Object.values(ImportState)),
  createdAt: time,
  createdBy: v.string(),
  updatedAt: time,
  rows: RowCounts,
  ignoredColumns: v.optional(v.pipe(v.array(v.string()), v.description('Columns that were not recognized'))),
  problem: v.optional(v.pipe(v.string(), v.description('Why the import failed'))),
});
export type ImportView = v.InferOutput<typeof ImportView>;

/** The caller of the upload, kept so that each row is decided as if they had registered the device themselves. */
export const Uploader = v.object({
  sub: v.string(),
  roles: v.array(v.string()),
  sites: v.array(v.string()),
  status: v.string(),
  amr: v.array(v.string()),
  acr: v.optional(v.string()),
  authTime: v.optional(v.number()),
});

/** An import as it is stored. */
export const ImportJob = v.object({
  ...ImportView.entries,
  format: v.picklist(['csv', 'json']),
  uploader: Uploader,
  chunks: v.pipe(count, v.description('Parts of the report that are written; the rows in them are done')),
});
export type ImportJob = v.InferOutput<typeof ImportJob>;

/** A new import of a list that was just uploaded. */
export function newImport(
  id: string,
  format: ImportJob['format'],
  uploader: ImportJob['uploader'],
  createdBy: string,
  now: Date,
): ImportJob {
  const at = now.toISOString();
  return {
    id,
    state: ImportState.Queued,
    createdAt: at,
    createdBy,
    updatedAt: at,
    rows: { read: 0, created: 0, unchanged: 0, refused: 0 },
    format,
    uploader,
    chunks: 0,
  };
}

/** What the API shows of a stored import. */
export function viewOf(job: ImportJob): ImportView {
  const { id, state, createdAt, createdBy, updatedAt, rows, ignoredColumns, problem } = job;
  return {
    id,
    state,
    createdAt,
    createdBy,
    updatedAt,
    rows,
    ...(ignoredColumns === undefined ? {} : { ignoredColumns }),
    ...(problem === undefined ? {} : { problem }),
  };
}

/** The import after `results` were added to its report. */
export function withResults(job: ImportJob, results: readonly RowResult[], now: Date): ImportJob {
  const added = (outcome: RowOutcome) => results.filter((result) => result.outcome === outcome).length;
  return {
    ...job,
    state: ImportState.Running,
    updatedAt: now.toISOString(),
    chunks: job.chunks + 1,
    rows: {
      read: job.rows.read + results.length,
      created: job.rows.created + added(RowOutcome.Created),
      unchanged: job.rows.unchanged + added(RowOutcome.Unchanged),
      refused: job.rows.refused + added(RowOutcome.Refused),
    },
  };
}
