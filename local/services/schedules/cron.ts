import { timeOfWall, wallTime } from './zone.ts';

/** An expression that is not a schedule; the message says what is wrong with it. */
export class InvalidSchedule extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvalidSchedule';
  }
}

/** Whether a value of a field is meant. */
type FieldTest = (value: number) => boolean;

/** Whether a day (UTC midnight in wall time) is meant. */
type DayTest = (day: Date) => boolean;

/** A parsed cron expression. */
export interface Cron {
  readonly minute: readonly number[];
  readonly hour: readonly number[];
  readonly month: FieldTest;
  readonly year: FieldTest;
  readonly day: DayTest;
}

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
const FIRST_YEAR = 1970;
const LAST_YEAR = 2199;

const range = (from: number, to: number, step = 1): number[] => {
  const values: number[] = [];
  for (let value = from; value <= to; value += step) values.push(value);
  return values;
};

const numberOf = (text: string, low: number, high: number, names: readonly string[]): number => {
  const name = names.indexOf(text.toUpperCase());
  const value = name >= 0 ? name + low : /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= low && value <= high)) throw new InvalidSchedule(`"${text}" is not a value from ${low} to ${high}`);
  return value;
};

/** The values of a field of numbers, names, ranges, steps and lists. */
const valuesOf = (field: string, low: number, high: number, names: readonly string[] = []): number[] => {
  const values = field.split(',').flatMap((part) => {
    const [span = '', step, more] = part.split('/');
    if (more !== undefined || span === '') throw new InvalidSchedule(`"${part}" is not understood`);
    const every = step === undefined ? undefined : numberOf(step, 1, Math.max(high, 1), []);
    if (span === '*') return range(low, high, every);
    const [from = '', to, rest] = span.split('-');
    if (rest !== undefined) throw new InvalidSchedule(`"${part}" is not understood`);
    const first = numberOf(from, low, high, names);
    if (to !== undefined) {
      const last = numberOf(to, low, high, names);
      // FRI-MON goes over the end of the week.
      return last >= first
        ? range(first, last, every)
        : [...range(first, high), ...range(low, last)].filter((_, index) => index % (every ?? 1) === 0);
    }
    return every === undefined ? [first] : range(first, high, every);
  });
  return [...new Set(values)].sort((a, b) => a - b);
};

const daysInMonth = (day: Date): number =>
  new Date(Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + 1, 0)).getUTCDate();

/** The weekday (Monday to Friday) nearest to a day of the month, within the month. */
const nearestWeekday = (day: Date, wanted: number): number => {
  const last = daysInMonth(day);
  const date = Math.min(wanted, last);
  const weekday = new Date(Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), date)).getUTCDay();
  if (weekday === 6) return date > 1 ? date - 1 : date + 2;
  if (weekday === 0) return date < last ? date + 1 : date - 2;
  return date;
};

const dayOfMonth = (field: string): DayTest => {
  if (field === 'L') return (day) => day.getUTCDate() === daysInMonth(day);
  if (field === 'LW') return (day) => day.getUTCDate() === nearestWeekday(day, 31);
  const weekday = /^(\d{1,2})W$/.exec(field)?.[1];
  if (weekday !== undefined) {
    const wanted = numberOf(weekday, 1, 31, []);
    return (day) => wanted <= daysInMonth(day) && day.getUTCDate() === nearestWeekday(day, wanted);
  }
  const values = new Set(valuesOf(field, 1, 31));
  return (day) => values.has(day.getUTCDate());
};

const dayOfWeek = (field: string): DayTest => {
  if (field === 'L') return (day) => day.getUTCDay() === 6;
  const last = /^([A-Za-z0-9]{1,3})L$/.exec(field)?.[1];
  if (last !== undefined) {
    const wanted = numberOf(last, 1, 7, WEEKDAYS) - 1;
    return (day) => day.getUTCDay() === wanted && day.getUTCDate() + 7 > daysInMonth(day);
  }
  const [name = '', nth, more] = field.split('#');
  if (nth !== undefined && more === undefined) {
    const wanted = numberOf(name, 1, 7, WEEKDAYS) - 1;
    const which = numberOf(nth, 1, 5, []);
    return (day) => day.getUTCDay() === wanted && Math.ceil(day.getUTCDate() / 7) === which;
  }
  const values = new Set(valuesOf(field, 1, 7, WEEKDAYS));
  return (day) => values.has(day.getUTCDay() + 1);
};

/**
 * Parses the six fields of an EventBridge cron expression (minutes, hours, day of month, month, day of week, year):
 * https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html. Throws InvalidSchedule.
 */
export const parseCron = (text: string): Cron => {
  const fields = text.trim().split(/\s+/);
  const [minutes = '', hours = '', monthDay = '', months = '', weekDay = '', years = ''] = fields;
  if (fields.length !== 6)
    throw new InvalidSchedule(`A cron expression has six fields, "${text}" has ${fields.length}`);
  if ((monthDay === '?') === (weekDay === '?')) {
    throw new InvalidSchedule('Exactly one of day of month and day of week must be "?"');
  }
  const month = new Set(valuesOf(months, 1, 12, MONTHS));
  const year = new Set(valuesOf(years, FIRST_YEAR, LAST_YEAR));
  return {
    minute: valuesOf(minutes, 0, 59),
    hour: valuesOf(hours, 0, 23),
    month: (value) => month.has(value),
    year: (value) => year.has(value),
    day: monthDay === '?' ? dayOfWeek(weekDay) : dayOfMonth(monthDay),
  };
};

const DAY = 86_400_000;
const HOUR = 3_600_000;
const MINUTE = 60_000;

/**
 * The first time after `after` (ms since the epoch) at which the expression is due in the zone; undefined if never. A time
 * that clocks skip in spring is skipped, one that they show twice in autumn is due once, as in EventBridge Scheduler.
 */
export const nextCron = (cron: Cron, after: number, zone: string): number | undefined => {
  const from = wallTime(after, zone);
  // A day back, because clocks that are set back show earlier times again.
  let day = new Date(Math.floor(from / DAY) * DAY - DAY);
  while (day.getUTCFullYear() <= LAST_YEAR) {
    if (!cron.year(day.getUTCFullYear())) {
      day = new Date(Date.UTC(day.getUTCFullYear() + 1, 0, 1));
      continue;
    }
    if (!cron.month(day.getUTCMonth() + 1)) {
      day = new Date(Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + 1, 1));
      continue;
    }
    if (cron.day(day)) {
      const due = firstOfDay(cron, day, after, zone);
      if (due !== undefined) return due;
    }
    day = new Date(day.getTime() + DAY);
  }
  return undefined;
};

const firstOfDay = (cron: Cron, day: Date, after: number, zone: string): number | undefined => {
  let first: number | undefined;
  for (const hour of cron.hour) {
    for (const minute of cron.minute) {
      const time = timeOfWall(day.getTime() + hour * HOUR + minute * MINUTE, zone);
      if (time !== undefined && time > after && (first === undefined || time < first)) first = time;
    }
    // Later hours are later times, but for the hour in which clocks change.
    if (first !== undefined) return first;
  }
  return first;
};
