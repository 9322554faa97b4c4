/** Time as the loop sees it, so that a test or a simulation can run it faster than the wall. */
export interface Time {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after `milliseconds` of this time, or at once when the signal aborts. Never rejects. */
  wait(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

/** Longest delay of a timer in Node.js. */
const LONGEST = 2 ** 31 - 1;

/** The machine's own clock, times a factor. */
export function wallTime(speed = 1, start = Date.now()): Time {
  const began = Date.now();
  return {
    now: () => (speed === 1 && start === began ? Date.now() : start + (Date.now() - began) * speed),
    wait: (milliseconds, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) {
          resolve();
          return;
        }
        const timer = setTimeout(done, Math.min(Math.max(0, milliseconds / speed), LONGEST));
        function done(): void {
          clearTimeout(timer);
          signal?.removeEventListener('abort', done);
          resolve();
        }
        signal?.addEventListener('abort', done, { once: true });
      }),
  };
}

/** A bell: rings that nobody heard are remembered as one. */
export class Bell {
  #rung = false;
  #heard: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#heard?.();
  }

  /** Resolves at the next ring, at once when it rang since the last time, or when the signal aborts. */
  heard(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        signal.removeEventListener('abort', done);
        this.#heard = undefined;
        if (!signal.aborted) this.#rung = false;
        resolve();
      };
      if (this.#rung || signal.aborted) done();
      else {
        this.#heard = done;
        signal.addEventListener('abort', done, { once: true });
      }
    });
  }
}
