import { timestamp } from '../clock.ts';
import type { Permit } from './admission/admission.ts';
import type { Execution } from './executions/execution.ts';
import { changed, type Outcome, RefusalKind, refused } from './executions/outcome.ts';
import type { SafetyEvent } from './gate/gate.ts';
import { admits, advanceWave, isPassed, type Wave, type WaveEvent } from './gate/wave.ts';
import { problemsOf, type WaveDefinition } from './gate/wave-definition.ts';
import type { Advisory } from './plan/advisory.ts';
import type { RolloutOrder } from './plan/order.ts';
import type { Selection } from './plan/selection.ts';

/** What is brought to the devices. */
export interface Artifact {
  readonly kind: 'firmware' | 'os' | 'app' | 'policy' | 'agent';
  readonly name: string;
  readonly version: string;
  /** Lower-case hex. */
  readonly sha256: string;
  /** Detached signature of the artifact, base64. */
  readonly signature: string;
  /** Where devices fetch it (https); without it they know from their maker. */
  readonly url?: string;
}

/** What a person says of a rollout. */
export interface RolloutDefinition {
  readonly name: string;
  readonly artifact: Artifact;
  readonly selection: Selection;
  readonly waves: readonly WaveDefinition[];
  readonly order: RolloutOrder;
  /** What the artifact answers: devices on which one is open come first, where the order is by risk. */
  readonly advisories?: readonly Advisory[];
  /** When the gate stops it: wait for a person, or bring the earlier version back. */
  readonly onStop: 'pause' | 'roll-back';
  /** How devices get back to what they had (rule R10: no start without it). */
  readonly wayBack: string;
  /** How long it is watched after its last wave, hours. */
  readonly soakHours: number;
}

/** Where a rollout is. Only in `running` and `soaking` are devices let in; in `rolling-back`, on their way back. */
export type RolloutState =
  | 'draft'
  | 'planned'
  | 'awaiting-approval'
  | 'scheduled'
  | 'running'
  /** All waves are promoted; it is still watched. */
  | 'soaking'
  | 'completed'
  | 'paused'
  /** Nothing is begun any more; what is being activated is finished. */
  | 'aborting'
  | 'aborted'
  | 'rolling-back'
  | 'rolled-back'
  | 'rollback-partial'
  | 'rejected'
  | 'expired'
  | 'superseded';

/** A rollout. */
export interface Rollout {
  readonly id: string;
  readonly state: RolloutState;
  readonly definition: RolloutDefinition;
  /** Empty until it is planned. */
  readonly waves: readonly Wave[];
  /** `approvalDigest` of what was planned: approved is this and nothing else. */
  readonly digest?: string;
  /** `user:<sub>` */
  readonly createdBy: string;
  readonly submittedBy?: string;
  readonly approvedBy?: string;
  /** Until when it must be approved (RFC 3339). */
  readonly approveUntil?: string;
  readonly paused?: {
    readonly by: 'operator' | 'gate' | 'safety' | 'freeze';
    readonly words: string;
    /** Where it goes on. */
    readonly from: 'running' | 'soaking';
  };
  /** Set when a gate or a safety event stopped it. It never goes forward again. */
  readonly stopped?: string;
  readonly skippedSites: readonly string[];
  /** Until when it is watched (RFC 3339). */
  readonly soakUntil?: string;
  /** Since when it is in this state (RFC 3339). */
  readonly since: string;
  /** Grows with each change; a write names the version that it was decided on. */
  readonly version: number;
}

