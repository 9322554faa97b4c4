import type { Device, DeviceId } from '../../devices/device.ts';
import { Channel, Lifecycle } from '../../devices/device.ts';
import { missingSince } from '../../devices/presence.ts';
import { DeferralReason } from '../executions/deferral.ts';
import { advance, type Execution } from '../executions/execution.ts';
import { changed, type Outcome } from '../executions/outcome.ts';
import type { Permit } from './admission.ts';

/** A device that was asked to come has this long, milliseconds: a check-in after a wake-up takes seconds. */
export const offerHolds = 3 * 60_000;

/** One that polls cannot be woken and comes when it comes, milliseconds: its interval, and some more. */
export const pollingOfferHolds = 20 * 60_000;

/** A device that did not come, or is not there, is asked again after this, milliseconds. */
export const offlineRelook = 30 * 60_000;

/** What one round is decided on: devices of one class in one unit that are ready, in their order. */
export interface RoundQuestion<Ready extends Execution> {
  /** Staged, armed, and put off from there. */
  readonly ready: readonly Ready[];
  readonly permitOf: (execution: Ready) => Permit;
  /** Whether the unit's window is open and no brake is pulled there. */
  readonly open: boolean;
  /** How many of the class the unit can spare at once. */
  readonly budget: number;
  /** Who is away, whoever took them. */
  readonly away: ReadonlySet<DeviceId>;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Whom a round may ask. */
export interface Round<Ready extends Execution> {
  /** How many may be asked: slots that nobody takes or was offered. */
  readonly free: number;
  /** Who may be asked, the first first; more than there are slots, since some may turn out not to be there. */
  readonly candidates: readonly Ready[];
}

/**
 * Whom to ask to be activated next: as many as there are free slots, in the order of waves and ranks. To ask is not to
 * admit: that is decided anew when the device comes. Nobody is asked while the rollout, the window or a brake says no.
 *
 * A device that failed and is to go back is away already: it takes no slot.
 */
export function roundOf<Ready extends Execution>(question: RoundQuestion<Ready>): Round<Ready> {
  const { ready, permitOf, open, budget, away, now } = question;
  // One that was let in a moment ago may still be listed as asked.
  const offers = ready.filter(({ status, deviceId }) => status.state === 'armed' && !away.has(deviceId));
  const free = Math.max(0, budget - away.size - offers.length);
  if (!open) return { free: 0, candidates: [] };
  const candidates = ready.filter((execution) => {
    if (!takesSlot(execution)) return isDue(execution, now) && permitOf(execution).allowed;
    return free > 0 && !away.has(execution.deviceId) && isDue(execution, now) && permitOf(execution).allowed;
  });
  return { free, candidates };
}

/** Whether the unit has one device less once this one is let in. */
export const takesSlot = ({ outOfService }: Pick<Execution, 'outOfService'>): boolean => !outOfService;

/** Why a device was put off by something that a round itself has just looked at: then the time does not count. */
const ours: ReadonlySet<DeferralReason> = new Set([
  DeferralReason.UnitBudget,
  DeferralReason.Window,
  DeferralReason.Brake,
  DeferralReason.Paused,
  DeferralReason.Wave,
]);

function isDue({ status }: Execution, now: number): boolean {
  if (status.state === 'staged') return true;
  return status.state === 'deferred' && (ours.has(status.reason) || Date.parse(status.until) <= now);
}

/** Devices that were asked and have not come in the time of one that can be woken. */
export const lateOf = <Ready extends Execution>(ready: readonly Ready[], now: number): readonly Ready[] =>
  ready.filter(({ status, since }) => status.state === 'armed' && Date.parse(since) + offerHolds <= now);

/** Whether a device that was asked, and has not come, has had its time. */
export function isMissed({ since }: Pick<Execution, 'since'>, device: Device, now: number): boolean {
  const holds = device.channel === Channel.Mqtt ? offerHolds : pollingOfferHolds;
  return Date.parse(since) + holds <= now;
}

/** What is known of a device before it is asked. */
export const Standing = {
  /** It is there, as far as anybody knows. */
  There: 'there',
  /** Not connected, or silent for long. */
  Offline: 'offline',
  /** No longer enrolled, or it stands in another unit or is of another class now, whose spares were never asked. */
  Gone: 'gone',
} as const;
export type Standing = (typeof Standing)[keyof typeof Standing];

/** Whether a device can be asked. @param now milliseconds since the epoch */
export function standingOf(
  { siteId, unitId, class: deviceClass }: Pick<Execution, 'siteId' | 'unitId' | 'class'>,
  device: Device | undefined,
  now: number,
): Standing {
  if (device?.lifecycle !== Lifecycle.Enrolled) return Standing.Gone;
  if (device.siteId !== siteId || device.unitId !== unitId || device.class !== deviceClass) return Standing.Gone;
  return missingSince(device, now) === undefined ? Standing.There : Standing.Offline;
}

/** The execution of a device that is asked: armed, from now on. */
export function asked<Ready extends Execution>(execution: Ready, now: number): Outcome<Ready> {
  let current: Outcome<Ready> = changed(execution);
  for (let step = nextStep(execution); current.ok && step !== undefined; step = nextStep(current.value)) {
    current = advance(current.value, { kind: step }, current.value.version, now) as Outcome<Ready>;
    if (!current.ok) return current;
  }
  return current;
}

function nextStep({ status }: Execution): 'look-again' | 'arm' | undefined {
  if (status.state === 'deferred') return 'look-again';
  return status.state === 'staged' ? 'arm' : undefined;
}
