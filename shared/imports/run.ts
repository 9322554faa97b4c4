import type { Readable } from 'node:stream';
import { type ImportJob, ImportState, type RowResult, withResults } from './job.ts';
import { ListError, type Row } from './list.ts';
import { readCsv } from './read-csv.ts';
import { readJsonList } from './read-json.ts';

/** What an import needs of the world. */
export interface ImportPorts {
  /** The uploaded list, from its beginning. */
  open(importId: string): Promise<Readable>;
  /** Carries out one row. May be called again for a row whose result was not saved. */
  register(job: ImportJob, row: Row): Promise<RowResult>;
  /** Stores part `number` of the report; storing the same part again replaces it. */
  saveReport(importId: string, number: number, results: readonly RowResult[]): Promise<void>;
  /**
   * Replaces the stored import.
   *
   * @returns false when it is no longer as it was before: another worker carries it out
   */
  save(before: ImportJob, after: ImportJob): Promise<boolean>;
  now(): Date;
  /** Whether there is time for another part. */
  hasTime(): boolean;
}

/** Rows of one part: what is done again when a worker dies, and what one object of the report holds. */
export const rowsPerPart = 250;

/** Rows that are carried out at the same time. */
const parallel = 8;

/**
 * Carries an import on from where it stopped, part by part, until it is done or `hasTime` says no. Memory holds one
 * part. Each part is: carry out its rows, store its report, then the checkpoint. A worker that dies in between leaves
 * rows that are carried out a second time, which changes nothing.
 *
 * @returns the import as it is now, and whether it must be called again (not when another worker has overtaken it)
 */
export async function runImport(start: ImportJob, ports: ImportPorts): Promise<{ job: ImportJob; again: boolean }> {
  let job = start;
  if (job.state === ImportState.Done || job.state === ImportState.Failed) return { job, again: false };
  let ignored: readonly string[] = job.ignoredColumns ?? [];
  const source = await ports.open(job.id);
  const rows =
    job.format === 'csv'
      ? readCsv(source, (header) => {
          ignored = header.ignored;
        })
      : readJsonList(source, (members) => {
          ignored = members;
        });
  const advance = async (after: ImportJob): Promise<boolean> => {
    const complete = ignored.length === 0 ? after : { ...after, ignoredColumns: [...ignored] };
    const saved = await ports.save(job, complete);
    if (saved) job = complete;
    return saved;
  };
  const finish = async (part: readonly Row[]): Promise<boolean> => {
    const results = await carryOut(job, part, ports);
    await ports.saveReport(job.id, job.chunks, results);
    return advance(withResults(job, results, ports.now()));
  };
  let part: Row[] = [];
  try {
    let toSkip = job.rows.read;
    for await (const row of rows) {
      if (toSkip > 0) {
        toSkip -= 1;
        continue;
      }
      part.push(row);
      if (part.length < rowsPerPart) continue;
      if (!(await finish(part))) return { job, again: false };
      part = [];
      if (!ports.hasTime()) return { job, again: true };
    }
    if (part.length > 0 && !(await finish(part))) return { job, again: false };
    await advance({ ...job, state: ImportState.Done, updatedAt: ports.now().toISOString() });
    return { job, again: false };
  } catch (error) {
    if (!(error instanceof ListError)) throw error;
    if (part.length > 0 && !(await finish(part))) return { job, again: false };
    await advance({ ...job, state: ImportState.Failed, problem: error.message, updatedAt: ports.now().toISOString() });
    return { job, again: false };
  } finally {
    source.destroy();
  }
}

/** The results in the order of the rows. Rows with the same serial run one after the other, so that the first one counts. */
async function carryOut(job: ImportJob, rows: readonly Row[], ports: ImportPorts): Promise<RowResult[]> {
  const results: RowResult[] = new Array(rows.length);
  const running = new Map<string, Promise<void>>();
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < rows.length; index = next++) {
      const row = rows[index];
      if (row === undefined) return;
      const serial = row.cells.serial?.toUpperCase() ?? '';
      const before = running.get(serial);
      const mine = (before ?? Promise.resolve()).then(async () => {
        results[index] = await ports.register(job, row);
      });
      running.set(serial, mine);
      await mine;
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  return results;
}