/** What happens to a rollout. `by` is `user:<sub>`. */
export type RolloutEvent =
  /** Any change of the definition: plan and approval are void. */
  | { readonly kind: 'edit'; readonly definition: RolloutDefinition }
  /** The number of devices of each wave. */
  | { readonly kind: 'planned'; readonly digest: string; readonly devices: readonly number[] }
  | { readonly kind: 'submit'; readonly by: string; readonly approveUntil: number }
  | { readonly kind: 'approve'; readonly by: string; readonly digest: string }
  | { readonly kind: 'reject'; readonly by: string }
  | { readonly kind: 'expire' }
  | { readonly kind: 'start' }
  | { readonly kind: 'pause'; readonly by: 'operator' | 'freeze'; readonly words: string }
  | { readonly kind: 'resume' }
  | { readonly kind: 'skip-site'; readonly siteId: string }
  | { readonly kind: 'wave'; readonly wave: number; readonly event: Exclude<WaveEvent, { kind: 'open' }> }
  /** Devices that came after their wave was promoted fail. */
  | { readonly kind: 'alarm'; readonly wave: number; readonly words: string }
  /** Once is enough, at any time. */
  | { readonly kind: 'safety'; readonly event: SafetyEvent }
  /** Executions that are not at their end. */
  | { readonly kind: 'soaked'; readonly unfinished: number }
  | { readonly kind: 'abort' }
  /** Devices that are being activated or verified. */
  | { readonly kind: 'settled'; readonly activating: number }
  | { readonly kind: 'roll-back' }
  /** What became of the devices on their way back. */
  | { readonly kind: 'rolled-back'; readonly unfinished: number; readonly failed: number }
  /** A newer rollout of the same kind takes its devices over. */
  | { readonly kind: 'supersede' };

/** From which states each event leads on. */
export const rolloutOrigins: Readonly<Record<RolloutEvent['kind'], readonly RolloutState[]>> = {
  edit: ['draft', 'planned', 'awaiting-approval', 'scheduled'],
  planned: ['draft', 'planned'],
  submit: ['planned'],
  approve: ['awaiting-approval'],
  reject: ['awaiting-approval'],
  expire: ['awaiting-approval', 'scheduled'],
  start: ['scheduled'],
  pause: ['running', 'soaking', 'paused'],
  resume: ['paused'],
  'skip-site': ['scheduled', 'running', 'paused'],
  wave: ['running', 'paused'],
  alarm: ['running', 'soaking', 'paused'],
  safety: ['running', 'soaking', 'paused'],
  soaked: ['soaking'],
  abort: ['scheduled', 'running', 'soaking', 'paused'],
  settled: ['aborting'],
  'roll-back': ['running', 'soaking', 'paused', 'aborted', 'completed'],
  'rolled-back': ['rolling-back'],
  // One that has begun has devices on both versions: it is aborted or rolled back first.
  supersede: ['draft', 'planned', 'awaiting-approval', 'scheduled'],
};

const finals: readonly RolloutState[] = ['rolled-back', 'rollback-partial', 'rejected', 'expired', 'superseded'];

/** A new rollout, as a draft. @param at milliseconds since the epoch */
export const draftRollout = (id: string, definition: RolloutDefinition, by: string, at: number): Rollout => ({
  id,
  state: 'draft',
  definition,
  waves: [],
  createdBy: by,
  skippedSites: [],
  since: timestamp(at),
  version: 1,
});

/** The same once more, as a draft: nothing of the plan, the approval or what happened comes with it. */
export const cloneRollout = (rollout: Rollout, id: string, by: string, at: number): Rollout =>
  draftRollout(id, rollout.definition, by, at);

/**
 * What an event makes of a rollout.
 *
 * @param expected the version that the event was decided on
 * @param at milliseconds since the epoch, our clock
 */
export function advanceRollout(rollout: Rollout, event: RolloutEvent, expected: number, at: number): Outcome<Rollout> {
  if (rollout.version !== expected) {
    return refused(RefusalKind.Conflict, `It is at version ${rollout.version}, not ${expected}.`);
  }
  if (!rolloutOrigins[event.kind].includes(rollout.state)) {
    const kind = finals.includes(rollout.state) ? RefusalKind.Final : RefusalKind.NotFromHere;
    return refused(kind, `${event.kind} does not lead on from ${rollout.state}.`);
  }
  if (event.kind === 'edit') {
    const draft = draftRollout(rollout.id, event.definition, rollout.createdBy, at);
    return changed({ ...draft, version: rollout.version + 1 });
  }
  const next = changesBy(rollout, event, at);
  if (!next.ok) return next;
  const { state = rollout.state } = next.value;
  const since = state === rollout.state ? rollout.since : timestamp(at);
  const { paused, ...kept } = { ...rollout, ...next.value };
  return changed({
    ...kept,
    ...(state === 'paused' && paused !== undefined ? { paused } : {}),
    since,
    version: rollout.version + 1,
  });
}

type Changes = Partial<Rollout>;

