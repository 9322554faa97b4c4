import { ClinicalState, DeviceClass } from '../../shared/devices/device.ts';
import { DAY, isWeekend, localDay, timeOf } from './local-time.ts';
import type { DeviceProfile, UnitKind } from './profile.ts';
import { durationAround, pick, seeded } from './seeded.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** How a kind of device is used in a kind of unit. */
interface Pattern {
  /** Uses that begin on an ordinary day, on average. */
  readonly uses: number;
  /** Of these on a day of the weekend. */
  readonly weekend: number;
  /** Weight of each hour of the day for the begin of a use. */
  readonly hours: readonly number[];
  readonly medianMinutes: number;
  readonly spread: number;
  /** How long it is kept ready after a use before it counts as idle. */
  readonly standbyMinutes: number;
}

/** Care goes on at night, but most of it begins by day. */
const AROUND_THE_CLOCK = hourWeights([
  [0, 6, 1],
  [6, 8, 2],
  [8, 18, 4],
  [18, 22, 3],
  [22, 24, 1],
]);
/** A list of operations, and emergencies. */
const OPERATING_HOURS = hourWeights([
  [0, 7, 0.2],
  [7, 9, 5],
  [9, 16, 4],
  [16, 19, 1.5],
  [19, 24, 0.3],
]);
const OFFICE_HOURS = hourWeights([
  [8, 12, 4],
  [12, 13, 1.5],
  [13, 17, 4],
]);
/** Rounds, medication times and charting at the end of shifts. */
const ROUNDS = hourWeights([
  [0, 5, 0.6],
  [5, 7, 2],
  [7, 11, 5],
  [11, 14, 3],
  [14, 18, 4],
  [18, 20, 4],
  [20, 22, 3],
  [22, 24, 1],
]);
/** Shifts begin at seven in the morning and in the evening. */
const SHIFTS = hourWeights([
  [6, 8, 10],
  [8, 12, 1],
  [18, 20, 6],
]);

function hourWeights(ranges: readonly (readonly [from: number, to: number, weight: number])[]): number[] {
  return Array.from({ length: 24 }, (_, hour) => ranges.find(([from, to]) => hour >= from && hour < to)?.[2] ?? 0);
}

const CLOSED_AT_NIGHT: readonly UnitKind[] = ['clinic', 'infusion-center', 'office'];

/** How this device is used. */
function patternOf({ class: kind, unitKind }: DeviceProfile): Pattern {
  const day = CLOSED_AT_NIGHT.includes(unitKind);
  const hours = day ? OFFICE_HOURS : unitKind === 'operating' ? OPERATING_HOURS : AROUND_THE_CLOCK;
  const weekend = day ? 0 : unitKind === 'operating' ? 0.2 : 0.9;
  const clinical = { hours, weekend, spread: 0.6 };
  switch (kind) {
    case DeviceClass.InfusionPump:
      if (unitKind === 'intensive') return { ...clinical, uses: 1, medianMinutes: 14 * 60, standbyMinutes: 30 };
      if (unitKind === 'infusion-center') return { ...clinical, uses: 3, medianMinutes: 130, standbyMinutes: 15 };
      if (unitKind === 'operating') return { ...clinical, uses: 2.5, medianMinutes: 120, standbyMinutes: 20 };
      return { ...clinical, uses: 1.6, medianMinutes: 5 * 60, standbyMinutes: 30 };
    case DeviceClass.PatientMonitor:
      if (unitKind === 'intensive') return { ...clinical, uses: 0.4, medianMinutes: 48 * 60, standbyMinutes: 120 };
      if (unitKind === 'emergency') return { ...clinical, uses: 5, medianMinutes: 150, standbyMinutes: 20 };
      if (unitKind === 'operating') return { ...clinical, uses: 3, medianMinutes: 130, standbyMinutes: 25 };
      if (day) return { ...clinical, uses: 8, medianMinutes: 12, standbyMinutes: 10 };
      return { ...clinical, uses: 0.5, medianMinutes: 30 * 60, standbyMinutes: 90 };
    case DeviceClass.Ventilator:
      if (unitKind === 'operating') return { ...clinical, uses: 2.5, medianMinutes: 120, standbyMinutes: 30 };
      return { ...clinical, uses: 0.22, medianMinutes: 60 * 60, standbyMinutes: 4 * 60 };
    case DeviceClass.Phone:
      if (day) return { ...clinical, uses: 1, medianMinutes: 8 * 60, spread: 0.1, standbyMinutes: 0 };
      return { hours: SHIFTS, weekend: 0.85, uses: 1.3, medianMinutes: 11 * 60, spread: 0.1, standbyMinutes: 0 };
    case DeviceClass.Workstation:
      return { ...clinical, hours: day ? OFFICE_HOURS : ROUNDS, uses: 9, medianMinutes: 22, standbyMinutes: 5 };
    default:
      return { ...clinical, hours: day ? OFFICE_HOURS : ROUNDS, uses: 7, medianMinutes: 18, standbyMinutes: 5 };
  }
}

