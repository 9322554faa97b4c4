import { endedIn, evidenceOfWave, openWave, waitingIn } from '../../../../../shared/rollouts/gate/judge-wave.ts';
import type { WaveTally } from '../../../../../shared/rollouts/gate/tally.ts';
import type { Wave } from '../../../../../shared/rollouts/gate/wave.ts';
import type { SiteSummary } from '../../../../../shared/rollouts/plan/site-summary.ts';
import type { Rollout } from '../../../../../shared/rollouts/rollout.ts';
import { rolloutBegin, storedRollout } from '../../../../support/rollouts.ts';

const wave = (status: Wave['status'], openedAt?: string): Wave => ({
  ...{ name: 'Any', devices: 5, status },
  ...(openedAt === undefined ? {} : { openedAt }),
});
const at = new Date(rolloutBegin).toISOString();
const promoted = wave({ state: 'promoted', by: 'gate', words: 'Good.' }, at);
const skipped = wave({ state: 'skipped' }, at);
const pending = wave({ state: 'pending' });
const withWaves = (...waves: readonly Wave[]): Rollout => ({ ...storedRollout('ro-1'), waves });

test('the wave under way is the first that is not passed, once it has begun', () => {
  expect(openWave(withWaves(pending, pending))).toBeUndefined();
  expect(openWave(withWaves(wave({ state: 'admitting' }, at), pending))).toBe(0);
  expect(openWave(withWaves(promoted, skipped, wave({ state: 'baking' }, at)))).toBe(2);
  expect(openWave(withWaves(promoted, skipped))).toBeUndefined();
});

const tally = (siteId: string, states: Record<string, number>, more: Partial<WaveTally> = {}): WaveTally => ({
  ...{ rolloutId: 'ro-1', direction: 'forward', wave: 1, siteId, states, reasons: {}, strata: {} },
  ...{ reported: { success: 0, failure: 0 }, silence: { success: 0, failure: 0 } },
  ...more,
});
const site = (siteId: string, devices: readonly number[]) => ({ siteId, devices }) as unknown as SiteSummary;

test('a device may bring evidence until it is at its end, also one that nobody has told yet; not at a site that is left out', () => {
  const summaries = [site('s-1', [3, 10]), site('s-2', [0, 4]), site('s-3', [0, 6])];
  const tallies = [
    tally('s-1', { succeeded: 3, failed: 1, 'timed-out': 1, armed: 2, deferred: 1, ineligible: 1 }),
    tally('s-2', { cancelled: 4 }),
    tally('s-1', { succeeded: 3 }, { wave: 0 }),
    tally('s-1', { succeeded: 2 }, { direction: 'back' }),
  ];
  expect(endedIn(tallies[0] ?? tally('', {}))).toBe(6);
  expect(waitingIn({ skippedSites: [] }, 1, summaries, tallies)).toBe(4 + 0 + 6);
  expect(waitingIn({ skippedSites: ['s-3'] }, 1, summaries, tallies)).toBe(4);
  // A device that moved to another site is at its end there: fewer than none cannot be left.
  expect(waitingIn({ skippedSites: [] }, 1, [site('s-2', [0, 1])], tallies)).toBe(0);
});

test('the gate is told the end of the bake once there is one', () => {
  const admitting = wave({ state: 'admitting' }, at);
  expect(evidenceOfWave(admitting, 1, [], [])).not.toHaveProperty('bakeUntil');
  const baking = { ...admitting, bakeUntil: at };
  expect(evidenceOfWave(baking, 1, [tally('s-1', {}, { reported: { success: 4, failure: 1 } })], [])).toMatchObject({
    bakeUntil: rolloutBegin,
    reported: { success: 4, failure: 1 },
    strata: { 'site:s-1': { success: 4, failure: 1 } },
    safety: [],
  });
});
