import { type Cron, InvalidSchedule, nextCron, parseCron } from './cron.ts';
import { isZone, timeOfWall } from './zone.ts';

/** When something is due. */
export interface Schedule {
  /** `at` is due once. */
  readonly kind: 'rate' | 'cron' | 'at';
  /** The first due time after `after`; `start` is when the schedule began (a rate counts from there). ms since the epoch. */
  next(after: number, start: number): number | undefined;
}

const UNITS: Readonly<Record<string, number>> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };

const rate = (text: string): Schedule => {
  const match = /^(\d{1,6})\s+(minute|hour|day)(s?)$/.exec(text.trim());
  const [, count = '', unit = ''] = match ?? [];
  const period = Number(count) * (UNITS[unit] ?? 0);
  if (match === null || period === 0)
    throw new InvalidSchedule(`rate(${text}) is not a number of minutes, hours or days`);
  return {
    kind: 'rate',
    next: (after, start) => start + Math.max(1, Math.floor((after - start) / period) + 1) * period,
  };
};

const cronSchedule = (cron: Cron, zone: string): Schedule => ({
  kind: 'cron',
  next: (after) => nextCron(cron, after, zone),
});

const at = (text: string, zone: string): Schedule => {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)$/.exec(text.trim());
  const wall = match === null ? Number.NaN : Date.parse(`${text.trim()}Z`);
  if (Number.isNaN(wall) || new Date(wall).toISOString().slice(0, 19) !== text.trim()) {
    throw new InvalidSchedule(`at(${text}) is not a time like at(2026-01-31T08:30:00)`);
  }
  // A time that clocks skip is due when they have been set forward.
  const due = timeOfWall(wall, zone) ?? timeOfWall(wall + 3_600_000, zone);
  return { kind: 'at', next: (after) => (due !== undefined && due > after ? due : undefined) };
};

/**
 * Parses `rate(...)`, `cron(...)` or `at(...)` in an IANA time zone (a rate has no zone). Throws InvalidSchedule.
 * Spec: https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
 */
export const parseSchedule = (expression: string, zone = 'UTC'): Schedule => {
  if (!isZone(zone)) throw new InvalidSchedule(`"${zone}" is not an IANA time zone`);
  const match = /^(rate|cron|at)\((.*)\)$/.exec(expression.trim());
  const [, kind, text = ''] = match ?? [];
  switch (kind) {
    case 'rate':
      return rate(text);
    case 'cron':
      return cronSchedule(parseCron(text), zone);
    case 'at':
      return at(text, zone);
    default:
      throw new InvalidSchedule(`"${expression}" is neither rate(...) nor cron(...) nor at(...)`);
  }
};
