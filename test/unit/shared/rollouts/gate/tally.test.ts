import fc from 'fast-check';
import type { ExecutionStatus } from '../../../../../shared/rollouts/executions/execution.ts';
import {
  addDeltas,
  type Counted,
  countedOf,
  deltaOf,
  evidenceFrom,
  tallyFrom,
  type WaveTally,
} from '../../../../../shared/rollouts/gate/tally.ts';

const until = '2027-03-03T00:00:00.000Z';
const counted = (status: ExecutionStatus, version = 1): Counted => countedOf({ status, version });
const key = { rolloutId: 'ro-1', direction: 'forward', wave: 1, siteId: 's-1' } as const;

const statuses: readonly ExecutionStatus[] = [
  ...([{ state: 'queued' }, { state: 'staged' }, { state: 'armed' }, { state: 'activating' }] as const),
  ...([{ state: 'succeeded' }, { state: 'rolled-back' }, { state: 'failed', class: 'install' }] as const),
  ...([
    { state: 'timed-out', stage: 'verifying' },
    { state: 'timed-out', stage: 'queued' },
  ] as const),
  { state: 'deferred', reason: 'in-use', until, from: 'armed' },
  { state: 'ineligible', reason: 'other-rollout' },
  { state: 'failed', class: 'download' },
];

describe('countedOf', () => {
  test('says what waits, what takes no part, and what is evidence', () => {
    expect(counted({ state: 'deferred', reason: 'in-use', until, from: 'armed' }, 4)).toEqual({
      ...{ state: 'deferred', reason: 'in-use', version: 4 },
    });
    expect(counted({ state: 'ineligible', reason: 'not-placed' }).reason).toBe('ineligible:not-placed');
    expect(counted({ state: 'rolled-back' }).evidence).toBe('failure');
    expect(counted({ state: 'timed-out', stage: 'activating' }).evidence).toBe('silent');
    expect(counted({ state: 'timed-out', stage: 'queued' }).evidence).toBeUndefined();
    expect(counted({ state: 'failed', class: 'download' })).toEqual({
      ...{ state: 'failed', reason: 'unfetched:download', version: 1 },
    });
    expect(counted({ state: 'failed', class: 'checksum' })).toEqual({
      ...{ state: 'failed', evidence: 'failure', version: 1 },
    });
  });
});

describe('deltaOf', () => {
  const names = fc.string({ maxLength: 12 });

  test('changes add up: however a device gets somewhere, only where it is counts', () => {
    const way = fc.array(fc.constantFrom(...statuses), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(way, names, names, (states, revision, unitType) => {
        const stratum = `${revision}/${unitType.replaceAll('/', '')}`;
        const steps = states.map((status, index) => counted(status, index + 1));
        const sum = addDeltas(steps.map((step, index) => deltaOf(steps[index - 1], step, { stratum })));
        const last = steps.at(-1);
        expect(sum).toEqual(last === undefined ? {} : deltaOf(undefined, last, { stratum }));
      }),
    );
  });

  test('what is only looked at again changes nothing', () => {
    const before = counted({ state: 'deferred', reason: 'in-use', until, from: 'armed' }, 1);
    expect(deltaOf(before, { ...before, version: 2 }, { stratum: 'A/T2' })).toEqual({});
  });

  test('a tally made of changes says the same, whatever makers call their revisions', () => {
    const devices = fc.array(fc.record({ status: fc.constantFrom(...statuses), revision: names }), { maxLength: 20 });
    fc.assert(
      fc.property(devices, (all) => {
        const deltas = all.map(({ status, revision }) =>
          deltaOf(undefined, counted(status), { stratum: `${revision}/T2` }),
        );
        const tally = tallyFrom(key, addDeltas(deltas));
        const sum = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((a, b) => a + b, 0);
        expect(sum(tally.states)).toBe(all.length);
        const evidence = all.map(({ status }) => counted(status).evidence);
        const { success, failure } = tally.reported;
        expect(success).toBe(evidence.filter((of) => of === 'success').length);
        expect(failure).toBe(evidence.filter((of) => of === 'failure').length);
        expect(tally.silence).toEqual({
          success: success + failure,
          failure: evidence.filter((of) => of === 'silent').length,
        });
        const hardware = Object.entries(tally.strata).filter(([name]) => name.startsWith('hardware:'));
        expect(sum(Object.fromEntries(hardware.map(([name, of]) => [name, of.success + of.failure])))).toBe(
          success + failure,
        );
        expect(tally.strata['unit-type:T2'] ?? { success: 0, failure: 0, silent: 0 }).toEqual({
          ...tally.reported,
          silent: tally.silence.failure,
        });
      }),
    );
  });
});

describe('evidenceFrom', () => {
  const tally = (more: Partial<WaveTally>): WaveTally => ({ ...tallyFrom(key, {}), ...more });
  const of = (success: number, failure = 0) => ({ success, failure });
  const part = (success: number, failure = 0, silent = 0) => ({ success, failure, silent });

  test('the wave by itself, all waves until then together, and the strata of the wave', () => {
    const tallies = [
      tally({ wave: 0, siteId: 's-0', reported: of(5), silence: of(5), strata: { 'hardware:A': part(5) } }),
      tally({
        ...{ reported: of(10, 1), silence: of(11, 2) },
        states: { queued: 40, armed: 3, succeeded: 10, failed: 4, 'timed-out': 2 },
        reasons: { 'unfetched:download': 3, 'in-use': 7 },
        strata: { 'hardware:A': part(4, 0, 2), 'hardware:B': part(6, 1) },
      }),
      tally({ siteId: 's-4', states: { failed: 1 }, reasons: { 'unfetched:space': 1 } }),
      tally({
        siteId: 's-2',
        reported: of(3),
        states: { ineligible: 5 },
        silence: of(3),
        strata: { 'hardware:A': part(3) },
      }),
      tally({ siteId: 's-3', silence: of(0, 1) }),
      tally({ wave: 2, reported: of(50), silence: of(50) }),
      tally({ direction: 'back', reported: of(7), silence: of(7) }),
    ];
    expect(evidenceFrom(tallies, 1)).toEqual({
      fetching: { fetched: 14, download: 3, space: 1 },
      ...{ reported: of(13, 1), silence: of(14, 3) },
      pooled: { reported: of(18, 1), silence: of(19, 3) },
      strata: {
        ...{ 'site:s-1': part(10, 1, 2), 'site:s-2': part(3), 'site:s-3': part(0, 0, 1) },
        ...{ 'hardware:A': part(7, 0, 2), 'hardware:B': part(6, 1) },
      },
    });
  });

  test('of a wave that nobody has reported from', () => {
    expect(evidenceFrom([], 0)).toEqual({
      fetching: { fetched: 0, download: 0, space: 0 },
      ...{ reported: of(0), silence: of(0), pooled: { reported: of(0), silence: of(0) }, strata: {} },
    });
  });
});
