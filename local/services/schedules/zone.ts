/** Time zones of the IANA database, by way of Intl. */

const formats = new Map<string, Intl.DateTimeFormat>();

const formatOf = (zone: string): Intl.DateTimeFormat => {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formats.set(zone, format);
  return format;
};

/** Whether the zone exists. */
export const isZone = (zone: string): boolean => {
  try {
    formatOf(zone);
    return true;
  } catch {
    return false;
  }
};

/** What clocks on the wall show in the zone at `time`, written as if it were UTC (ms since the epoch). */
export const wallTime = (time: number, zone: string): number => {
  if (zone === 'UTC') return time;
  const parts: Record<string, number> = {};
  for (const { type, value } of formatOf(zone).formatToParts(time)) parts[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) + (((time % 1000) + 1000) % 1000);
};

/**
 * When clocks on the wall show `wall` (as `wallTime` writes it): the first time if they show it twice, undefined if they
 * skip it.
 */
export const timeOfWall = (wall: number, zone: string): number | undefined => {
  // The zone's offsets a day before and after are all that can apply.
  const offsets = [wall - 86_400_000, wall + 86_400_000].map((time) => wallTime(time, zone) - time);
  const candidates = [...new Set(offsets)].map((offset) => wall - offset).sort((a, b) => a - b);
  return candidates.find((time) => wallTime(time, zone) === wall);
};
