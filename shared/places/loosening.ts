import { type Freeze, type WeeklyWindow, weekdays } from './calendar.ts';
import type { PlaceFacts } from './facts.ts';
import { wallTimeOf } from './zone.ts';

/** What of a place a change can loosen, in the words of the API. */
export type Loosened = 'acuityTier' | 'spares' | 'hours' | 'freezes' | 'timeZone';

const minutesOfDay = 1_440;
const minutesOfWeek = 7 * minutesOfDay;

/**
 * In what a change lets more through than before: a laxer tier, fewer devices that must stay in service, hours in which nothing
 * was installed, a freeze that ends early. Empty for what only restricts, and for names. Pure.
 *
 * @param now milliseconds since the epoch: a freeze that is over can go
 */
export function loosenedBy(before: PlaceFacts, after: PlaceFacts, now: number): readonly Loosened[] {
  const [was, is] = [before.calendar, after.calendar];
  const moved = was.zone !== is.zone && (was.windows.length > 0 || was.blackouts.length > 0 || was.freezes.length > 0);
  const found: readonly [Loosened, boolean][] = [
    ['acuityTier', rankOf(after.tier) > rankOf(before.tier)],
    ['spares', needsFewer(before.spares ?? {}, after.spares ?? {})],
    ['timeZone', moved],
    ['hours', opensMore(was, is)],
    ['freezes', was.freezes.some((freeze) => !isCovered(freeze, is.freezes, wallTimeOf(was.zone, now)))],
  ];
  return found.filter(([, loosened]) => loosened).map(([what]) => what);
}

/** T0 to T3; where no unit is, T0 is assumed (R1). */
const rankOf = (tier: string | undefined): number => Number((tier ?? 'T0').slice(1));

type Spares = NonNullable<PlaceFacts['spares']>;

const needsFewer = (before: Spares, after: Spares): boolean =>
  Object.entries(before).some(([deviceClass, least = 0]) => (after[deviceClass as keyof Spares] ?? 0) < least);

type Hours = Pick<PlaceFacts['calendar'], 'windows' | 'blackouts'>;

/** Whether there is a minute of the week, by the clock on the wall, that was closed and is open. */
function opensMore(before: Hours, after: Hours): boolean {
  const [was, is] = [openMinutes(before), openMinutes(after)];
  return is.some((open, minute) => open && !was[minute]);
}

function openMinutes({ windows, blackouts }: Hours): boolean[] {
  const open = new Array<boolean>(minutesOfWeek).fill(windows.length === 0);
  for (const window of windows) mark(open, window, true);
  for (const blackout of blackouts) mark(open, blackout, false);
  return open;
}

function mark(minutes: boolean[], { days, from, to }: WeeklyWindow, value: boolean): void {
  const [begin, end] = [minuteOf(from), minuteOf(to)];
  const length = (end > begin ? end : end + minutesOfDay) - begin;
  for (const day of days) {
    const first = weekdays.indexOf(day) * minutesOfDay + begin;
    for (let minute = first; minute < first + length; minute += 1) minutes[minute % minutesOfWeek] = value;
  }
}

function minuteOf(clock: string): number {
  const [hours = 0, minutes = 0] = clock.split(':').map(Number);
  return hours * 60 + minutes;
}

/** Whether what is left of a freeze lies within others. Times of the wall sort as text. */
function isCovered({ from, to }: Freeze, others: readonly Freeze[], wallNow: number): boolean {
  const today = new Date(wallNow).toISOString().slice(0, from.length);
  let reached = from < today ? today : from;
  for (const other of [...others].sort((a, b) => (a.from < b.from ? -1 : 1))) {
    if (other.from <= reached && other.to > reached) reached = other.to;
  }
  return reached >= to;
}
