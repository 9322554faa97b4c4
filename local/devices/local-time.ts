/** Milliseconds of a day. */
export const DAY = 86_400_000;

const formats = new Map<string, Intl.DateTimeFormat>();
const offsets = new Map<string, number>();

/**
 * How far a zone's clocks are ahead of UTC on a day, milliseconds; taken at noon UTC, so that a day has one offset and
 * the schedule of a day does not change in its middle.
 *
 * @param day days since the epoch
 */
export function offsetOf(timeZone: string, day: number): number {
  const key = `${timeZone} ${day}`;
  const known = offsets.get(key);
  if (known !== undefined) return known;
  const noon = day * DAY + DAY / 2;
  const offset = wallClock(timeZone, noon) - noon;
  if (offsets.size > 20_000) offsets.clear();
  offsets.set(key, offset);
  return offset;
}

/** The local day at a time, days since the epoch; 1970-01-01 was a Thursday. */
export function localDay(timeZone: string, time: number): number {
  return Math.floor((time + offsetOf(timeZone, Math.floor(time / DAY))) / DAY);
}

/** When a local time of day comes on a local day, milliseconds since the epoch. */
export function timeOf(timeZone: string, day: number, millisecondsOfDay: number): number {
  return day * DAY + millisecondsOfDay - offsetOf(timeZone, day);
}

/** Saturday or Sunday. */
export function isWeekend(day: number): boolean {
  const weekday = (((day + 4) % 7) + 7) % 7;
  return weekday === 0 || weekday === 6;
}

function wallClock(timeZone: string, time: number): number {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(timeZone, format);
  }
  const part = Object.fromEntries(format.formatToParts(time).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = part;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}
