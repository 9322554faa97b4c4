import * as v from 'valibot';

/** Days of the week as windows name them. */
export const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Weekday = (typeof weekdays)[number];

const clock = /^([01]\d|2[0-3]):[0-5]\d$/;
const Days = v.pipe(
  v.array(v.picklist(weekdays)),
  v.minLength(1, 'must name a day'),
  v.check((days) => new Set(days).size === days.length, 'must not name a day twice'),
  v.description('Days on which it starts'),
);
const From = v.pipe(
  v.string(),
  v.regex(clock, 'must be a local time like 22:00'),
  v.description('Local time, like `22:00`'),
);
const To = v.pipe(
  v.string(),
  v.regex(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, 'must be a local time like 04:00, or 24:00'),
  v.description('Local time, exclusive; on the next day if not after `from`; `24:00` is the end of the day'),
);

const hours = { days: Days, from: From, to: To };
const mustDiffer = 'from and to must differ; a whole day is 00:00 to 24:00';
const Label = v.pipe(v.string(), v.trim(), v.minLength(1, 'must not be empty'), v.maxLength(60));

/** Hours of the week in local time, in which updates may be installed. */
export const WeeklyWindow = v.pipe(
  v.strictObject(hours),
  v.check(({ from, to }) => from !== to, mustDiffer),
);
export type WeeklyWindow = v.InferOutput<typeof WeeklyWindow>;

/** Hours of the week in which nothing is installed, window or not: the change of shifts. */
export const Blackout = v.pipe(
  v.strictObject({ name: Label, ...hours }),
  v.check(({ from, to }) => from !== to, mustDiffer),
);
export type Blackout = v.InferOutput<typeof Blackout>;

/** The calendar too: 30 February would be taken for 2 March. What is no time at all is told before. */
function isOfCalendar(text: string): boolean {
  const time = new Date(`${text}Z`);
  return Number.isNaN(time.getTime()) || time.toISOString().startsWith(text);
}

const LocalTime = v.pipe(
  v.string(),
  v.regex(/^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d$/, 'must be like 2027-11-24T18:00'),
  v.check(isOfCalendar, 'must be a day of the calendar'),
);

/** A stretch of days in which nothing is installed at the site: a go-live, holidays, an emergency. */
export const Freeze = v.pipe(
  v.strictObject({
    name: Label,
    from: v.pipe(LocalTime, v.description('In the local time of each unit, like `2027-11-24T18:00`')),
    to: v.pipe(LocalTime, v.description('Local time, exclusive')),
  }),
  v.check(({ from, to }) => from < to, 'to must be after from'),
);
export type Freeze = v.InferOutput<typeof Freeze>;

/** A list of at most `most` entries: what a place holds must stay small enough to be read with each command. */
export const listOf = <Entry extends v.GenericSchema>(entry: Entry, most: number) =>
  v.pipe(v.array(entry), v.maxLength(most, `must have at most ${most} entries`));
