import { admits, isPassed } from '../gate/wave.ts';
import type { Rollout, RolloutState } from '../rollout.ts';
import type { Wait } from './wait-store.ts';

/** What a waiting step of a state machine is told. The definitions choose by these words. */
export const WaitVerdict = {
  /** `window`: the wave may begin at this site. */
  Open: 'OPEN',
  /** `monitor`: the wave is promoted; on to the next. */
  Promote: 'PROMOTE',
  /** `window`, `monitor`: paused, or the wave is held; wait in `hold`. */
  Hold: 'HOLD',
  /** `hold`: look at the wave again. Never says that it is promoted: the site may not have begun it. */
  Resume: 'RESUME',
  /** The devices go back to what they had. */
  RollBack: 'ROLLBACK',
  /** Nothing is begun any more at this site. */
  Stop: 'STOP',
  /** `finish`, `back`: it is over. */
  Done: 'DONE',
} as const;
export type WaitVerdict = (typeof WaitVerdict)[keyof typeof WaitVerdict];

/** A wait that is over, and what its state machine goes on with. */
export interface Answer {
  readonly wait: Wait;
  readonly output: { readonly verdict: WaitVerdict };
}

/** What an answer needs to know besides the rollout. */
export interface WaitFacts {
  /** Whether a unit of the site with devices in this wave has its window open now. */
  readonly isOpen: (siteId: string, wave: number) => boolean;
  /** Whether so many devices of the site that were told to go back came to an end, and none is on its way. */
  readonly isBack: (siteId: string, told: number) => boolean;
  /** Whether devices are left that nobody has told to go back: their sites were through before. */
  readonly backMissing: boolean;
}

/** After these nothing happens any more, unless a person rolls back what was completed or aborted. */
const over: ReadonlySet<RolloutState> = new Set([
  'completed',
  'aborted',
  'rolled-back',
  'rollback-partial',
  'rejected',
  'expired',
  'superseded',
]);

/**
 * Which open waits are over, and what each is told. Pure; the same answers again are harmless, since a token counts once.
 *
 * Whatever ends a rollout ends each of its waits. What is paused or held is told so once, and then waits in `hold`.
 */
export function answersFor(rollout: Rollout, waits: readonly Wait[], facts: WaitFacts): readonly Answer[] {
  return waits.flatMap((wait) => {
    const verdict = verdictFor(rollout, wait, facts);
    return verdict === undefined ? [] : [{ wait, output: { verdict } }];
  });
}

function verdictFor(rollout: Rollout, wait: Wait, facts: WaitFacts): WaitVerdict | undefined {
  const { state } = rollout;
  switch (wait.step) {
    case 'finish':
      if (over.has(state)) return WaitVerdict.Done;
      if (state !== 'rolling-back') return undefined;
      // A site that was through brings its own back at once; the whole rollout looks for those that nobody told.
      return wait.siteId !== undefined || facts.backMissing ? WaitVerdict.RollBack : undefined;
    case 'back':
      if (state !== 'rolling-back') return WaitVerdict.Done;
      return wait.siteId !== undefined && facts.isBack(wait.siteId, wait.told ?? 0) ? WaitVerdict.Done : undefined;
    default:
      return siteVerdict(rollout, wait, facts);
  }
}

/** For a site that waits in one of its waves. */
function siteVerdict(rollout: Rollout, wait: Wait, facts: WaitFacts): WaitVerdict | undefined {
  const { state, waves, skippedSites } = rollout;
  const { siteId = '', step } = wait;
  if (state === 'rolling-back') return WaitVerdict.RollBack;
  const wave = wait.wave === undefined ? undefined : waves[wait.wave];
  // A site whose last wave was promoted is through, whatever the rollout came to since.
  if (step === 'monitor' && wave?.status.state === 'promoted' && state === 'completed') return WaitVerdict.Promote;
  if (over.has(state) || state === 'aborting' || skippedSites.includes(siteId)) return WaitVerdict.Stop;
  // A wave that does not exist is a mistake of the definition; to wait for it would be for ever.
  if (wave === undefined || wait.wave === undefined) return WaitVerdict.Stop;
  if (state !== 'running' && state !== 'soaking') return step === 'hold' ? undefined : WaitVerdict.Hold;
  const stands = wave.status.state === 'held' || wave.status.state === 'failed';
  switch (step) {
    case 'window': {
      if (wave.status.state === 'skipped') return WaitVerdict.Promote;
      const turn = waves.slice(0, wait.wave).every(isPassed) && admits(wave);
      return turn && facts.isOpen(siteId, wait.wave) ? WaitVerdict.Open : undefined;
    }
    case 'monitor':
      if (isPassed(wave)) return WaitVerdict.Promote;
      return stands ? WaitVerdict.Hold : undefined;
    default:
      return stands ? undefined : WaitVerdict.Resume;
  }
}