/** Days that the longest use of a pattern takes (three sigma above its median), and one for where days meet. */
const longestUse = ({ medianMinutes, spread }: Pattern): number =>
  Math.ceil((medianMinutes * MINUTE * Math.exp(3 * spread)) / DAY) + 1;

/** A stretch of time, milliseconds since the epoch, the end not included. */
interface Interval {
  readonly from: number;
  readonly to: number;
}

/** What a device says of its clinical use, since when, and until when that stays so. */
export interface Usage {
  readonly state: ClinicalState;
  readonly since: number;
  readonly until: number;
}

/** Clinical use of a device at a time. A function of its arguments alone: whenever it is asked, it tells the same story. */
export function usageAt(seed: number, profile: DeviceProfile, time: number): Usage {
  const today = localDay(profile.timeZone, time);
  const pattern = patternOf(profile);
  const first = today - longestUse(pattern);
  const last = today + 2;
  const uses: Interval[] = [];
  const service: Interval[] = [];
  const silent: Interval[] = [];
  for (let day = first - longestUse(pattern); day <= last; day += 1) {
    uses.push(...usesOf(seed, profile, pattern, day));
    service.push(...serviceOf(seed, profile, day));
    silent.push(...silenceOf(seed, profile, day));
  }
  const ready = uses.map(({ to }) => ({ from: to, to: to + pattern.standbyMinutes * MINUTE }));
  const stateAt = (at: number): ClinicalState => {
    if (within(silent, at)) return ClinicalState.Unknown;
    if (within(uses, at)) return ClinicalState.InUse;
    if (within(service, at)) return ClinicalState.Service;
    return within(ready, at) ? ClinicalState.Standby : ClinicalState.Idle;
  };
  const edges = [...uses, ...ready, ...service, ...silent].flatMap(({ from, to }) => [from, to]).sort((a, b) => a - b);
  const state = stateAt(time);
  let since = timeOf(profile.timeZone, first, 0);
  for (const edge of edges) if (edge <= time && edge > since && stateAt(edge - 1) !== stateAt(edge)) since = edge;
  const until = edges.find((edge) => edge > time && stateAt(edge) !== state) ?? timeOf(profile.timeZone, last, 0);
  return { state, since, until };
}

const within = (intervals: readonly Interval[], at: number): boolean =>
  intervals.some(({ from, to }) => at >= from && at < to);

function usesOf(seed: number, profile: DeviceProfile, pattern: Pattern, day: number): Interval[] {
  const random = seeded(seed, profile.serial, 'use', day);
  const expected = pattern.uses * (isWeekend(day) ? pattern.weekend : 1);
  const count = Math.floor(expected) + (random() < expected % 1 ? 1 : 0);
  return Array.from({ length: count }, () => {
    const hour = pick(
      random,
      pattern.hours.map((weight, index) => [index, weight] as const),
    );
    const from = timeOf(profile.timeZone, day, (hour + random()) * HOUR);
    const length = durationAround(random, pattern.medianMinutes * MINUTE, pattern.spread);
    return { from, to: from + length };
  });
}

/** Biomedical engineering takes a medical device in about twice a year, by day, when it is free. */
function serviceOf(seed: number, profile: DeviceProfile, day: number): Interval[] {
  const random = seeded(seed, profile.serial, 'service', day);
  const medical = profile.platform === 'iomt';
  if (!medical || isWeekend(day) || random() > 1 / 120) return [];
  const from = timeOf(profile.timeZone, day, 9 * HOUR + random() * 4 * HOUR);
  return [{ from, to: from + durationAround(random, 2 * HOUR, 0.4) }];
}

/** Sometimes the module that knows whether a patient is connected does not answer. */
function silenceOf(seed: number, profile: DeviceProfile, day: number): Interval[] {
  const random = seeded(seed, profile.serial, 'silence', day);
  if (random() > 1 / 40) return [];
  const from = timeOf(profile.timeZone, day, random() * DAY);
  return [{ from, to: from + durationAround(random, 25 * MINUTE, 0.7) }];
}

/** Whether the unit of the device is closed: nights and weekends of clinics and offices. */
export function isClosed(profile: DeviceProfile, time: number): boolean {
  if (!CLOSED_AT_NIGHT.includes(profile.unitKind)) return false;
  const day = localDay(profile.timeZone, time);
  const hour = (time - timeOf(profile.timeZone, day, 0)) / HOUR;
  return isWeekend(day) || hour < 7 || hour >= 18.5;
}
