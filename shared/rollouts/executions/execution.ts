import { timestamp } from '../../clock.ts';
import type { DeviceClass, DeviceId } from '../../devices/device.ts';
import type { Admitted } from '../admission/admission.ts';
import type { Ineligibility } from '../plan/selection.ts';
import type { DeferralReason } from './deferral.ts';
import { changed, type Outcome, RefusalKind, refused } from './outcome.ts';

/** What went wrong on a device. */
export const FailureClass = {
  Download: 'download',
  /** What was downloaded is not what was sent. */
  Checksum: 'checksum',
  Signature: 'signature',
  Space: 'space',
  Install: 'install',
  /** It came back and found itself broken. */
  SelfTest: 'self-test',
  /** It lost the path of its alarms, or did not return to service: stays away until a person has put it back. */
  Safety: 'safety',
  Other: 'other',
} as const;
export type FailureClass = (typeof FailureClass)[keyof typeof FailureClass];

/** Steps in which a device may be overtaken by time. */
export type Stage = 'queued' | 'staged' | 'armed' | 'activating' | 'verifying';

/** Where a device is. Downloading is allowed in use, activating is not; so they are different states. */
export type ExecutionStatus =
  /** In a wave that has not begun. */
  | { readonly state: 'planned' }
  | { readonly state: 'ineligible'; readonly reason: Ineligibility }
  /** Told to download. */
  | { readonly state: 'queued' }
  /** Waits; then goes on from `from`. */
  | { readonly state: 'deferred'; readonly reason: DeferralReason; readonly until: string; readonly from: WaitingState }
  /** Downloaded, and its checksum is right. Allowed in use. */
  | { readonly state: 'staged' }
  /** Waits for its turn, and for a moment in which nobody uses it. */
  | { readonly state: 'armed' }
  /** Was let in: out of service from now on. Never interrupted. */
  | { readonly state: 'activating' }
  /** Says that it is installed; not yet seen to work. */
  | { readonly state: 'verifying' }
  | { readonly state: 'succeeded' }
  | { readonly state: 'failed'; readonly class: FailureClass }
  | { readonly state: 'timed-out'; readonly stage: Stage }
  | { readonly state: 'rejected'; readonly reason: string }
  /** The device went back to what it had by itself, and works. */
  | { readonly state: 'rolled-back' }
  | { readonly state: 'cancelled'; readonly reason: string };
export type WaitingState = 'queued' | 'staged' | 'armed';
export type ExecutionState = ExecutionStatus['state'];

/** A device's way through a rollout. */
export interface Execution {
  readonly rolloutId: string;
  readonly deviceId: DeviceId;
  readonly siteId: string;
  readonly unitId: string;
  readonly class: DeviceClass;
  /** Of what: a device has at most one unfinished execution for each kind. */
  readonly artifactKind: string;
  /** What the download must be, lower-case hex. */
  readonly sha256: string;
  readonly wave: number;
  /** `back` brings the earlier version again. */
  readonly direction: 'forward' | 'back';
  readonly status: ExecutionStatus;
  /** When it was told to download (RFC 3339). */
  readonly dispatchedAt?: string;
  /** When it was let in (RFC 3339): from then on it may run the new version, whatever came of it. */
  readonly activatedAt?: string;
  /** Since when it is in this state (RFC 3339, our clock). */
  readonly since: string;
  /** Taken away from the unit, and not known to have come back: counts against the unit's spares, even after the end. */
  readonly outOfService: boolean;
  /** Set while it is let in although it was out of service already: on its way back after it failed. */
  readonly wasAway?: true;
  /** Grows with each change; a write names the version that it was decided on. */
  readonly version: number;
}

/** What happens to a device. */
export type ExecutionEvent =
  | { readonly kind: 'dispatch' }
  | { readonly kind: 'exclude'; readonly reason: Ineligibility }
  | { readonly kind: 'defer'; readonly reason: DeferralReason; readonly until: number }
  | { readonly kind: 'look-again' }
  | { readonly kind: 'staged'; readonly sha256: string }
  | { readonly kind: 'arm' }
  | { readonly kind: 'activate'; readonly admission: Admitted }
  /** The device was let in and has not begun: it says "not now", or a brake kept the command back. */
  | { readonly kind: 'given-back'; readonly reason: DeferralReason; readonly until: number }
  | { readonly kind: 'installed' }
  | { readonly kind: 'verified' }
  /** `untouched`: it was let in and could not even begin, so it works as before. */
  | { readonly kind: 'failed'; readonly class: FailureClass; readonly untouched?: true }
  | { readonly kind: 'time-out' }
  | { readonly kind: 'rejected'; readonly reason: string }
  | { readonly kind: 'rolled-back' }
  | { readonly kind: 'cancel'; readonly reason: string }
  /** A device that was given up is seen to work again, or a person put it back. */
  | { readonly kind: 'returned' };

const finals: ReadonlySet<ExecutionState> = new Set([
  'ineligible',
  'succeeded',
  'failed',
  'timed-out',
  'rejected',
  'rolled-back',
  'cancelled',
]);