function changesBy(rollout: Rollout, event: Exclude<RolloutEvent, { kind: 'edit' }>, at: number): Outcome<Changes> {
  switch (event.kind) {
    case 'planned':
      return planned(rollout, event);
    case 'submit':
      if (!(event.approveUntil > at)) return refused(RefusalKind.NotAllowed, 'The time to approve is over already.');
      return changed({
        state: 'awaiting-approval',
        submittedBy: event.by,
        approveUntil: timestamp(event.approveUntil),
      });
    case 'approve':
      return approved(rollout, event, at);
    case 'reject':
      return changed({ state: 'rejected' });
    case 'expire':
      return changed({ state: 'expired' });
    case 'start':
      return changed({ state: 'running', ...openNext(rollout, rollout.waves, at) });
    case 'pause':
      return pausedBy(rollout, event);
    case 'resume':
      if (rollout.stopped !== undefined) {
        return refused(RefusalKind.NotAllowed, `It was stopped: ${rollout.stopped} Roll back, abort, or clone it.`);
      }
      return changed({ state: rollout.paused?.from ?? 'running' });
    case 'skip-site':
      return changed({ skippedSites: [...new Set([...rollout.skippedSites, event.siteId])] });
    case 'wave':
      return waveChanges(rollout, event, at);
    case 'alarm':
      return changed(stop(rollout, 'gate', event.words));
    case 'safety':
      return changed(stop(rollout, 'safety', stoppedBy(event.event)));
    case 'soaked':
      if (rollout.soakUntil === undefined || at < Date.parse(rollout.soakUntil)) {
        return refused(RefusalKind.NotAllowed, `It is watched until ${rollout.soakUntil}.`);
      }
      if (event.unfinished > 0)
        return refused(RefusalKind.NotAllowed, `${event.unfinished} devices have not finished.`);
      return changed({ state: 'completed' });
    case 'abort':
      return changed({ state: 'aborting' });
    case 'settled':
      if (event.activating > 0) {
        return refused(
          RefusalKind.NotAllowed,
          `${event.activating} devices are being activated and are not interrupted.`,
        );
      }
      return changed({ state: 'aborted' });
    case 'roll-back':
      return changed({ state: 'rolling-back' });
    case 'rolled-back':
      if (event.unfinished > 0)
        return refused(RefusalKind.NotAllowed, `${event.unfinished} devices have not finished.`);
      return changed({ state: event.failed > 0 ? 'rollback-partial' : 'rolled-back' });
    case 'supersede':
      return changed({ state: 'superseded' });
  }
}

function planned(
  { definition }: Rollout,
  { digest, devices }: Extract<RolloutEvent, { kind: 'planned' }>,
): Outcome<Changes> {
  const [problem] = problemsOf(definition.waves);
  if (problem !== undefined) return refused(RefusalKind.NotAllowed, problem);
  if (devices.length !== definition.waves.length || devices.every((count) => count === 0)) {
    return refused(RefusalKind.NotAllowed, 'The plan has no devices.');
  }
  const waves = definition.waves.map(
    ({ name }, index): Wave => ({ name, devices: devices[index] ?? 0, status: { state: 'pending' } }),
  );
  return changed({ state: 'planned', digest, waves });
}

function approved(
  rollout: Rollout,
  { by, digest }: Extract<RolloutEvent, { kind: 'approve' }>,
  at: number,
): Outcome<Changes> {
  if (by === rollout.submittedBy || by === rollout.createdBy) {
    return refused(RefusalKind.NotAllowed, 'Another person than who made or submitted it must approve it.');
  }
  if (digest !== rollout.digest) {
    return refused(RefusalKind.NotAllowed, 'The plan is not the one that you looked at; look at it again.');
  }
  if (rollout.approveUntil === undefined || at >= Date.parse(rollout.approveUntil)) {
    return refused(RefusalKind.NotAllowed, 'The time to approve it is over.');
  }
  if (rollout.definition.wayBack.trim() === '') {
    return refused(RefusalKind.NotAllowed, 'It does not say how devices get back to what they had (R10).');
  }
  return changed({ state: 'scheduled', approvedBy: by });
}

function pausedBy(
  { state, paused }: Rollout,
  { by, words }: Extract<RolloutEvent, { kind: 'pause' }>,
): Outcome<Changes> {
  // The first reason stays, except that a person's word outlasts the end of a freeze.
  if (state === 'paused' && !(paused?.by === 'freeze' && by === 'operator')) {
    return refused(RefusalKind.NotFromHere, 'It is paused already.');
  }
  const from = state === 'soaking' ? 'soaking' : (paused?.from ?? 'running');
  return changed({ state: 'paused', paused: { by, words, from } });
}

