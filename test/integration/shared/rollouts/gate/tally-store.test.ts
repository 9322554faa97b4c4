import { GetCommand } from '@aws-sdk/lib-dynamodb';
import fc from 'fast-check';
import type { ExecutionStatus } from '../../../../../shared/rollouts/executions/execution.ts';
import type { StoredExecution } from '../../../../../shared/rollouts/executions/execution-store.ts';
import { countedOf } from '../../../../../shared/rollouts/gate/tally.ts';
import { countExecutions, listTallies } from '../../../../../shared/rollouts/gate/tally-store.ts';
import { type DevicesTable, startDevicesTable } from '../../../../support/devices-table.ts';
import { rolloutBegin, storedExecution } from '../../../../support/rollouts.ts';

let tables: DevicesTable;
beforeAll(async () => {
  tables = await startDevicesTable();
});
afterAll(() => tables[Symbol.asyncDispose]());

const now = new Date(rolloutBegin + 3_600_000);
const count = (images: readonly StoredExecution[]) => countExecutions(tables.table, tables.directory, images, now);

const waits = { state: 'deferred', reason: 'in-use', until: '2027-03-03T00:00:00.000Z', from: 'armed' } as const;
const statuses: readonly ExecutionStatus[] = [
  { state: 'queued' },
  { state: 'staged' },
  { state: 'armed' },
  waits,
  { ...waits, reason: 'unit-budget' },
  { state: 'activating' },
  { state: 'verifying' },
  { state: 'succeeded' },
  { state: 'failed', class: 'install' },
  { state: 'rolled-back' },
  { state: 'timed-out', stage: 'verifying' },
  { state: 'timed-out', stage: 'queued' },
  { state: 'failed', class: 'download' },
  { state: 'ineligible', reason: 'other-rollout' },
  { state: 'cancelled', reason: 'aborted' },
];

/** What the tallies of these executions must say. */
function expected(executions: readonly StoredExecution[]) {
  const sums: Record<string, Record<string, number>> = {};
  const add = (key: string, name: string) => {
    const counts = sums[key] ?? {};
    sums[key] = { ...counts, [name]: (counts[name] ?? 0) + 1 };
  };
  for (const execution of executions) {
    const key = `${execution.direction} ${execution.wave} ${execution.siteId}`;
    const { state, reason, evidence } = countedOf(execution);
    add(key, `states ${state}`);
    if (reason !== undefined) add(key, `reasons ${reason}`);
    if (evidence === undefined) continue;
    if (evidence === 'silent') add(key, 'silence failure');
    else {
      add(key, 'silence success');
      add(key, `reported ${evidence}`);
    }
    const [hardware, unitType] = execution.stratum.split('/');
    add(key, `hardware:${hardware} ${evidence}`);
    add(key, `unit-type:${unitType} ${evidence}`);
  }
  return sums;
}

/** The tallies as they are stored, in the same form. */
async function stored(rolloutId: string) {
  const sums: Record<string, Record<string, number>> = {};
  for (const { direction, wave, siteId, states, reasons, strata, ...tallies } of await listTallies(
    tables.directory,
    rolloutId,
  )) {
    const all = Object.entries({ states, reasons, reported: tallies.reported, silence: tallies.silence, ...strata });
    const counts = all.flatMap(([name, of]) => Object.entries(of).map(([key, value]) => [`${name} ${key}`, value]));
    sums[`${direction} ${wave} ${siteId}`] = Object.fromEntries(counts.filter(([, value]) => value !== 0));
  }
  return sums;
}

