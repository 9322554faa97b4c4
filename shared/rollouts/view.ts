import type { Comparison } from './gate/control.ts';
import { judge, successesMissing } from './gate/gate.ts';
import { worstShareAfter } from './gate/intervals.ts';
import { evidenceOfWave } from './gate/judge-wave.ts';
import { sequentialTest } from './gate/sprt.ts';
import type { WaveTally } from './gate/tally.ts';
import { isPassed, type Wave } from './gate/wave.ts';
import type { Rollout } from './rollout.ts';
import type { StoredRollout } from './rollout-store.ts';
import { isVisible, type ReadsSite, withoutOtherSites } from './visible.ts';

/** What is counted of a rollout, beside the rollout itself. */
export interface Progress {
  readonly tallies: readonly WaveTally[];
  /** The last comparison of each wave with devices that are not updated yet. */
  readonly control: ReadonlyMap<number, readonly Comparison[]>;
}

/** A rollout as lists show it. */
export function summaryView(rollout: StoredRollout, readsSite: ReadsSite) {
  const shown = (sentence: string) => withoutOtherSites(sentence, readsSite);
  const { id, state, since, definition, waves, createdBy, createdAt, stopped } = rollout;
  const { kind, name, version } = definition.artifact;
  return {
    id,
    name: definition.name,
    artifact: { kind, name, version },
    state,
    since,
    words: shown(wordsOf(rollout)),
    createdBy,
    createdAt,
    ...(stopped === undefined ? {} : { stopped: shown(stopped) }),
    waves: waves.map((wave) => ({ name: wave.name, devices: wave.devices, state: wave.status.state })),
  };
}

/**
 * A rollout with all that is known of its progress. What is known of single sites is shown of those that the reader may
 * look at; sums are of all, since the rollout goes on or stops as a whole.
 *
 * @param now milliseconds since the epoch
 */
export function rolloutView(rollout: StoredRollout, progress: Progress, readsSite: ReadsSite, now: number) {
  const { createdAt, plan, version: _version, waves, stopped, paused, skippedSites, ...rest } = rollout;
  const shown = (sentence: string) => withoutOtherSites(sentence, readsSite);
  const forward = progress.tallies.filter(({ direction }) => direction === 'forward');
  const back = progress.tallies.filter(({ direction }) => direction === 'back');
  return {
    ...rest,
    ...(stopped === undefined ? {} : { stopped: shown(stopped) }),
    ...(paused === undefined ? {} : { paused: { ...paused, words: shown(paused.words) } }),
    skippedSites: skippedSites.filter(readsSite),
    createdAt,
    words: shown(wordsOf(rollout)),
    ...(plan === undefined ? {} : { plan }),
    waves: waves.map((wave, index) => waveView(rollout, progress, wave, index, readsSite, now)),
    counts: countsOf(forward),
    ...(back.length === 0 ? {} : { back: countsOf(back) }),
  };
}

function waveView(rollout: Rollout, progress: Progress, wave: Wave, index: number, readsSite: ReadsSite, now: number) {
  const { name, devices, status, since, openedAt, bakeUntil } = wave;
  const tallies = progress.tallies.filter((tally) => tally.direction === 'forward' && tally.wave === index);
  const counts = countsOf(tallies);
  const begun = Object.values(counts.states).reduce((sum, count) => sum + count, 0);
  const open = openedAt !== undefined && status.state !== 'skipped';
  return {
    name,
    devices,
    state: status.state,
    words: withoutOtherSites(waveWords(rollout, wave, index), readsSite),
    ...(since === undefined ? {} : { since }),
    ...(openedAt === undefined ? {} : { openedAt }),
    ...(status.state === 'window-wait' ? { opensAt: status.until } : {}),
    ...(bakeUntil === undefined ? {} : { bakeUntil }),
    ...counts,
    /** In the plan, and not begun. */
    planned: Math.max(0, devices - begun),
    ...(open ? { gate: gateView(rollout, progress, wave, index, readsSite, now) } : {}),
    cleanExcludes: worstShareAfter(devices),
  };
}

/** What the gate of an open wave has seen, what it says, and what it misses. */
function gateView(
  { definition }: Rollout,
  { tallies, control }: Progress,
  wave: Wave,
  index: number,
  readsSite: ReadsSite,
  now: number,
) {
  const settings = definition.waves[index]?.gate;
  if (settings === undefined) return undefined;
  const evidence = evidenceOfWave(wave, index, tallies, control.get(index) ?? []);
  const judgement = judge(evidence, settings, now);
  const pooledSilence = sequentialTest(evidence.pooled.silence, settings.silence);
  const { verdict, reason, words, failures, silence, pooled, interval, strata } = judgement;
  return {
    verdict,
    reason,
    words: withoutOtherSites(words, readsSite),
    seen: failures.tally,
    silence: silence.tally,
    allWaves: pooled.tally,
    interval,
    looksFor: settings.failures.p1,
    missing: { comeThrough: successesMissing(failures, pooled), report: successesMissing(silence, pooledSilence) },
    failuresToStop: failures.failuresToStop,
    position: failures.position,
    strata: Object.entries(evidence.strata)
      .filter(([stratum]) => isVisible(stratum, readsSite))
      .map(([stratum, tally]) => ({
        stratum,
        ...tally,
        stops: strata.some((other) => other.stratum === stratum),
      }))
      .sort((a, b) => b.failure + b.silent - (a.failure + a.silent) || (a.stratum < b.stratum ? -1 : 1)),
    control: judgement.control.findings.filter(({ stratum }) => isVisible(stratum, readsSite)),
  };
}

