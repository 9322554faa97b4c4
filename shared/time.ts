import * as v from 'valibot';

/**
 * Whether a text of the right form is a time that can be reckoned with: JavaScript takes 30 February for 2 March, and
 * cannot read an offset without minutes (`+01`). What has not the form is told before.
 */
function isTime(text: string): boolean {
  if (!v.ISO_TIMESTAMP_REGEX.test(text)) return true;
  const day = text.slice(0, 10);
  return !Number.isNaN(Date.parse(text)) && new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
}

const wanted = 'must be an RFC 3339 time, for example 2026-01-31T12:00:00Z';

/** A time that somebody sends, with its offset (RFC 3339): on a day of the calendar, and one that `Date.parse` reads. */
export const Time = v.pipe(v.string(), v.isoTimestamp(wanted), v.check(isTime, wanted));