function waveChanges(
  rollout: Rollout,
  { wave: index, event }: Extract<RolloutEvent, { kind: 'wave' }>,
  at: number,
): Outcome<Changes> {
  const wave = rollout.waves[index];
  if (wave === undefined) return refused(RefusalKind.NotAllowed, `There is no wave ${index}.`);
  if (event.kind === 'promote-by-hand' && rollout.state !== 'running') {
    return refused(RefusalKind.NotAllowed, 'Resume it first.');
  }
  const next = advanceWave(wave, event, at);
  if (!next.ok) return next;
  const waves = rollout.waves.with(index, next.value);
  const { status } = next.value;
  if (status.state === 'failed') {
    return changed({ waves, ...stop(rollout, status.reason === 'safety-event' ? 'safety' : 'gate', status.words) });
  }
  if (!isPassed(next.value)) return changed({ waves });
  return changed(openNext(rollout, waves, at));
}

/** Opens the first wave that is left; empty ones are skipped. After the last the rollout is watched. */
function openNext(rollout: Rollout, waves: readonly Wave[], at: number): Changes {
  let opened = waves;
  for (const [index, wave] of waves.entries()) {
    if (isPassed(wave)) continue;
    if (wave.status.state !== 'pending') return { waves: opened };
    const next = advanceWave(wave, { kind: 'open' }, at);
    if (!next.ok) return { waves: opened };
    opened = opened.with(index, next.value);
    if (!isPassed(next.value)) return { waves: opened };
  }
  const soakUntil = timestamp(at + rollout.definition.soakHours * 3_600_000);
  if (rollout.paused !== undefined) return { waves: opened, soakUntil, paused: { ...rollout.paused, from: 'soaking' } };
  return { waves: opened, soakUntil, state: 'soaking' };
}

/** Why a rollout is stopped by such an event. */
export const stoppedBy = ({ deviceId, kind }: SafetyEvent): string => `${deviceId}: ${kind}.`;

function stop(rollout: Rollout, by: 'gate' | 'safety', words: string): Changes {
  const stopped = rollout.stopped ?? words;
  if (rollout.definition.onStop === 'roll-back') return { state: 'rolling-back', stopped };
  const from = rollout.paused?.from ?? (rollout.state === 'soaking' ? 'soaking' : 'running');
  return { state: 'paused', stopped, paused: { by, words, from } };
}

/**
 * Whether the rollout lets a device go on: be told to download, or be activated. One look at the rollout decides, so that
 * a pause holds from the next device on.
 */
export function permitOf(
  rollout: Rollout,
  { wave, siteId, direction }: Pick<Execution, 'wave' | 'siteId' | 'direction'>,
): Permit {
  const no = (reason: 'paused' | 'wave', words: string): Permit => ({ allowed: false, reason, words });
  if (direction === 'back') {
    return rollout.state === 'rolling-back' ? { allowed: true } : no('paused', `The rollout is ${rollout.state}.`);
  }
  if (rollout.state !== 'running' && rollout.state !== 'soaking') {
    return no('paused', rollout.paused?.words ?? `The rollout is ${rollout.state}.`);
  }
  if (rollout.skippedSites.includes(siteId)) return no('wave', 'The site is skipped.');
  const own = rollout.waves[wave];
  if (own === undefined || !rollout.waves.slice(0, wave).every(isPassed)) {
    return no('wave', 'An earlier wave is not promoted.');
  }
  return admits(own) ? { allowed: true } : no('wave', `Wave ${own.name} is ${own.status.state}.`);
}

/** Whether anybody who was let go on before is not any more: the rollout was paused, a site left out, a wave held. */
export function takesBack(before: Rollout, after: Rollout): boolean {
  const left = after.skippedSites.filter((siteId) => !before.skippedSites.includes(siteId));
  // Of the sites that were not left out one stands for all.
  const places = before.waves.flatMap((_, wave) => ['', ...left].map((siteId) => ({ wave, siteId })));
  const allows = (rollout: Rollout, place: (typeof places)[number], direction: Execution['direction']) =>
    permitOf(rollout, { ...place, direction }).allowed;
  return (['forward', 'back'] as const).some((direction) =>
    places.some((place) => allows(before, place, direction) && !allows(after, place, direction)),
  );
}
