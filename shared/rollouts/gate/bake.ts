import { type Calendar, nextOpening, type Span } from '../../places/windows.ts';

const hour = 3_600_000;

/** The longest that a bake waits for a change of shifts, milliseconds: a place that has none within two weeks has none. */
const longest = 15 * 24 * hour;

/**
 * Until when a wave bakes, milliseconds since the epoch: at least `hours`, and in each of these places at least until
 * people of another shift have worked with the updated devices, so until the end of a change of shifts that began in it.
 * Hours are real ones, also on the days on which the clocks change.
 *
 * @param begin milliseconds since the epoch
 * @param places of the devices in the wave
 */
export function bakeEnd(begin: number, hours: number, places: readonly Calendar[]): number {
  const changes = places.map((place) => shiftChangeAfter(place, begin)?.to ?? begin);
  return Math.max(begin + hours * hour, ...changes.filter((end) => end <= begin + longest));
}

/** The first change of shifts that begins from then on. */
function shiftChangeAfter({ blackouts, zone }: Calendar, begin: number): Span | undefined {
  // Without windows a calendar is always open.
  if (blackouts.length === 0) return undefined;
  const windows = blackouts.map(({ days, from, to }) => ({ days, from, to }));
  const changes: Calendar = { windows, blackouts: [], freezes: [], zone };
  const before = nextOpening(changes, begin - 1);
  // One that runs already may be over in a minute.
  const running = before !== undefined && before.from < begin && before.to > begin;
  return nextOpening(changes, running ? before.to : begin);
}
