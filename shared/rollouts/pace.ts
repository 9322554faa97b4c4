import { setTimeout as pause } from 'node:timers/promises';

/** Waits until one more execution may be written at this site. */
export type Pace = (siteId: string) => Promise<void>;

/**
 * Executions of a site that are written in a second by one function at work. All of a site are in one partition of the
 * index `byRollout`, which takes 1,000 writes a second, and a change is up to 4 of them; `npm run bench:rollout` adds up
 * what all functions may write at the same time.
 */
export const executionsOfSecond = {
  /** `rollout-step`: devices that are told to download. One site is dispatched by one function at a time. */
  dispatch: 100,
  /** `rollout-step`: devices that are told to go back. */
  back: 25,
  progress: 10,
  tick: 20,
} as const;

/** A pace for one function at work: sites do not wait for each other. */
export function paceBySite(perSecond: number): Pace {
  const free = new Map<string, number>();
  return async (siteId) => {
    const now = performance.now();
    const begins = Math.max(now, free.get(siteId) ?? 0);
    free.set(siteId, begins + 1_000 / perSecond);
    if (begins > now) await pause(begins - now);
  };
}
