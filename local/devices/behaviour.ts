import { CommandType } from '../../shared/commands/command.ts';
import { ClinicalState, DeviceClass } from '../../shared/devices/device.ts';
import type { Battery } from './battery.ts';
import type { DeviceProfile } from './profile.ts';
import { durationAround, pick, seeded } from './seeded.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** What a device will do about a command. Times are durations in milliseconds. */
export type Plan =
  | { readonly kind: 'carry-out'; readonly takes: number }
  | { readonly kind: 'fail'; readonly takes: number; readonly reason: string }
  | { readonly kind: 'defer'; readonly reason: string; readonly until: number };

/** The circumstances that a device looks at before it does something. */
export interface Circumstances {
  readonly now: number;
  readonly state: ClinicalState;
  readonly battery: Battery;
}

/** A device that waits for the end of a use looks again after this time. */
const LOOK_AGAIN = 15 * MINUTE;

const WITH_SCREEN: readonly DeviceClass[] = [DeviceClass.Phone, DeviceClass.Tablet, DeviceClass.Workstation];
const MOBILE: readonly DeviceClass[] = [...WITH_SCREEN, DeviceClass.InfusionPump];

/** What only some devices can do. A medical device shows no messages and is not locked or erased from afar. */
const ONLY: Partial<Record<string, readonly DeviceClass[]>> = {
  [CommandType.Message]: WITH_SCREEN,
  [CommandType.Lock]: WITH_SCREEN,
  [CommandType.Wipe]: WITH_SCREEN,
  [CommandType.Locate]: MOBILE,
};

/** What takes a device away from who uses it: never during use, nor when the device does not know. A lost one is erased whatever it does. */
const DISRUPTIVE: readonly string[] = [CommandType.Restart, CommandType.InstallUpdate, CommandType.ActivateUpdate];

/** What must not lose its power half way. */
const NEEDS_POWER: readonly string[] = [CommandType.InstallUpdate, CommandType.ActivateUpdate];

/** How long a command takes (median), how often it fails, and of what. */
const EFFORT: Readonly<
  Record<
    string,
    { readonly median: number; readonly fails: number; readonly reasons: readonly (readonly [string, number])[] }
  >
> = {
  [CommandType.Inventory]: { median: 2 * SECOND, fails: 0.005, reasons: [['internal-error', 1]] },
  [CommandType.Message]: { median: 2 * SECOND, fails: 0.01, reasons: [['display-off', 1]] },
  [CommandType.Lock]: { median: 1.5 * SECOND, fails: 0.005, reasons: [['internal-error', 1]] },
  [CommandType.Restart]: { median: 75 * SECOND, fails: 0.01, reasons: [['blocked-by-process', 1]] },
  [CommandType.Locate]: {
    median: 5 * SECOND,
    fails: 0.05,
    reasons: [
      ['no-position', 3],
      ['radio-off', 1],
    ],
  },
  [CommandType.Wipe]: { median: 20 * SECOND, fails: 0.01, reasons: [['storage-error', 1]] },
  [CommandType.InstallUpdate]: {
    median: 4 * MINUTE,
    fails: 0.06,
    reasons: [
      ['download-failed', 4],
      ['signature-invalid', 1],
      ['not-enough-space', 2],
      ['self-test-failed-rolled-back', 2],
    ],
  },
  // A good artifact fails seldom: a rollout of it comes through its gates, which stop at one device in twenty.
  [CommandType.DownloadUpdate]: {
    median: 5 * MINUTE,
    fails: 0.004,
    reasons: [
      ['download-failed', 4],
      ['signature-invalid', 1],
      ['not-enough-space', 2],
    ],
  },
  [CommandType.ActivateUpdate]: {
    median: 3 * MINUTE,
    fails: 0.004,
    reasons: [
      ['rolled-back', 3],
      ['install-failed', 1],
    ],
  },
  [CommandType.ApplyConfig]: { median: 4 * SECOND, fails: 0.02, reasons: [['invalid-profile', 1]] },
  [CommandType.RotateCertificate]: { median: 1 * SECOND, fails: 0, reasons: [] },
  [CommandType.CollectLogs]: { median: 15 * SECOND, fails: 0.02, reasons: [['storage-full', 1]] },
};

/**
 * What a device does about a command. The luck of a command is drawn from seed, serial and command id, so that a
 * repeated delivery meets the same fate; whether it waits depends on the circumstances alone.
 */
export function planFor(
  seed: number,
  profile: DeviceProfile,
  command: { readonly id: string; readonly type: string; readonly parameters: Readonly<Record<string, unknown>> },
  { now, state, battery }: Circumstances,
): Plan {
  const effort = Object.hasOwn(EFFORT, command.type) ? EFFORT[command.type] : undefined;
  if (effort === undefined || ONLY[command.type]?.includes(profile.class) === false) {
    return { kind: 'fail', takes: 300, reason: 'unsupported' };
  }
  const notBefore =
    typeof command.parameters['notBefore'] === 'string' ? Date.parse(command.parameters['notBefore']) : now;
  if (notBefore > now) return { kind: 'defer', reason: 'not-before', until: notBefore };
  const busy = state === ClinicalState.InUse || state === ClinicalState.Unknown;
  if (busy && DISRUPTIVE.includes(command.type)) {
    return {
      kind: 'defer',
      reason: state === ClinicalState.InUse ? 'in-use' : 'clinical-state-unknown',
      until: now + LOOK_AGAIN,
    };
  }
  if (NEEDS_POWER.includes(command.type) && battery.percent < 30 && !battery.charging) {
    return { kind: 'defer', reason: 'battery-low', until: now + LOOK_AGAIN };
  }
  const random = seeded(seed, profile.serial, 'command', command.id);
  const fails = random() < effort.fails && profile.reliable !== true;
  const takes = durationAround(random, effort.median, 0.5);
  if (breaksOn(seed, profile, command)) return { kind: 'fail', takes, reason: 'rolled-back' };
  return fails ? { kind: 'fail', takes, reason: pick(random, effort.reasons) } : { kind: 'carry-out', takes };
}

/** An artifact with a version of this form fails its self-test on some devices, so that a rollout can be seen to be held or stopped. */
const BAD = /-bad$/;
const BAD_SHARE = 0.4;

/** Whether this version breaks this device: always the same devices, however often it is tried. */
export const isBroken = (seed: number, serial: string, version: string): boolean =>
  BAD.test(version) && seeded(seed, serial, 'bad', version)() < BAD_SHARE;

/** Whether the command breaks this device. The way back works everywhere. */
function breaksOn(
  seed: number,
  { serial }: DeviceProfile,
  { type, parameters }: { readonly type: string; readonly parameters: Readonly<Record<string, unknown>> },
): boolean {
  const { version, back } = parameters;
  if (type !== CommandType.ActivateUpdate || typeof version !== 'string' || back === true) return false;
  return isBroken(seed, serial, version);
}
