import fc from 'fast-check';
import type { Device } from '../../../../../shared/devices/device.ts';
import {
  asked,
  isMissed,
  lateOf,
  offerHolds,
  pollingOfferHolds,
  roundOf,
  standingOf,
} from '../../../../../shared/rollouts/admission/admission-round.ts';
import { DeferralReason } from '../../../../../shared/rollouts/executions/deferral.ts';
import type { ExecutionStatus } from '../../../../../shared/rollouts/executions/execution.ts';
import type { StoredExecution } from '../../../../../shared/rollouts/executions/execution-store.ts';
import { rolloutBegin as now, storedExecution } from '../../../../support/rollouts.ts';

const minute = 60_000;
const at = (offset: number) => new Date(now + offset).toISOString();
const ready = (rank: number, status: ExecutionStatus, more: Partial<StoredExecution> = {}) =>
  storedExecution(`d-${rank}`, { rank, status, ...more });
const put = (reason: DeferralReason, until: number, from: 'staged' | 'armed' = 'armed'): ExecutionStatus => ({
  state: 'deferred',
  reason,
  until: at(until),
  from,
});

const anyStatus: fc.Arbitrary<ExecutionStatus> = fc.oneof(
  fc.constant<ExecutionStatus>({ state: 'staged' }),
  fc.constant<ExecutionStatus>({ state: 'armed' }),
  fc
    .tuple(
      fc.constantFrom(...Object.values(DeferralReason)),
      fc.integer({ min: -60, max: 60 }),
      fc.constantFrom<'staged' | 'armed'>('staged', 'armed'),
    )
    .map(([reason, minutes, from]) => put(reason, minutes * minute, from)),
);
const anyReady = fc
  .array(fc.tuple(anyStatus, fc.integer({ min: 0, max: 2 }), fc.boolean()), { maxLength: 30 })
  .map((entries) =>
    entries
      .map(([status, wave, away], rank) => ({ execution: ready(rank, status, { wave }), away }))
      .sort((a, b) => a.execution.wave - b.execution.wave || a.execution.rank - b.execution.rank),
  );

const permit = (open: number) => (execution: StoredExecution) =>
  execution.wave <= open
    ? ({ allowed: true } as const)
    : ({ allowed: false, reason: 'wave', words: 'An earlier wave is not promoted.' } as const);

describe('roundOf', () => {
  test('never more offers than free slots; in order; only whom the wave permits, and who need not wait (I2, I5, I6)', () => {
    fc.assert(
      fc.property(anyReady, fc.nat(8), fc.nat(4), fc.nat(2), fc.boolean(), (entries, budget, others, wave, open) => {
        const away = new Set([
          ...entries.filter((entry) => entry.away).map(({ execution }) => execution.deviceId),
          ...Array.from({ length: others }, (_, index) => `d-other-${index}`),
        ]);
        const executions = entries.map(({ execution }) => execution);
        const { free, candidates } = roundOf({ ready: executions, permitOf: permit(wave), open, budget, away, now });
        const offers = executions.filter(({ status, deviceId }) => status.state === 'armed' && !away.has(deviceId));
        expect(free).toBeLessThanOrEqual(Math.max(0, budget - away.size - offers.length));
        if (!open) expect(candidates).toEqual([]);
        if (free === 0) expect(candidates).toEqual([]);
        expect(candidates).toEqual(executions.filter((execution) => candidates.includes(execution)));
        for (const { wave: own, status, deviceId } of candidates) {
          expect(own).toBeLessThanOrEqual(wave);
          expect(away).not.toContain(deviceId);
          expect(status.state).not.toBe('armed');
          if (status.state === 'deferred' && ['in-use', 'battery', 'offline', 'acceptance'].includes(status.reason)) {
            expect(Date.parse(status.until)).toBeLessThanOrEqual(now);
          }
        }
      }),
    );
  });

  test('nobody is passed over: with a free slot, whoever may come is among them', () => {
    fc.assert(
      fc.property(anyReady, fc.nat(2), (entries, wave) => {
        const executions = entries.map(({ execution }) => execution);
        const question = { ready: executions, permitOf: permit(wave), open: true, away: new Set<string>(), now };
        const { candidates } = roundOf({ ...question, budget: 1_000 });
        const staged = executions.filter(({ status, wave: own }) => status.state === 'staged' && own <= wave);
        for (const execution of staged) expect(candidates).toContain(execution);
      }),
    );
  });

  test('what a device was put off for by the unit itself is looked at anew, not timed', () => {
    const executions = [
      ready(0, put('in-use', 10 * minute)),
      ready(1, put('unit-budget', 10 * minute)),
      ready(2, put('offline', 0)),
      ready(3, { state: 'staged' }),
    ];
    const question = { ready: executions, permitOf: permit(0), open: true, away: new Set<string>(), now };
    const round = roundOf({ ...question, budget: 2 });
    expect(round.free).toBe(2);
    expect(round.candidates.map(({ rank }) => rank)).toEqual([1, 2, 3]);
    // One that was let in a moment ago and is still listed as asked takes one slot, not two.
    const listed = [ready(9, { state: 'armed' }), ...executions];
    expect(roundOf({ ...question, ready: listed, away: new Set(['d-9']), budget: 2 }).free).toBe(1);
    expect(roundOf({ ...question, ready: listed, away: new Set(), budget: 2 }).free).toBe(1);
  });
});

