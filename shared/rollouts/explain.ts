import { timestamp } from '../clock.ts';
import { type Calendar, isOpen, nextOpening } from '../places/windows.ts';
import { relook } from './admission/admission.ts';
import { DeferralReason } from './executions/deferral.ts';
import { deadlineOf, defaultLimits, type Execution, FailureClass, isFinal } from './executions/execution.ts';
import { isPassed } from './gate/wave.ts';
import { Ineligibility } from './plan/selection.ts';
import { permitOf, type Rollout } from './rollout.ts';

/** What is known of the unit in which a device waits. */
export interface Surroundings {
  /** Undefined when the place is not known any more. */
  readonly calendar: Calendar | undefined;
  /** How many devices of its class the unit can spare at once (`unitBudget`). */
  readonly budget: number;
  /** How many of these are out of service now. */
  readonly away: number;
}

/** Where a device is, for people. */
export interface Explanation {
  /** One or two sentences: where it is and, when it waits, what for. */
  readonly words: string;
  /** What it waits for; missing when nothing stands in its way but its turn. */
  readonly reason?: DeferralReason;
  /** When it is looked at again, or given up, at the latest (RFC 3339). Missing at its end only. */
  readonly until?: string;
}

/** Waits are looked at each minute, milliseconds. */
const look = 60_000;

/**
 * Says of a device where it is in the rollout; when it waits, why and until when. Pure, and of the moment: what a device
 * was put off for may be over while something else stands in its way now, and that is what is said.
 *
 * @param now milliseconds since the epoch
 */
export function explain(execution: Execution, rollout: Rollout, around: Surroundings, now: number): Explanation {
  const { status } = execution;
  if (isFinal(execution)) return { words: endWords(execution) };
  if (status.state === 'activating' || status.state === 'verifying') return outWords(execution, now);
  const obstacle = obstacleOf(execution, rollout, around, now);
  if (status.state === 'deferred' && obstacle?.reason !== DeferralReason.Paused) {
    const until = Math.max(Date.parse(status.until), now + look);
    // What it was put off for may have become clearer since; else the word of that moment stands.
    if (obstacle?.reason === status.reason) return { ...obstacle, until: timestamp(until) };
    return { words: deferralWords[status.reason], reason: status.reason, until: timestamp(until) };
  }
  if (status.state === 'queued') return queuedWords(execution, rollout, now);
  if (obstacle !== undefined) return obstacle;
  if (status.state === 'armed') {
    const words = 'It was asked to come, and is let in when it checks in and nobody uses it.';
    return { words, until: timestamp(Math.max(Date.parse(execution.since) + relook, now + look)) };
  }
  const words =
    status.state === 'staged'
      ? 'It has the artifact, and is asked to come when it is its turn in its unit.'
      : 'It is told to download when its site begins with the wave.';
  return { words, until: timestamp(now + relook) };
}

/** What stands in the way of any device there, the first that counts. */
function obstacleOf(
  execution: Execution,
  rollout: Rollout,
  { calendar, budget, away }: Surroundings,
  now: number,
): Required<Explanation> | undefined {
  const permit = permitOf(rollout, execution);
  if (!permit.allowed) return notPermitted(execution, rollout, permit, now);
  if (calendar !== undefined && !isOpen(calendar, now)) {
    const opening = nextOpening(calendar, now);
    const words =
      opening === undefined
        ? 'The maintenance window of its unit never opens: its windows lie in its blackouts.'
        : `The maintenance window of its unit is closed. It opens at ${timestamp(opening.from)}.`;
    return { words, reason: DeferralReason.Window, until: timestamp(opening?.from ?? now + relook) };
  }
  if (away < budget) return undefined;
  const words =
    budget > 0
      ? `${away} of its class are out of service in the unit, which can spare ${budget}.`
      : 'The unit can spare no device of its class: all that it has must stay in service.';
  return { words, reason: DeferralReason.UnitBudget, until: timestamp(now + relook) };
}

function notPermitted(
  { wave, siteId }: Execution,
  { waves, skippedSites }: Rollout,
  { reason, words }: { readonly reason: 'paused' | 'wave'; readonly words: string },
  now: number,
): Required<Explanation> {
  const earlier = waves.slice(0, wave).find((each) => !isPassed(each));
  if (reason === 'paused' || earlier === undefined || skippedSites.includes(siteId)) {
    return { words, reason, until: timestamp(now + relook) };
  }
  const bakes = earlier.status.state === 'baking' ? earlier.bakeUntil : undefined;
  return {
    words: `Its wave begins when "${earlier.name}" is promoted, which is ${earlier.status.state}${bakes === undefined ? '' : ` until ${bakes}`}.`,
    reason,
    until: timestamp(Math.max(bakes === undefined ? 0 : Date.parse(bakes), now + relook)),
  };
}

