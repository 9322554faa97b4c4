const milliseconds = 86_400_000;

/** The UTC day of a moment, `YYYY-MM-DD`. Days compare as text. */
export const dayOf = (at: Date): string => at.toISOString().slice(0, 10);

/** The day after `day`. */
export const nextDay = (day: string): string => dayOf(new Date(Date.parse(day) + milliseconds));

/** The day before `day`. */
export const dayBefore = (day: string): string => dayOf(new Date(Date.parse(day) - milliseconds));

/** The latest of some days; undefined ones do not count. */
export function latestDay(first: string, ...others: readonly (string | undefined)[]): string {
  return others.reduce<string>((latest, day) => (day !== undefined && day > latest ? day : latest), first);
}

/** Whether `text` is a day that exists. */
export function isDay(text: string): boolean {
  const at = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : Number.NaN;
  return !Number.isNaN(at) && dayOf(new Date(at)) === text;
}