/** Whether it came to its end. */
export const isFinal = ({ status }: Pick<Execution, 'status'>): boolean => finals.has(status.state);

/** Whether an execution in this state, by its name, came to its end. */
export const isFinalState = (state: string): boolean => finals.has(state as ExecutionState);

/** Whether a device must be told to go back when its rollout does: it was let in, and did not go back by itself. */
export const mustGoBack = ({ direction, activatedAt, status }: Execution): boolean =>
  direction === 'forward' && activatedAt !== undefined && finals.has(status.state) && status.state !== 'rolled-back';

/** From which states an event leads on. What comes from elsewhere came twice, late or out of order, and changes nothing. */
const origins: Readonly<Record<ExecutionEvent['kind'], readonly ExecutionState[]>> = {
  dispatch: ['planned'],
  exclude: ['planned', 'queued', 'deferred'],
  defer: ['queued', 'staged', 'armed', 'deferred'],
  'look-again': ['deferred'],
  staged: ['queued', 'deferred'],
  arm: ['staged'],
  activate: ['armed'],
  'given-back': ['activating'],
  installed: ['activating'],
  // The word that it is installed may be lost or overtaken; that the new version works says more.
  verified: ['activating', 'verifying'],
  failed: ['queued', 'staged', 'armed', 'deferred', 'activating', 'verifying'],
  'time-out': ['queued', 'deferred', 'staged', 'armed', 'activating', 'verifying'],
  // A person at the device may say no to what it was just handed.
  rejected: ['queued', 'staged', 'armed', 'deferred', 'activating'],
  'rolled-back': ['activating', 'verifying'],
  // An activation is never interrupted: half an update is worse than either version.
  cancel: ['planned', 'queued', 'staged', 'armed', 'deferred'],
  // One that was given up may be on its way back to the version before, or have been withdrawn from that. While it is being
  // activated nobody can know that it works.
  returned: ['failed', 'timed-out', 'staged', 'armed', 'deferred', 'cancelled'],
};

/**
 * What an event makes of an execution.
 *
 * @param expected the version that the event was decided on
 * @param at milliseconds since the epoch, our clock
 */
export function advance(execution: Execution, event: ExecutionEvent, expected: number, at: number): Outcome<Execution> {
  if (execution.version !== expected) {
    return refused(RefusalKind.Conflict, `It is at version ${execution.version}, not ${expected}.`);
  }
  const { state } = execution.status;
  if (!origins[event.kind].includes(state)) {
    const kind = isFinal(execution) ? RefusalKind.Final : RefusalKind.NotFromHere;
    return refused(kind, `${event.kind} does not lead on from ${state}.`);
  }
  const next = statusAfter(execution, event, at);
  if (!next.ok) return next;
  const status = next.value;
  const { activatedAt: _never, wasAway: _was, ...before } = execution;
  return changed({
    ...(neverBegan(event) ? before : execution),
    status,
    ...(event.kind === 'dispatch' ? { dispatchedAt: timestamp(at) } : {}),
    ...(event.kind === 'activate'
      ? { activatedAt: timestamp(at), ...(execution.outOfService ? { wasAway } : {}) }
      : {}),
    since: status === execution.status ? execution.since : timestamp(at),
    outOfService: isOutOfService(execution, event, status),
    version: execution.version + 1,
  });
}

function statusAfter(execution: Execution, event: ExecutionEvent, at: number): Outcome<ExecutionStatus> {
  const { status } = execution;
  switch (event.kind) {
    case 'dispatch':
      return changed({ state: 'queued' });
    case 'exclude':
      return changed({ state: 'ineligible', reason: event.reason });
    case 'defer':
      return deferred(status, event, at);
    case 'look-again':
      return status.state === 'deferred' ? changed({ state: status.from }) : changed(status);
    case 'staged':
      return staged(execution, event.sha256);
    case 'arm':
      return changed({ state: 'armed' });
    case 'activate':
      return activated(execution, event.admission, at);
    case 'given-back':
      if (!(event.until > at)) return refused(RefusalKind.NotAllowed, 'A device waits until a time to come.');
      return changed({ state: 'deferred', reason: event.reason, until: timestamp(event.until), from: 'armed' });
    case 'installed':
      return changed({ state: 'verifying' });
    case 'verified':
      return changed({ state: 'succeeded' });
    case 'failed':
      return changed({ state: 'failed', class: event.class });
    case 'time-out':
      return changed({ state: 'timed-out', stage: stageOf(status) });
    case 'rejected':
      return changed({ state: 'rejected', reason: event.reason });
    case 'rolled-back':
      return changed({ state: 'rolled-back' });
    case 'cancel':
      return changed({ state: 'cancelled', reason: event.reason });
    case 'returned':
      return execution.outOfService
        ? changed(status)
        : refused(RefusalKind.NotAllowed, 'It is not known to be out of service.');
  }
}