function queuedWords(execution: Execution, rollout: Rollout, now: number): Explanation {
  const deadline = deadlineOf(execution, defaultLimits) ?? now + relook;
  const words = `It was told to download ${rollout.definition.artifact.version}, and does so when it checks in next. It is given up at ${timestamp(deadline)}.`;
  return { words, until: timestamp(deadline) };
}

function outWords(execution: Execution, now: number): Explanation {
  const { since, status, direction } = execution;
  const what =
    status.state === 'verifying'
      ? `It says that it ${direction === 'back' ? 'went back' : 'has installed'}, and must be seen to work.`
      : `It ${direction === 'back' ? 'goes back to what it had' : 'installs'}: out of service since ${since}.`;
  const until = timestamp(deadlineOf(execution, defaultLimits) ?? now + relook);
  return { words: `${what} It counts as silent from ${until} on.`, until };
}

const deferralWords: Readonly<Record<DeferralReason, string>> = {
  [DeferralReason.InUse]:
    'It was in use, or could have been, when it was looked at. It waits for a moment in which it is free.',
  [DeferralReason.Acceptance]: 'Where it stands a person puts it out of and into service (R7).',
  [DeferralReason.UnitBudget]: 'As many devices of its class as its unit can spare were out of service.',
  [DeferralReason.Window]: 'The maintenance window of its unit was closed.',
  [DeferralReason.Battery]: 'It had not enough charge, or was not on its charger.',
  [DeferralReason.Offline]: 'It was asked to come and did not check in.',
  [DeferralReason.Brake]: 'The brake is pulled where it stands.',
  [DeferralReason.Paused]: 'The rollout was paused.',
  [DeferralReason.Wave]: 'Its wave was not open, or held.',
};

const ineligibleWords: Readonly<Record<Ineligibility, string>> = {
  [Ineligibility.NotEnrolled]: 'it has no certificate.',
  [Ineligibility.NotPlaced]: 'it stands at no site or in no unit.',
  [Ineligibility.AlreadyThere]: 'it has the version already.',
  [Ineligibility.VersionUnknown]: 'it said no version that can be compared.',
  [Ineligibility.VersionOutOfRange]: 'its version is not one that the artifact may be installed from.',
  [Ineligibility.OtherRollout]: 'another rollout of the same kind has not finished with it.',
  [Ineligibility.Moved]: 'it was taken to another unit after the plan was made.',
};

/** Why a device takes no part, in words. */
export const wordsOfIneligibility = (reason: Ineligibility): string => `It takes no part: ${ineligibleWords[reason]}`;

const failureWords: Readonly<Record<FailureClass, string>> = {
  [FailureClass.Download]: 'the download failed.',
  [FailureClass.Checksum]: 'what it downloaded is not what was sent.',
  [FailureClass.Signature]: 'the signature is wrong.',
  [FailureClass.Space]: 'it has no space.',
  [FailureClass.Install]: 'the installation failed.',
  [FailureClass.SelfTest]: 'it found itself broken after the installation.',
  [FailureClass.Safety]: 'it lost the path of its alarms, or did not return to service. A person must put it back.',
  [FailureClass.Other]: 'it gave no reason that is known here.',
};

function endWords({ status, direction }: Execution): string {
  switch (status.state) {
    case 'ineligible':
      return wordsOfIneligibility(status.reason);
    case 'failed':
      return `It failed: ${failureWords[status.class]}`;
    case 'timed-out':
      return status.stage === 'activating' || status.stage === 'verifying'
        ? 'It was not heard of in time after its activation. Look at it: it counts as out of service until its inventory shows that it is through, or a person puts it back.'
        : 'It did not fetch the artifact in time.';
    case 'rejected':
      return `Somebody at the device said no: ${status.reason}`;
    case 'rolled-back':
      return 'It went back to what it had by itself, and works.';
    case 'cancelled':
      return `It was withdrawn before its activation: ${status.reason}`;
    default:
      return direction === 'back' ? 'It has the version before again, and works.' : 'It has the version, and works.';
  }
}
