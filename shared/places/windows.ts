import { type Blackout, type Freeze, type Weekday, type WeeklyWindow, weekdays } from './calendar.ts';
import { firstInstantFrom, instantsOf, type WallTime, wallTimeOf } from './zone.ts';

/** A stretch of time in milliseconds since the epoch, the end not included. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** When updates may be installed at a place. */
export interface Calendar {
  /** None = at any time. */
  readonly windows: readonly WeeklyWindow[];
  readonly blackouts: readonly Blackout[];
  readonly freezes: readonly Freeze[];
  /** IANA zone in which they are read. */
  readonly zone: string;
}

const dayLength = 86_400_000;

/** What repeats each week is found within two: the first may lie where daylight saving begins. */
const lookAhead = 15 * dayLength;

/** Whether updates may be installed now (milliseconds since the epoch). */
export function isOpen(calendar: Calendar, now: number): boolean {
  return openSpans(calendar, { from: now, to: now + 1 }).length > 0;
}

/**
 * The next time at which updates may be installed, from now on; it begins now when it is open. Undefined when there is
 * none: the windows lie in the blackouts.
 *
 * Where daylight saving ends, a local time comes twice: a window is then read as short as possible, a blackout or freeze
 * as long as possible. Where it begins, a local time that is skipped means the moment of the skip.
 *
 * @param now milliseconds since the epoch
 */
export function nextOpening(calendar: Calendar, now: number): Span | undefined {
  // Without freezes the next two weeks tell; with them, also the two weeks after each has ended.
  const ends = calendar.freezes.map((freeze) => freezeSpan(freeze, calendar.zone).to).filter((end) => end > now);
  for (const from of [now, ...ends.sort((a, b) => a - b)]) {
    const [first] = openSpans(calendar, { from, to: from + lookAhead });
    if (first !== undefined) return first;
  }
  return undefined;
}

/** What is open of `part`, in the order of time; neighbours are joined. */
function openSpans(calendar: Calendar, part: Span): Span[] {
  const { windows, blackouts, freezes, zone } = calendar;
  const allowed = windows.length === 0 ? [part] : weekly(windows, zone, part, shortest);
  const forbidden = [...weekly(blackouts, zone, part, longest), ...freezes.map((freeze) => freezeSpan(freeze, zone))];
  const open = joined(allowed.map((span) => cut(span, part)).filter((span) => span.from < span.to));
  return forbidden.reduce((spans, closed) => spans.flatMap((span) => without(span, closed)), open);
}

/** How the instants of a begin and an end are read where there are several. */
type Reading = (begins: readonly number[], ends: readonly number[]) => Span | undefined;

const pairs = (begins: readonly number[], ends: readonly number[]): Span[] =>
  begins.flatMap((from) => ends.map((to) => ({ from, to }))).filter(({ from, to }) => from < to);

const shortest: Reading = (begins, ends) =>
  pairs(begins, ends).reduce<Span | undefined>(
    (best, span) => (best === undefined || lengthOf(span) < lengthOf(best) ? span : best),
    undefined,
  );

const longest: Reading = (begins, ends) =>
  pairs(begins, ends).reduce<Span | undefined>(
    (best, span) => (best === undefined || lengthOf(span) > lengthOf(best) ? span : best),
    undefined,
  );

const lengthOf = ({ from, to }: Span): number => to - from;

function weekly(entries: readonly WeeklyWindow[], zone: string, part: Span, reading: Reading): Span[] {
  // One that began the day before may still run.
  const first = startOfDay(wallTimeOf(zone, part.from)) - 2 * dayLength;
  const last = startOfDay(wallTimeOf(zone, part.to)) + dayLength;
  const spans: Span[] = [];
  for (let day = first; day <= last; day += dayLength) {
    for (const { days, from, to } of entries) {
      if (!days.includes(weekdayOf(day))) continue;
      const [begin, end] = [day + minutesOf(from), day + minutesOf(to)];
      const span = reading(meanings(zone, begin), meanings(zone, end > begin ? end : end + dayLength));
      if (span !== undefined) spans.push(span);
    }
  }
  return spans;
}

function freezeSpan({ from, to }: Freeze, zone: string): Span {
  const [begin] = meanings(zone, Date.parse(`${from}Z`));
  const end = meanings(zone, Date.parse(`${to}Z`)).at(-1);
  return { from: begin ?? 0, to: end ?? 0 };
}

/** The instants that a local time can mean: never none. */
function meanings(zone: string, wall: WallTime): number[] {
  const exact = instantsOf(zone, wall);
  return exact.length > 0 ? exact : [firstInstantFrom(zone, wall)];
}

const startOfDay = (wall: WallTime): WallTime => Math.floor(wall / dayLength) * dayLength;

/** 1970-01-01 was a Thursday. */
function weekdayOf(day: WallTime): Weekday {
  const index = (((Math.floor(day / dayLength) + 3) % 7) + 7) % 7;
  return weekdays[index] ?? 'mon';
}

function minutesOf(clock: string): number {
  const [hours = 0, minutes = 0] = clock.split(':').map(Number);
  return (hours * 60 + minutes) * 60_000;
}

const cut = (span: Span, part: Span): Span => ({
  from: Math.max(span.from, part.from),
  to: Math.min(span.to, part.to),
});

function joined(spans: readonly Span[]): Span[] {
  const result: Span[] = [];
  for (const span of [...spans].sort((a, b) => a.from - b.from)) {
    const last = result.at(-1);
    if (last !== undefined && span.from <= last.to)
      result[result.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
    else result.push(span);
  }
  return result;
}

function without(span: Span, closed: Span): Span[] {
  const parts = [
    { from: span.from, to: Math.min(span.to, closed.from) },
    { from: Math.max(span.from, closed.to), to: span.to },
  ];
  return parts.filter(({ from, to }) => from < to);
}
