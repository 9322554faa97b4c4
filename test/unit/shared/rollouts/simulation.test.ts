import { type Execution, isFinal } from '../../../../shared/rollouts/executions/execution.ts';
import { planSites } from '../../../../shared/rollouts/plan/plan.ts';
import type { Rollout } from '../../../../shared/rollouts/rollout.ts';
import { days, type Fate, hour, minute, type Watch, World, zoneOf } from './world.ts';

/** Mulberry32: the same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const clocks = new Map<string, Intl.DateTimeFormat>();

/** Minutes since midnight on the wall of the zone, read without the code under test. */
function wallMinutes(zone: string, at: number): number {
  const clock = clocks.get(zone) ?? new Intl.DateTimeFormat('de-DE', { timeZone: zone, timeStyle: 'short' });
  clocks.set(zone, clock);
  const [hours = 0, minutes = 0] = clock.format(at).split(':').map(Number);
  return hours * 60 + minutes;
}

/** Counts what must never be, and asserts at the end: 500,000 assertions would take longer than the rest. */
class Invariants implements Watch {
  readonly violations = new Map<string, number>();
  readonly activations: number[] = [];
  readonly seen = new Map<string, number>();
  world: World | undefined;
  paused = false;
  readonly #opened = new Set<number>([0]);

  #violated(what: string): void {
    this.violations.set(what, (this.violations.get(what) ?? 0) + 1);
  }

  changed(before: Execution, after: Execution, now: number): void {
    const { status } = after;
    const name = status.state === 'deferred' ? `deferred: ${status.reason}` : status.state;
    this.seen.set(name, (this.seen.get(name) ?? 0) + 1);
    if (after.version !== before.version + 1) this.#violated('I4: a change without a version');
    if (isFinal(before) && before.status !== status) this.#violated('I4: an end changed');
    if (status.state === 'deferred' && !(Date.parse(status.until) > now)) this.#violated('I5: waits without an end');
    if (before.status.state === 'planned' && status.state === 'queued') this.#inTurn(after);
  }

  activated(execution: Execution, _rollout: Rollout, report: { inUse: boolean; at: number }, now: number): void {
    this.activations.push(now);
    if (this.paused) this.#violated('pause: let in');
    this.#inTurn(execution);
    if (report.inUse || now - report.at > minute) this.#violated('I3: in use, or nobody knows');
    // This one is not among those that are away yet; the unit has 50 and keeps 46.
    const away = this.world?.away.get(execution.unitId)?.size ?? 0;
    if (away + 1 > 4) this.#violated('I2: the unit cannot spare it');
    const clock = wallMinutes(zoneOf(execution.unitId), now);
    if (clock < 22 * 60 && clock >= 6 * 60 + 30) this.#violated('window: closed');
  }

  rolloutChanged(before: Rollout, after: Rollout): void {
    this.paused = after.state !== 'running' && after.state !== 'soaking';
    for (const [wave, { status }] of after.waves.entries()) {
      const earlier = before.waves[wave]?.status.state;
      if (status.state === earlier || (status.state !== 'promoted' && status.state !== 'skipped')) continue;
      this.#opened.add(wave + 1);
    }
  }

  #inTurn({ wave }: Execution): void {
    for (let earlier = 0; earlier <= wave; earlier += 1) {
      if (!this.#opened.has(earlier)) this.#violated('I6: before its turn');
    }
  }
}

async function begin(start: string, fate: Fate, seed: number) {
  const invariants = new Invariants();
  const world = new World(Date.parse(start), fate, randomOf(seed), invariants);
  invariants.world = world;
  await world.begin();
  return { world, invariants };
}

/** Milliseconds; it takes seconds, but others may share the machine. */
const patience = 120_000;

const good: Fate = { failed: 0.005, silent: 0.005 };

