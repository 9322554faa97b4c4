import { timestamp } from '../../clock.ts';
import { changed, type Outcome, RefusalKind, refused } from '../executions/outcome.ts';
import type { GateJudgement } from './gate.ts';
import { Verdict } from './sprt.ts';

/** Where a wave is. */
export type WaveStatus =
  /** An earlier wave is not promoted. */
  | { readonly state: 'pending' }
  /** Open, but all its places are closed until then. */
  | { readonly state: 'window-wait'; readonly until: string }
  /** Devices are let in as their units can spare them. */
  | { readonly state: 'admitting' }
  /** The evidence is enough; time must show the rest. */
  | { readonly state: 'baking' }
  /** The next wave may begin. Devices of this one that still wait go on. */
  | { readonly state: 'promoted'; readonly by: string; readonly words: string }
  /** Not good enough to go on, not bad enough to stop. Its own devices go on only when evidence is missing, or some could not fetch it. */
  | { readonly state: 'held'; readonly reason: GateJudgement['reason']; readonly words: string }
  | { readonly state: 'failed'; readonly reason: GateJudgement['reason']; readonly words: string }
  /** Nobody is in it, or all its sites were left out before any of its devices was told. */
  | { readonly state: 'skipped' };

/** A wave of a rollout as it goes. */
export interface Wave {
  readonly name: string;
  /** How many devices are planned for it. */
  readonly devices: number;
  readonly status: WaveStatus;
  /** When it began (RFC 3339). */
  readonly openedAt?: string;
  /** Since when it is in this state (RFC 3339); missing while it is pending. */
  readonly since?: string;
  /** Set when the evidence was enough for the first time (RFC 3339). A later failure does not make the bake shorter. */
  readonly bakeUntil?: string;
}

/** What happens to a wave. */
export type WaveEvent =
  | { readonly kind: 'open' }
  /** All places of its waiting devices are closed; the first opens then (milliseconds since the epoch). */
  | { readonly kind: 'windows-closed'; readonly until: number }
  | { readonly kind: 'window-opened' }
  /** All its sites are left out, and none of its devices was told anything: no evidence will ever come. */
  | { readonly kind: 'left-out' }
  | {
      readonly kind: 'judged';
      readonly judgement: GateJudgement;
      /** `bakeEnd` if the bake begins now, milliseconds since the epoch. */
      readonly bakeUntil: number;
      /** How many of its devices may still bring evidence. */
      readonly waiting: number;
    }
  /** A person takes the responsibility that the evidence does not. The bake is not shortened by that. */
  | {
      readonly kind: 'promote-by-hand';
      readonly by: string;
      readonly reason: string;
      /** `bakeEnd` from `openedAt` on, milliseconds since the epoch. */
      readonly bakeUntil: number;
    };

/** Whether devices of the wave may be let in. */
export function admits({ status }: Wave): boolean {
  const { state } = status;
  if (state === 'held') return status.reason === 'evidence' || status.reason === 'fetch';
  return state === 'admitting' || state === 'baking' || state === 'promoted';
}

/** Whether the next wave may begin. */
export const isPassed = ({ status }: Wave): boolean => status.state === 'promoted' || status.state === 'skipped';

const origins: Readonly<Record<WaveEvent['kind'], readonly WaveStatus['state'][]>> = {
  open: ['pending'],
  'windows-closed': ['admitting', 'window-wait'],
  'window-opened': ['window-wait'],
  'left-out': ['window-wait', 'admitting', 'held'],
  judged: ['window-wait', 'admitting', 'baking', 'held'],
  'promote-by-hand': ['window-wait', 'admitting', 'baking', 'held'],
};

/** What an event makes of a wave. @param at milliseconds since the epoch */
export function advanceWave(wave: Wave, event: WaveEvent, at: number): Outcome<Wave> {
  const { state } = wave.status;
  if (!origins[event.kind].includes(state)) {
    const final = state === 'failed' || isPassed(wave);
    return refused(
      final ? RefusalKind.Final : RefusalKind.NotFromHere,
      `${event.kind} does not lead on from ${state}.`,
    );
  }
  const to = (status: WaveStatus, more: Partial<Wave> = {}) =>
    changed<Wave>({ ...wave, ...more, status, since: timestamp(at) });
  switch (event.kind) {
    case 'open':
      return to({ state: wave.devices === 0 ? 'skipped' : 'admitting' }, { openedAt: timestamp(at) });
    case 'windows-closed':
      if (!(event.until > at)) return refused(RefusalKind.NotAllowed, 'A wave waits until a time to come.');
      return to({ state: 'window-wait', until: timestamp(event.until) });
    case 'window-opened':
      return to({ state: 'admitting' });
    case 'left-out':
      return to({ state: 'skipped' });
    case 'promote-by-hand':
      if (at < event.bakeUntil) return refused(RefusalKind.NotAllowed, 'It has not baked.');
      return to({ state: 'promoted', by: event.by, words: event.reason });
    case 'judged':
      return judged(wave, event, at);
  }
}

/**
 * Whether it is held since devices could not fetch the artifact, and that does not look good yet. Between the bounds of the
 * test it stays as it is: else it would come and go with single devices, and people be told each time.
 */
function stillUnfetched({ status }: Wave, { verdict, reason, fetching }: GateJudgement): boolean {
  if (status.state !== 'held' || status.reason !== 'fetch' || verdict !== Verdict.Hold) return false;
  return (reason === 'bake' || reason === 'evidence') && fetching.evidence > 0;
}

function judged(wave: Wave, event: Extract<WaveEvent, { kind: 'judged' }>, at: number): Outcome<Wave> {
  const { verdict, reason, words } = event.judgement;
  const { state } = wave.status;
  // Other words for the same state do not begin it anew.
  const to = (status: WaveStatus, more: Partial<Wave> = {}) =>
    changed<Wave>({
      ...wave,
      ...more,
      status,
      since: (status.state === state ? wave.since : undefined) ?? timestamp(at),
    });
  if (verdict === Verdict.Stop) return to({ state: 'failed', reason, words });
  if (stillUnfetched(wave, event.judgement)) return changed(wave);
  if (verdict === Verdict.Promote) {
    // The judgement may have been made on an end that was never set.
    const bakes = wave.bakeUntil === undefined || at < Date.parse(wave.bakeUntil);
    if (bakes) return refused(RefusalKind.NotAllowed, 'It has not baked.');
    return to({ state: 'promoted', by: 'gate', words });
  }
  if (reason === 'bake') {
    if (state === 'baking') return changed(wave);
    return to({ state: 'baking' }, { bakeUntil: wave.bakeUntil ?? timestamp(event.bakeUntil) });
  }
  // As long as devices are on their way, missing evidence is the ordinary state of a wave.
  if (reason === 'evidence' && event.waiting > 0 && state !== 'baking') {
    return state === 'held' ? to({ state: 'admitting' }) : changed(wave);
  }
  return to({ state: 'held', reason, words });
}
