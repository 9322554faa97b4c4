/** Milliseconds of a minute and a day. */
const minute = 60_000;
const day = 86_400_000;

/** A clock on the wall of the site: milliseconds since 1970-01-01T00:00 of that clock, so that it can be reckoned with. */
export type WallTime = number;

const formats = new Map<string, Intl.DateTimeFormat>();

/**
 * What a clock on the wall of the zone shows at an instant.
 *
 * @param zone IANA zone; @param instant milliseconds since the epoch
 */
export function wallTimeOf(zone: string, instant: number): WallTime {
  const parts = new Map(
    formatOf(zone)
      .formatToParts(instant)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0;
  const shown = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
  // Intl shows whole seconds.
  return shown + (((instant % 1_000) + 1_000) % 1_000);
}

/**
 * When the clock on the wall shows this: once as a rule, twice where daylight saving ends, never where it begins. In the
 * order of time.
 */
export function instantsOf(zone: string, wall: WallTime): number[] {
  // No zone is more than a day away from UTC, and none changes its clocks twice within three days.
  const offsets = new Set([-1.5, 0, 1.5].map((days) => offsetAt(zone, wall + days * day)));
  return [...offsets]
    .map((offset) => wall - offset)
    .filter((instant) => wallTimeOf(zone, instant) === wall)
    .sort((a, b) => a - b);
}

/** The first instant at which the clock on the wall shows this or later: for a time that is skipped, the moment of the skip. */
export function firstInstantFrom(zone: string, wall: WallTime): number {
  const [exact] = instantsOf(zone, wall);
  if (exact !== undefined) return exact;
  // Around a skip the clock only goes forward, so that halving finds it. Zones change on whole minutes.
  let before = Math.floor((wall - 1.5 * day) / minute);
  let after = Math.ceil((wall + 1.5 * day) / minute);
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (wallTimeOf(zone, middle * minute) >= wall) after = middle;
    else before = middle;
  }
  return after * minute;
}

const offsetAt = (zone: string, instant: number): number => wallTimeOf(zone, instant) - instant;

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'gregory',
    numberingSystem: 'latn',
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
}