function deferred(
  status: ExecutionStatus,
  { reason, until }: Extract<ExecutionEvent, { kind: 'defer' }>,
  at: number,
): Outcome<ExecutionStatus> {
  if (!(until > at)) return refused(RefusalKind.NotAllowed, 'A device waits until a time to come.');
  const from = status.state === 'deferred' ? status.from : status.state;
  if (from !== 'queued' && from !== 'staged' && from !== 'armed') {
    return refused(RefusalKind.NotFromHere, `A device does not wait in ${from}.`);
  }
  return changed({ state: 'deferred', reason, until: timestamp(until), from });
}

function staged({ status, sha256 }: Execution, reported: string): Outcome<ExecutionStatus> {
  if (status.state === 'deferred' && status.from !== 'queued') {
    return refused(RefusalKind.NotFromHere, 'It is staged already.');
  }
  return changed(
    reported.toLowerCase() === sha256 ? { state: 'staged' } : { state: 'failed', class: FailureClass.Checksum },
  );
}

function activated({ deviceId }: Execution, admission: Admitted, at: number): Outcome<ExecutionStatus> {
  if (admission.deviceId !== deviceId) return refused(RefusalKind.NotAllowed, 'The admission is for another device.');
  if (at < admission.at || at > admission.validUntil) {
    return refused(RefusalKind.NotAllowed, 'The admission is stale: it must be decided again.');
  }
  return changed({ state: 'activating' });
}

function stageOf(status: ExecutionStatus): Stage {
  const state = status.state === 'deferred' ? status.from : status.state;
  return state === 'staged' || state === 'armed' || state === 'activating' || state === 'verifying' ? state : 'queued';
}

const wasAway = true as const;

/** Whether the device says that it has not touched what it was let in for. */
const neverBegan = (event: ExecutionEvent): boolean =>
  event.kind === 'given-back' || event.kind === 'rejected' || (event.kind === 'failed' && event.untouched === true);

function isOutOfService(before: Execution, event: ExecutionEvent, status: ExecutionStatus): boolean {
  if (event.kind === 'returned') return false;
  // One that failed before and does not even begin to go back is as broken as it was.
  if (neverBegan(event)) return before.status.state === 'activating' ? before.wasAway === true : before.outOfService;
  if (status.state === 'activating') return true;
  // One that works, before or after, is back; one that failed or says nothing is missing until it is seen.
  return status.state === 'succeeded' || status.state === 'rolled-back' ? false : before.outOfService;
}

/** How long each step may take, milliseconds. */
export interface StageLimits {
  readonly queued: number;
  /** From the first word of it until it is let in: fetched, and waiting for its turn. */
  readonly ready: number;
  readonly activating: number;
  readonly verifying: number;
}

/** Two weeks to fetch it; two months to be let in; two hours to install; an hour to show that it works. */
export const defaultLimits: StageLimits = {
  queued: 14 * 86_400_000,
  ready: 60 * 86_400_000,
  activating: 7_200_000,
  verifying: 3_600_000,
};

/**
 * When its step has taken too long, milliseconds since the epoch; undefined for a step that may take any time. Fetching
 * and waiting count from the first word of it, so that a device that is put off again and again comes to an end too.
 */
export function deadlineOf({ status, since, dispatchedAt }: Execution, limits: StageLimits): number | undefined {
  const state = status.state === 'deferred' ? status.from : status.state;
  if (state === 'activating' || state === 'verifying') return Date.parse(since) + limits[state];
  if (dispatchedAt === undefined) return undefined;
  if (state === 'queued') return Date.parse(dispatchedAt) + limits.queued;
  return state === 'staged' || state === 'armed' ? Date.parse(dispatchedAt) + limits.ready : undefined;
}

/** Why a device never had the artifact: its way to it, or the space for it. */
export type FetchProblem = Extract<FailureClass, 'download' | 'space'>;

/**
 * What kept the device from fetching the artifact; undefined when nothing did. Not for one that was let in: what goes wrong
 * from then on is the update's.
 */
export function fetchProblemOf({
  status,
  activatedAt,
}: Pick<Execution, 'status' | 'activatedAt'>): FetchProblem | undefined {
  if (status.state !== 'failed' || activatedAt !== undefined) return undefined;
  const isFetchProblem = status.class === FailureClass.Download || status.class === FailureClass.Space;
  return isFetchProblem ? status.class : undefined;
}

/** What an execution says to the gate; undefined when it says nothing of the artifact. */
export function evidenceOf(
  execution: Pick<Execution, 'status' | 'activatedAt'>,
): 'success' | 'failure' | 'silent' | undefined {
  const { status } = execution;
  switch (status.state) {
    case 'succeeded':
      return 'success';
    case 'failed':
      return fetchProblemOf(execution) === undefined ? 'failure' : undefined;
    case 'rolled-back':
      return 'failure';
    case 'timed-out':
      return status.stage === 'activating' || status.stage === 'verifying' ? 'silent' : undefined;
    default:
      return undefined;
  }
}
