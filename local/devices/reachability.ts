import { DeviceClass } from '../../shared/devices/device.ts';
import { DAY, localDay, timeOf } from './local-time.ts';
import type { DeviceProfile } from './profile.ts';
import { durationAround, seeded } from './seeded.ts';
import { isClosed, usageAt } from './usage.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Whether a device can be reached, why not, and until when at least that stays so. */
export interface Reachability {
  readonly state: 'online' | 'asleep' | 'dropped' | 'away';
  readonly until: number;
}

/** How often a device loses its network for a while, on average in a day. */
const DROPS_A_DAY: Readonly<Record<DeviceClass, number>> = {
  [DeviceClass.Phone]: 0.5,
  [DeviceClass.Tablet]: 0.3,
  [DeviceClass.Workstation]: 0.15,
  [DeviceClass.InfusionPump]: 0.3,
  [DeviceClass.PatientMonitor]: 0.05,
  [DeviceClass.Ventilator]: 0.03,
  [DeviceClass.Other]: 0.1,
};

/** Days that a forgotten device lies in a drawer, at most. */
const LONGEST_AWAY_DAYS = 6;

/** The state is looked at again after this time where nothing says when it ends. */
const STEP = 10 * MINUTE;

/** Whether a device is on the network at a time; a function of its arguments alone. */
export function reachabilityAt(seed: number, profile: DeviceProfile, time: number): Reachability {
  const day = localDay(profile.timeZone, time);
  for (let begun = day - LONGEST_AWAY_DAYS; begun <= day; begun += 1) {
    const end = awayUntil(seed, profile, begun, time);
    if (end !== undefined) return { state: 'away', until: end };
  }
  for (const begun of [day - 1, day]) {
    const random = seeded(seed, profile.serial, 'drop', begun);
    if (random() >= DROPS_A_DAY[profile.class]) continue;
    const from = timeOf(profile.timeZone, begun, random() * DAY);
    const to = from + durationAround(random, 12 * MINUTE, 1);
    if (time >= from && time < to) return { state: 'dropped', until: to };
  }
  if (sleeps(seed, profile) && isClosed(profile, time) && usageAt(seed, profile, time).state !== 'in-use') {
    return { state: 'asleep', until: time + STEP };
  }
  return { state: 'online', until: time + STEP };
}

/** Phones, tablets and workstations of a closed clinic sleep; most medical devices stay on. */
function sleeps(seed: number, profile: DeviceProfile): boolean {
  return profile.platform === 'iomt' ? seeded(seed, profile.serial, 'sleeps')() < 0.3 : true;
}

/** About once in four months something portable is forgotten in a drawer or a car. */
function awayUntil(seed: number, profile: DeviceProfile, begun: number, time: number): number | undefined {
  const portable = profile.class === DeviceClass.Phone || profile.class === DeviceClass.Tablet;
  const random = seeded(seed, profile.serial, 'away', begun);
  if (!portable || random() > 1 / 120) return undefined;
  const from = timeOf(profile.timeZone, begun, 8 * HOUR + random() * 10 * HOUR);
  const to = from + Math.min(durationAround(random, 20 * HOUR, 0.9), (LONGEST_AWAY_DAYS - 1) * DAY);
  return time >= from && time < to ? to : undefined;
}
