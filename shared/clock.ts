/** Milliseconds since the epoch. Rules take it as an argument or a `Clock`; only handlers and stores ask the system. */
export type Clock = () => number;

/** The system's clock. */
export const systemClock: Clock = () => Date.now();

/** RFC 3339 in UTC with milliseconds, the form of every time in tables, messages and the API. */
export const timestamp = (milliseconds: number): string => new Date(milliseconds).toISOString();
