import { type GateDecision, GateEffect } from '../../commands/gates/gate.ts';
import type { DeviceId } from '../../devices/device.ts';
import type { DeferralReason } from '../executions/deferral.ts';

/** What a unit can spare of one class of devices. */
export interface UnitDevices {
  /** All of the class in the unit, whether they work or not. */
  readonly devices: number;
  /** The least number that must stay in service, as the hospital says (`spares` of the unit); undefined when it says nothing. */
  readonly keep: number | undefined;
}

/**
 * How many devices of a class a unit can spare at once (rule R8), whatever takes them away. Where the hospital says
 * nothing, one at a time.
 */
export const unitBudget = ({ devices, keep }: UnitDevices): number =>
  keep === undefined ? Math.min(1, devices) : Math.max(0, devices - keep);

/** Whether the rollout lets this device's wave and site go on (`permitOf` in rollout.ts). */
export type Permit =
  | { readonly allowed: true }
  | {
      readonly allowed: false;
      readonly reason: Extract<DeferralReason, 'paused' | 'wave'>;
      /** In words. */
      readonly words: string;
    };

/** Everything that one admission is decided on. */
export interface AdmissionQuestion {
  readonly deviceId: DeviceId;
  readonly permit: Permit;
  /** Of its class in its unit. */
  readonly budget: number;
  /** How many of these are out of service now, whoever took them. */
  readonly outOfService: number;
  /** Whether the unit's window is open; if not, when it opens (milliseconds since the epoch), undefined = never as things are. */
  readonly window: { readonly open: true } | { readonly open: false; readonly opensAt: number | undefined };
  readonly brake: GateDecision;
  readonly interlock: GateDecision;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** The device may be activated. The write must still find no more than `outOfService` devices away. */
export interface Admitted {
  readonly admitted: true;
  readonly deviceId: DeviceId;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** After this the device's state may have changed: decide again. */
  readonly validUntil: number;
  /** The conditional counter of the unit: goes to `outOfService + 1`, which is at most `budget`. */
  readonly outOfService: number;
  readonly budget: number;
}

/** The device waits: why, in words, and until when. */
export interface NotAdmitted {
  readonly admitted: false;
  readonly deviceId: DeviceId;
  readonly reason: DeferralReason;
  readonly words: string;
  /** When it is looked at again, milliseconds since the epoch. Always later than now. */
  readonly until: number;
}
export type Admission = Admitted | NotAdmitted;

/** A decision of a gate is taken for this long, milliseconds: whoever asks it, asks it with the admission. */
export const decisionHolds = 5_000;

/** An admission must be written within this, milliseconds. */
export const admissionHolds = 10_000;

/** What may change at any time is looked at again after this, milliseconds; and at each check-in of the device before. */
export const relook = 5 * 60_000;

/** A closed window is looked at again after a day at the latest, milliseconds: somebody may change it. */
const windowRelook = 86_400_000;

/**
 * Whether one device may be taken out of service now. Anything that is not a clear yes is a no (rule R1). The budget comes
 * last: it says how many, the others say which.
 */
export function admit(question: AdmissionQuestion): Admission {
  const { deviceId, permit, window, brake, interlock, budget, outOfService, now } = question;
  const wait = (reason: DeferralReason, words: string, until = now + relook): NotAdmitted => ({
    admitted: false,
    deviceId,
    reason,
    words,
    until: Number.isFinite(until) && until > now ? until : now + relook,
  });
  if (!permit.allowed) return wait(permit.reason, permit.words);
  if (!saysYes(brake, now)) return wait('brake', wordsOf(brake), untilOf(brake));
  if (!window.open) {
    const opens =
      window.opensAt === undefined ? 'It never opens.' : `It opens at ${new Date(window.opensAt).toISOString()}.`;
    return wait(
      'window',
      `The maintenance window is closed. ${opens}`,
      Math.min(window.opensAt ?? Number.POSITIVE_INFINITY, now + windowRelook),
    );
  }
  if (!saysYes(interlock, now)) return wait(interlockReason(interlock), wordsOf(interlock), untilOf(interlock));
  if (!(outOfService < budget)) {
    const words =
      budget > 0
        ? `${outOfService} of its class are out of service in the unit, which can spare ${budget}.`
        : 'The unit can spare no device of its class.';
    return wait('unit-budget', words);
  }
  return { admitted: true, deviceId, at: now, validUntil: now + admissionHolds, outOfService, budget };
}

/** Yes, and said just now: what was true a while ago is no evidence. */
function saysYes({ effect, at }: GateDecision, now: number): boolean {
  const age = now - Date.parse(at);
  return effect === GateEffect.Allow && age >= 0 && age <= decisionHolds;
}

const wordsOf = ({ effect, reason }: GateDecision): string =>
  effect === GateEffect.Allow ? 'What is known of it is too old to decide on.' : reason;

const untilOf = ({ until }: GateDecision): number | undefined => (until === undefined ? undefined : Date.parse(until));

/** What the interlock waits for, from the fact that decided. */
export function interlockReason({ ruleId, inputs }: GateDecision): DeferralReason {
  const signal = inputs[0]?.signal;
  if (signal === 'battery' || signal === 'charging') return 'battery';
  if (signal === 'window') return 'window';
  return ruleId === 'R7' ? 'acceptance' : 'in-use';
}