describe('countExecutions', () => {
  test('counts each execution once, whatever comes twice, late, in disorder, or to two counters at once', async () => {
    let run = 0;
    const histories = fc.array(
      fc.record({
        states: fc.array(fc.constantFrom(...statuses), { minLength: 1, maxLength: 6 }),
        wave: fc.integer({ min: 0, max: 1 }),
        site: fc.constantFrom('s-1', 's-2'),
        stratum: fc.constantFrom('A/T1', 'B/T2'),
        direction: fc.constantFrom('forward' as const, 'back' as const),
      }),
      { minLength: 1, maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(histories, fc.infiniteStream(fc.nat()), async (devices, random) => {
        run += 1;
        const rolloutId = `ro-random-${run}`;
        const draw = (below: number) => Number(random.next().value) % below;
        const images = devices.map(({ states, wave, site, stratum, direction }, index) =>
          states.map((status, version) =>
            storedExecution(`d-${index}`, {
              ...{ rolloutId, wave, siteId: site, stratum, direction, status, version: version + 1 },
            }),
          ),
        );
        const twice = images.flat().flatMap((image) => (draw(3) === 0 ? [image, image] : [image]));
        const shuffled = twice
          .map((image) => ({ image, at: draw(1_000_000) }))
          .sort((a, b) => a.at - b.at)
          .map(({ image }) => image);
        const middle = draw(shuffled.length + 1);
        await Promise.all([count(shuffled.slice(0, middle)), count(shuffled.slice(middle))]);
        const ends = images.flatMap((versions) => versions.at(-1) ?? []);
        expect(await stored(rolloutId)).toEqual(expected(ends));
        await count(shuffled);
        expect(await stored(rolloutId)).toEqual(expected(ends));
      }),
      { numRuns: 40 },
    );
  });

  test('250 devices that come together cost three transactions; what is counted already costs no write', async () => {
    const images = Array.from({ length: 250 }, (_, index) =>
      storedExecution(`d-many-${index}`, { rolloutId: 'ro-many', status: { state: 'succeeded' } }),
    );
    tables.requests();
    await count(images);
    const first = tables.requests();
    expect(first.map(({ operation }) => operation)).toEqual([
      ...['BatchGetItem', 'TransactWriteItems', 'BatchGetItem', 'TransactWriteItems'],
      ...['BatchGetItem', 'TransactWriteItems'],
    ]);
    expect(first.reduce((sum, { writeUnits }) => sum + writeUnits, 0)).toBe(250 * 2 + 3 * 2);
    await count(images);
    expect(tables.requests().filter(({ writeUnits }) => writeUnits > 0)).toEqual([]);
    const [tally] = await listTallies(tables.directory, 'ro-many');
    expect(tally).toEqual({
      ...{ rolloutId: 'ro-many', direction: 'forward', wave: 0, siteId: 's-1' },
      ...{ states: { succeeded: 250 }, reasons: {} },
      ...{ reported: { success: 250, failure: 0 }, silence: { success: 250, failure: 0 } },
      strata: {
        'hardware:B': { success: 250, failure: 0, silent: 0 },
        'unit-type:T2': { success: 250, failure: 0, silent: 0 },
      },
    });
  });

  test('a mark is kept for 400 days; an image that is older was counted long ago', async () => {
    const old = storedExecution('d-old', { rolloutId: 'ro-old', since: '2026-01-01T00:00:00.000Z' });
    await count([old, storedExecution('d-new', { rolloutId: 'ro-old' })]);
    expect((await listTallies(tables.directory, 'ro-old'))[0]?.states).toEqual({ queued: 1 });
    const { Item } = await tables.table.client.send(
      new GetCommand({ TableName: tables.table.name, Key: { pk: 'DEVICE#d-new', sk: 'COUNTED#ro-old#forward' } }),
    );
    expect(Item).toEqual({
      ...{ pk: 'DEVICE#d-new', sk: 'COUNTED#ro-old#forward', state: 'queued', version: 1 },
      ttl: now.getTime() / 1_000 + 400 * 86_400,
    });
  });

  test('directions are listed apart', async () => {
    const image = storedExecution('d-both', { rolloutId: 'ro-both', status: { state: 'succeeded' } });
    await count([image, { ...image, direction: 'back' }]);
    const directions = async (direction?: 'forward' | 'back') =>
      (await listTallies(tables.directory, 'ro-both', direction)).map((tally) => tally.direction);
    expect(await directions()).toEqual(['back', 'forward']);
    expect(await directions('forward')).toEqual(['forward']);
    expect(await directions('back')).toEqual(['back']);
  });
});