describe('a rollout over 10,000 devices', () => {
  test.each([
    ['through the day on which the clocks of New York go forward', '2027-03-12T12:00:00Z', 1],
    ['through the day on which they go back', '2027-11-05T12:00:00Z', 2],
  ])(
    '%s comes to its end, and the invariants hold',
    async (_name, start, seed) => {
      const { world, invariants } = await begin(start, good, seed);
      const random = randomOf(seed + 100);
      const end = world.now + days(21);
      while (world.now < end && world.rollout.state !== 'soaking') {
        world.run(world.now + random() * days(1));
        if (world.rollout.state !== 'running') continue;
        expect(world.apply({ kind: 'pause', by: 'operator', words: 'Looked at.' })).toBe(true);
        const before = invariants.activations.length;
        world.run(world.now + random() * 4 * hour);
        expect(invariants.activations.length).toBe(before);
        world.apply({ kind: 'resume' });
      }
      expect(Object.fromEntries(invariants.violations)).toEqual({});
      expect(world.rollout.state).toBe('soaking');
      world.run(world.now + days(4));
      expect(Object.fromEntries(invariants.violations)).toEqual({});
      const states = Map.groupBy(world.executions.values(), ({ status }) => status.state);
      expect(states.get('succeeded')?.length).toBeGreaterThan(9_800);
      expect([...world.executions.values()].filter((execution) => !isFinal(execution)).length).toBeLessThan(20);
      // It went through everything that it is meant to show.
      for (const state of ['offline', 'in-use', 'unit-budget', 'window', 'paused'].map(
        (reason) => `deferred: ${reason}`,
      )) {
        expect([state, (invariants.seen.get(state) ?? 0) > 0]).toEqual([state, true]);
      }
      expect(invariants.seen.get('timed-out')).toBeGreaterThan(0);
    },
    patience,
  );

  test(
    'a bad artifact is stopped while few have it, and nobody is let in after that',
    async () => {
      const { world, invariants } = await begin('2027-06-01T12:00:00Z', { failed: 0.2, silent: 0 }, 3);
      while (world.rollout.state === 'running' && invariants.activations.length < 1_000) world.run(world.now + hour);
      expect(world.rollout).toMatchObject({ state: 'paused', paused: { by: 'gate' } });
      const let_in = invariants.activations.length;
      expect(let_in).toBeLessThan(100);
      world.run(world.now + days(3));
      expect(invariants.activations.length).toBe(let_in);
      expect(Object.fromEntries(invariants.violations)).toEqual({});
    },
    patience,
  );

  test(
    'an abort lets activations finish and withdraws the rest; another rollout passes by the unfinished (I1)',
    async () => {
      const { world, invariants } = await begin('2027-06-01T12:00:00Z', good, 4);
      while (invariants.activations.length < 400) world.run(world.now + 10 * minute);
      const open = new Set(
        [...world.executions.values()].filter((one) => !isFinal(one)).map(({ deviceId }) => deviceId),
      );
      const source = () =>
        world.devices.map((device) => (open.has(device.id) ? { ...device, busyWith: 'r-sim' } : device));
      const { selection, waves, order } = world.rollout.definition;
      const planned: string[] = [];
      for await (const plan of planSites({ rolloutId: 'r-2', selection, waves, order, target: '6.0' }, source)) {
        planned.push(...plan.waves.flat().map(({ id }) => id));
      }
      expect(planned.length).toBe(world.devices.length - open.size);
      expect(planned.some((id) => open.has(id))).toBe(false);

      const inFlight = [...world.executions.values()].filter(({ status }) => status.state === 'activating');
      expect(inFlight.length).toBeGreaterThan(0);
      expect(world.apply({ kind: 'abort' })).toBe(true);
      world.withdraw();
      for (const { deviceId, status } of inFlight) expect(world.executions.get(deviceId)?.status).toBe(status);
      expect(world.apply({ kind: 'settled', activating: inFlight.length })).toBe(false);
      const before = invariants.activations.length;
      world.run(world.now + days(1));
      expect(invariants.activations.length).toBe(before);
      expect([...world.executions.values()].every(isFinal)).toBe(true);
      expect(world.apply({ kind: 'settled', activating: 0 })).toBe(true);
      expect(world.rollout.state).toBe('aborted');
      expect(Object.fromEntries(invariants.violations)).toEqual({});
    },
    patience,
  );
});
