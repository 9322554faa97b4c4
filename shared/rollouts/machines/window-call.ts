import { timestamp } from '../../clock.ts';
import { type Calendar, nextOpening } from '../../places/windows.ts';
import { instantsOf, wallTimeOf } from '../../places/zone.ts';

/** When a place's window opens next, as a clock on its wall shows it. */
export interface WindowCall {
  /** Like `2027-03-14T22:00:00`. */
  readonly at: string;
  /** IANA zone of that clock. */
  readonly zone: string;
}

/**
 * The first opening of any of these places; undefined when one is open now, or none ever opens. In the place's own zone,
 * so that it is still right when a government changes the clocks in between.
 *
 * @param now milliseconds since the epoch
 */
export function windowCall(calendars: readonly Calendar[], now: number): WindowCall | undefined {
  let first: { readonly from: number; readonly zone: string } | undefined;
  for (const calendar of calendars) {
    const from = nextOpening(calendar, now)?.from;
    if (from !== undefined && (first === undefined || from < first.from)) first = { from, zone: calendar.zone };
  }
  if (first === undefined || first.from <= now) return undefined;
  const { from } = first;
  // An hour that comes twice when the clocks are put back is said in UTC, which has it once.
  const zone = instantsOf(first.zone, wallTimeOf(first.zone, from)).length === 1 ? first.zone : 'UTC';
  return { at: timestamp(wallTimeOf(zone, from)).slice(0, 19), zone };
}

/** Name of the schedule for a wave at a site: at most 64 characters, as Scheduler wants. */
export const windowCallName = (rolloutId: string, siteId: string, wave: number): string =>
  `${rolloutId}-${siteId}-${wave}`;
