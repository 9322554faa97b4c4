import fc from 'fast-check';
import type { Calendar } from '../../../../shared/places/windows.ts';
import { DeferralReason } from '../../../../shared/rollouts/executions/deferral.ts';
import {
  type Execution,
  type ExecutionStatus,
  FailureClass,
  isFinal,
} from '../../../../shared/rollouts/executions/execution.ts';
import { explain, type Surroundings } from '../../../../shared/rollouts/explain.ts';
import { defaultWaves } from '../../../../shared/rollouts/gate/wave-definition.ts';
import { Ineligibility } from '../../../../shared/rollouts/plan/selection.ts';
import { advanceRollout, draftRollout, type Rollout, type RolloutEvent } from '../../../../shared/rollouts/rollout.ts';

const now = Date.parse('2027-03-01T03:00:00Z');
const iso = (at: number) => new Date(at).toISOString();
const minute = 60_000;

const execution = (status: ExecutionStatus, more: Partial<Execution> = {}): Execution => ({
  ...{ rolloutId: 'ro-1', deviceId: 'd-1', siteId: 's-1', unitId: 'u-1', class: 'infusion-pump', status },
  ...{ artifactKind: 'firmware', sha256: 'a'.repeat(64), wave: 0, direction: 'forward', outOfService: false },
  ...{ dispatchedAt: iso(now - minute), since: iso(now - minute), version: 3 },
  ...more,
});

const after = (rollout: Rollout, ...events: RolloutEvent[]): Rollout =>
  events.reduce((before, event) => {
    const next = advanceRollout(before, event, before.version, now - 3_600_000);
    if (!next.ok) throw new Error(next.reason);
    return next.value;
  }, rollout);

const running = after(
  draftRollout(
    'ro-1',
    {
      name: 'Pumps to 2.0',
      artifact: { kind: 'firmware', name: 'pump', version: '2.0', sha256: 'a'.repeat(64), signature: 'c2ln' },
      ...{
        selection: {},
        waves: defaultWaves([]),
        order: 'pilot-first',
        onStop: 'pause',
        wayBack: 'USB',
        soakHours: 24,
      },
    },
    'user:ada',
    now - 7_200_000,
  ),
  { kind: 'planned', digest: 'd', devices: [3, 7, 20, 50, 100] },
  { kind: 'submit', by: 'user:ada', approveUntil: now },
  { kind: 'approve', by: 'user:bea', digest: 'd' },
  { kind: 'start' },
);
const paused = after(running, { kind: 'pause', by: 'operator', words: 'Go-live of the new EHR.' });

const nights: Calendar = {
  ...{ zone: 'UTC', blackouts: [], freezes: [] },
  windows: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'], from: '02:00', to: '04:00' }],
};
const days: Calendar = { ...nights, windows: [{ days: ['mon'], from: '12:00', to: '13:00' }] };
const around = (more: Partial<Surroundings> = {}): Surroundings => ({ calendar: nights, budget: 2, away: 1, ...more });

const deferred = (reason: DeferralReason, until = now + 30 * minute): ExecutionStatus => ({
  ...{ state: 'deferred', reason, until: iso(until), from: 'armed' },
});

