import type { Clock } from '../cloud.ts';

/**
 * Waits `milliseconds` of cloud time, or until `signal` aborts (then it resolves too: loops look at the signal anyway).
 */
export const sleep = (clock: Clock, milliseconds: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = () => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.at(clock.now() + milliseconds, done);
    signal.addEventListener('abort', done, { once: true });
  });
