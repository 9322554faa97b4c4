import { Readable } from 'node:stream';
import fc from 'fast-check';
import { type ImportJob, newImport, type RowResult } from '../../../../shared/imports/job.ts';
import { type ImportPorts, rowsPerPart, runImport } from '../../../../shared/imports/run.ts';

/** A worker that dies, as a killed Lambda function does: nothing after this point happens. */
class Killed extends Error {}

/** The world of an import, in memory. Devices are created once; a part of the report can be written again. */
class World {
  stored: ImportJob;
  readonly devices = new Map<string, number>();
  readonly report = new Map<number, readonly RowResult[]>();
  registrations = 0;
  /** Calls until the worker dies. */
  killAfter = Number.POSITIVE_INFINITY;
  parts = Number.POSITIVE_INFINITY;
  readonly #text: string;

  constructor(text: string, format: 'csv' | 'json' = 'csv') {
    this.#text = text;
    this.stored = newImport(
      'i-1',
      format,
      { sub: 'x', roles: [], sites: [], status: 'active', amr: [] },
      'user:x',
      new Date(0),
    );
  }

  #step(): void {
    this.killAfter -= 1;
    if (this.killAfter < 0) throw new Killed();
  }

  ports(): ImportPorts {
    return {
      open: async () => Readable.from([this.#text], { objectMode: false }),
      register: async (_job, row) => {
        this.#step();
        this.registrations += 1;
        await Promise.resolve();
        const serial = row.cells.serial;
        if (serial === undefined) return { line: row.line, outcome: 'refused', reasons: ['no serial'] };
        const creator = this.devices.get(serial) ?? row.line;
        this.devices.set(serial, creator);
        return { line: row.line, serial, outcome: creator === row.line ? 'created' : 'unchanged' };
      },
      saveReport: async (_id, number, results) => {
        this.#step();
        this.report.set(number, results);
      },
      save: async (before, after) => {
        this.#step();
        if (before.chunks !== this.stored.chunks || before.state !== this.stored.state) return false;
        this.stored = after;
        return true;
      },
      now: () => new Date(1000),
      hasTime: () => {
        this.parts -= 1;
        return this.parts > 0;
      },
    };
  }

  lines(): number[] {
    return [...this.report.entries()]
      .sort(([a], [b]) => a - b)
      .flatMap(([, results]) => results.map(({ line }) => line));
  }
}

const list = (rows: number) => ['serial,name', ...Array.from({ length: rows }, (_, row) => `S${row},n`)].join('\n');

describe('runImport', () => {
  test('looks at every row once, and says so', async () => {
    const world = new World(list(2 * rowsPerPart + 7));
    const { job, again } = await runImport(world.stored, world.ports());
    expect(again).toBe(false);
    expect(job).toMatchObject({
      state: 'done',
      chunks: 3,
      rows: { read: 507, created: 507, unchanged: 0, refused: 0 },
    });
    expect(world.stored).toEqual(job);
    expect(world.lines()).toEqual(Array.from({ length: 507 }, (_, row) => row + 2));
    expect((await runImport(job, world.ports())).job).toBe(job);
    expect(world.registrations).toBe(507);
  });

  test('stops when there is no time, and goes on there', async () => {
    const world = new World(list(3 * rowsPerPart + 1));
    world.parts = 2;
    expect((await runImport(world.stored, world.ports())).again).toBe(true);
    expect(world.stored).toMatchObject({ state: 'running', rows: { read: 2 * rowsPerPart } });
    world.parts = 10;
    expect((await runImport(world.stored, world.ports())).job.state).toBe('done');
    expect(world.registrations).toBe(3 * rowsPerPart + 1);
  });

  test('is complete and tells the truth however often its worker is killed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 620 }),
        fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 4 }),
        async (rows, kills) => {
          const world = new World(list(rows));
          for (const kill of [...kills, Number.POSITIVE_INFINITY]) {
            world.killAfter = kill;
            await runImport(world.stored, world.ports()).catch((error: unknown) =>
              expect(error).toBeInstanceOf(Killed),
            );
          }
          expect(world.stored).toMatchObject({ state: 'done', rows: { read: rows, created: rows } });
          expect(world.lines()).toEqual(Array.from({ length: rows }, (_, row) => row + 2));
        },
      ),
      { numRuns: 30 },
    );
  });

  test('a worker that was overtaken stops and orders nothing', async () => {
    const world = new World(list(rowsPerPart + 1));
    const stale = world.stored;
    await runImport(world.stored, world.ports());
    expect(await runImport(stale, world.ports())).toEqual({ job: stale, again: false });
    expect(world.stored.state).toBe('done');
  });

  test('the first of two rows with one serial counts', async () => {
    const world = new World('serial\nA\nB\nA\nA\n');
    await runImport(world.stored, world.ports());
    expect(world.report.get(0)?.map(({ outcome }) => outcome)).toEqual([
      'created',
      'created',
      'unchanged',
      'unchanged',
    ]);
  });

  test('what cannot be read any further ends it, after the rows before were done', async () => {
    const world = new World('[{"serial":"A"},{"serial":"B"},nonsense', 'json');
    const { job } = await runImport(world.stored, world.ports());
    expect(job).toMatchObject({
      state: 'failed',
      problem: 'The file is not a JSON list of objects.',
      rows: { read: 2, created: 2 },
    });
    const noSerial = new World('name\nx\n');
    expect((await runImport(noSerial.stored, noSerial.ports())).job).toMatchObject({
      state: 'failed',
      rows: { read: 0 },
    });
  });
});