describe('explain', () => {
  test('says what a device was put off for, and when it is looked at again', () => {
    expect(explain(execution(deferred('in-use')), running, around(), now)).toEqual({
      words: expect.stringContaining('in use'),
      reason: 'in-use',
      until: iso(now + 30 * minute),
    });
    // Overdue: the next look is within a minute.
    expect(explain(execution(deferred('offline', now - minute)), running, around(), now).until).toBe(iso(now + minute));
  });

  test('says what stands in the way now', () => {
    const staged = execution({ state: 'staged' });
    expect(explain(staged, running, around({ calendar: days }), now)).toEqual({
      words: 'The maintenance window of its unit is closed. It opens at 2027-03-01T12:00:00.000Z.',
      reason: 'window',
      until: '2027-03-01T12:00:00.000Z',
    });
    expect(explain(staged, running, around({ away: 2 }), now)).toMatchObject({
      words: '2 of its class are out of service in the unit, which can spare 2.',
      reason: 'unit-budget',
    });
    expect(explain(staged, running, around({ budget: 0, away: 0 }), now).words).toMatch(/can spare no device/);
    const never: Calendar = { ...days, blackouts: [{ name: 'Noon', days: ['mon'], from: '11:00', to: '14:00' }] };
    expect(explain(staged, running, around({ calendar: never }), now).words).toMatch(/never opens/);
    expect(explain(staged, running, around(), now)).toEqual({
      words: expect.stringContaining('its turn'),
      until: expect.any(String),
    });
    // What it was put off for is over; another device took the place.
    expect(explain(execution(deferred('unit-budget')), running, around({ away: 2 }), now)).toMatchObject({
      words: '2 of its class are out of service in the unit, which can spare 2.',
      until: iso(now + 30 * minute),
    });
  });

  test('gives the reason of a pause to all that wait, whatever they were put off for', () => {
    for (const status of [deferred('in-use'), { state: 'staged' }, { state: 'armed' }] satisfies ExecutionStatus[]) {
      expect(explain(execution(status), paused, around(), now)).toEqual({
        words: 'Go-live of the new EHR.',
        reason: 'paused',
        until: expect.any(String),
      });
    }
  });

  test('names the earlier wave that is not promoted, and until when it bakes', () => {
    const second = execution({ state: 'staged' }, { wave: 1 });
    expect(explain(second, running, around(), now)).toMatchObject({
      words: 'Its wave begins when "Lab" is promoted, which is admitting.',
      reason: 'wave',
    });
    const bakeUntil = iso(now + 86_400_000);
    const [lab, ...waves] = running.waves;
    const baking = lab === undefined ? [] : [{ ...lab, status: { state: 'baking' as const }, bakeUntil }, ...waves];
    expect(explain(second, { ...running, waves: baking }, around(), now)).toEqual({
      words: `Its wave begins when "Lab" is promoted, which is baking until ${bakeUntil}.`,
      reason: 'wave',
      until: bakeUntil,
    });
    expect(explain(second, { ...running, skippedSites: ['s-1'] }, around(), now).words).toBe('The site is skipped.');
  });

  test('says until when a device has time to download, to install and to show that it works', () => {
    const given = iso(now - minute + 14 * 86_400_000);
    expect(explain(execution({ state: 'queued' }), running, around(), now)).toMatchObject({ until: given });
    expect(explain(execution({ state: 'activating' }), running, around(), now)).toMatchObject({
      words: expect.stringContaining('out of service since'),
      until: iso(now - minute + 2 * 3_600_000),
    });
    expect(explain(execution({ state: 'verifying' }), running, around(), now).until).toBe(iso(now + 59 * minute));
  });

  test('an end has words and no time; whatever waits has both, and the time is to come', () => {
    const statuses = fc.oneof(
      fc.constantFrom<ExecutionStatus>(
        ...(
          ['planned', 'queued', 'staged', 'armed', 'activating', 'verifying', 'succeeded', 'rolled-back'] as const
        ).map((state) => ({ state })),
      ),
      fc
        .record({
          reason: fc.constantFrom(...Object.values(DeferralReason)),
          minutes: fc.integer({ min: -99, max: 999 }),
        })
        .map(({ reason, minutes }) => deferred(reason, now + minutes * minute)),
      fc
        .constantFrom(...Object.values(Ineligibility))
        .map((reason): ExecutionStatus => ({ state: 'ineligible', reason })),
      fc
        .constantFrom(...Object.values(FailureClass))
        .map((kind): ExecutionStatus => ({ state: 'failed', class: kind })),
      fc
        .constantFrom('queued' as const, 'staged' as const, 'activating' as const, 'verifying' as const)
        .map((stage): ExecutionStatus => ({ state: 'timed-out', stage })),
      fc.constantFrom<ExecutionStatus>(
        { state: 'rejected', reason: 'Not today.' },
        { state: 'cancelled', reason: 'The rollout was aborted.' },
      ),
    );
    const surroundings = fc.record({
      calendar: fc.constantFrom(nights, days, undefined),
      budget: fc.integer({ min: 0, max: 3 }),
      away: fc.integer({ min: 0, max: 4 }),
    });
    fc.assert(
      fc.property(
        statuses,
        surroundings,
        fc.constantFrom(running, paused),
        fc.nat(4),
        (status, where, rollout, wave) => {
          const said = explain(execution(status, { wave }), rollout, where, now);
          expect(said.words).toMatch(/\.$/);
          expect(said.until === undefined).toBe(isFinal({ status }));
          if (said.until !== undefined) expect(Date.parse(said.until)).toBeGreaterThan(now);
        },
      ),
    );
  });
});