test('a device that failed and is to go back is away already, and needs no slot', () => {
  const failed = ready(1, { state: 'staged' }, { direction: 'back', outOfService: true });
  const others = [ready(0, { state: 'staged' }, { direction: 'back' }), failed];
  const question = { ready: others, permitOf: permit(0), open: true, budget: 1, now };
  const full = roundOf({ ...question, away: new Set([failed.deviceId]) });
  expect([full.free, full.candidates]).toEqual([0, [failed]]);
  const free = roundOf({ ...question, away: new Set([failed.deviceId]), budget: 2 });
  expect([free.free, free.candidates]).toEqual([1, others]);
  expect(roundOf({ ...question, away: new Set([failed.deviceId]), open: false }).candidates).toEqual([]);
});

describe('asked', () => {
  test('brings whoever waits there to armed, one version for each step, and nobody else', () => {
    fc.assert(
      fc.property(anyStatus, (status) => {
        const execution = ready(0, status);
        const outcome = asked(execution, now);
        if (!outcome.ok) throw new Error(outcome.reason);
        expect(outcome.value.status).toEqual({ state: 'armed' });
        const steps = status.state === 'armed' ? 0 : status.state === 'deferred' && status.from === 'staged' ? 2 : 1;
        expect(outcome.value.version).toBe(execution.version + steps);
      }),
    );
    const activating = asked(ready(0, { state: 'activating' }), now);
    expect(activating).toMatchObject({ ok: true, value: { status: { state: 'activating' } } });
  });
});

describe('devices that do not come', () => {
  const device: Device = {
    ...{ id: 'd-0', serial: 'X', platform: 'iomt', class: 'infusion-pump', ownership: 'organization' },
    ...{ siteId: 's-1', unitId: 'u-1', lifecycle: 'enrolled', createdAt: at(0), desiredVersion: 0 },
    ...{ queueSeq: 0, version: 1, channel: 'mqtt', lastSeenAt: at(-minute) },
  };
  const connected = { connected: true, at: at(-minute), sessionId: 'x', version: 1 };

  test('have three minutes when they can be woken, and their interval when they poll', () => {
    const execution = ready(0, { state: 'armed' }, { since: at(-offerHolds) });
    expect(lateOf([execution], now)).toEqual([execution]);
    expect(lateOf([execution], now - 1)).toEqual([]);
    expect(lateOf([{ ...execution, status: { state: 'staged' } }], now)).toEqual([]);
    expect(isMissed(execution, device, now)).toBe(true);
    expect(isMissed(execution, { ...device, channel: 'https' }, now)).toBe(false);
    expect(isMissed({ since: at(-pollingOfferHolds) }, { ...device, channel: 'https' }, now)).toBe(true);
  });

  test('are offline, or gone when their unit does not count on them any more', () => {
    const execution = ready(0, { state: 'staged' });
    expect(standingOf(execution, { ...device, presence: connected }, now)).toBe('there');
    expect(standingOf(execution, { ...device, presence: { ...connected, connected: false } }, now)).toBe('offline');
    expect(standingOf(execution, { ...device, unitId: 'u-2' }, now)).toBe('gone');
    expect(standingOf(execution, { ...device, siteId: 's-2' }, now)).toBe('gone');
    expect(standingOf(execution, { ...device, class: 'ventilator' }, now)).toBe('gone');
    expect(standingOf(execution, { ...device, lifecycle: 'revoked' }, now)).toBe('gone');
    expect(standingOf(execution, undefined, now)).toBe('gone');
  });
});