/** Devices by state, those that wait by what they wait for, those that take no part and those that could not fetch it by why. */
function countsOf(tallies: readonly WaveTally[]) {
  const states: Record<string, number> = {};
  const waiting: Record<string, number> = {};
  const ineligible: Record<string, number> = {};
  const unfetched: Record<string, number> = {};
  const add = (to: Record<string, number>, name: string, count: number) => {
    to[name] = (to[name] ?? 0) + count;
  };
  for (const tally of tallies) {
    for (const [state, count] of Object.entries(tally.states)) add(states, state, count);
    for (const [reason, count] of Object.entries(tally.reasons)) {
      if (reason.startsWith('ineligible:')) add(ineligible, reason.slice('ineligible:'.length), count);
      else if (reason.startsWith('unfetched:')) add(unfetched, reason.slice('unfetched:'.length), count);
      else add(waiting, reason, count);
    }
  }
  return { states, waiting, ineligible, unfetched };
}

/** The first wave that is not passed; undefined before the plan and after the last. */
export const currentWave = ({ waves }: Pick<Rollout, 'waves'>): Wave | undefined =>
  waves.find((wave) => !isPassed(wave));

function waveWords({ waves }: Rollout, { status, devices, bakeUntil }: Wave, index: number): string {
  switch (status.state) {
    case 'pending': {
      const earlier = waves.slice(0, index).find((wave) => !isPassed(wave));
      return earlier === undefined ? 'It begins with the rollout.' : `It begins when "${earlier.name}" is promoted.`;
    }
    case 'window-wait':
      return `All its places are closed; the first opens at ${status.until}.`;
    case 'admitting':
      return `Its ${devices} devices are let in as their units can spare them.`;
    case 'baking':
      return `The evidence is enough; it is watched until ${bakeUntil}, so that another shift works with it.`;
    case 'skipped':
      return 'No device is in it, or all its sites are left out.';
    case 'promoted':
      return `Promoted by ${status.by}: ${status.words}`;
    default:
      return status.words;
  }
}

/** Where the rollout is and what it waits for, in a sentence or two. */
export function wordsOf(rollout: Rollout & Pick<StoredRollout, 'plan'>): string {
  const { state, plan, approveUntil, approvedBy, paused, stopped, soakUntil } = rollout;
  switch (state) {
    case 'draft':
      if (plan?.state === 'planning') return 'It is being planned.';
      if (plan?.state === 'failed') return `It could not be planned: ${plan.problem ?? 'nobody knows why.'}`;
      return 'A draft. Plan it to see which devices take part, and when.';
    case 'planned':
      return plan?.state === 'planning' ? 'It is being planned again.' : 'Planned. Look at the plan, then submit it.';
    case 'awaiting-approval':
      return `Another person must approve the plan until ${approveUntil}.`;
    case 'scheduled':
      return `Approved by ${approvedBy}. It can be started.`;
    case 'running': {
      const wave = currentWave(rollout);
      return wave === undefined ? 'All waves are passed.' : `"${wave.name}": ${waveStateWords(wave)}`;
    }
    case 'soaking':
      return `All waves are promoted. It is watched until ${soakUntil}.`;
    case 'paused':
      return stopped === undefined
        ? `Paused by ${paused?.by}: ${paused?.words}`
        : `Stopped: ${stopped} It never goes forward again: roll back, abort, or clone it.`;
    case 'aborting':
      return 'Nothing is begun any more; what is being activated is finished.';
    case 'rolling-back':
      return `Devices go back to what they had${stopped === undefined ? '.' : `: ${stopped}`}`;
    default:
      return endWords[state];
  }
}

const waveStateWords = ({ status, devices, bakeUntil }: Wave): string =>
  status.state === 'held'
    ? `held. ${status.words}`
    : status.state === 'baking'
      ? `baking until ${bakeUntil}.`
      : status.state === 'window-wait'
        ? `waits for the first window, which opens at ${status.until}.`
        : `${devices} devices are let in as their units can spare them.`;

const endWords = {
  completed: 'Completed.',
  aborted: 'Aborted: what was not activated was withdrawn. It can still be rolled back.',
  'rolled-back': 'All its devices are back at what they had.',
  'rollback-partial': 'Rolled back, but not all devices got back; look at those that failed.',
  rejected: 'Refused. Clone it to begin anew.',
  expired: 'Nobody approved or started it in time. Clone it to begin anew.',
  superseded: 'Replaced by a newer rollout.',
} as const;
