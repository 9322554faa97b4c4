import type { Clock } from '../cloud.ts';
import { readTime, type SharedTime, shareTime, writeTime } from './shared-time.ts';

/** Longest delay of a Node.js timer, ms. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** A clock that runs with the wall clock or faster. */
export interface RunningClock extends Clock {
  /** The same time, for other threads. */
  readonly shared: SharedTime;
  readonly speed: number;
  /** Goes on from now at this speed; what is planned comes sooner or later accordingly. */
  setSpeed(speed: number): void;
  /** Leaves out this much time, milliseconds, as a machine does that slept: what was planned in it comes at once, in its order. */
  skip(milliseconds: number): void;
  /** Cancels everything that is still planned. */
  stop(): void;
}

/**
 * The cloud's clock: starts at `start` (ms since the epoch) and runs `speed` times as fast as the wall clock.
 *
 * @param changed told when it goes on otherwise than before
 */
export function runningClock(start: number, speed: number, changed?: () => void): RunningClock {
  const shared = shareTime(start, Date.now(), speed);
  const planned = new Set<Planned>();
  const clock = {
    shared,
    speed,
    now: () => readTime(shared, Date.now()),
    at(at: number, run: () => void): () => void {
      const plan = new Planned(clock, at, () => {
        planned.delete(plan);
        run();
      });
      planned.add(plan);
      return () => {
        plan.cancel();
        planned.delete(plan);
      };
    },
    setSpeed(next: number): void {
      goOn(0, next);
    },
    skip(milliseconds: number): void {
      goOn(milliseconds, clock.speed);
    },
    stop(): void {
      for (const plan of planned) plan.cancel();
      planned.clear();
    },
  };
  function goOn(ahead: number, next: number): void {
    const wall = Date.now();
    writeTime(shared, readTime(shared, wall) + ahead, wall, next);
    clock.speed = next;
    // In the order of time: what comes due in the same millisecond is run in the order in which it was armed.
    for (const plan of [...planned].sort((a, b) => a.time - b.time)) plan.arm();
    changed?.();
  }
  return clock;
}

/** Something to be run at a time of the cloud's clock. */
class Planned {
  readonly #clock: Pick<RunningClock, 'now' | 'speed'>;
  readonly #at: number;
  readonly #run: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Pick<RunningClock, 'now' | 'speed'>, at: number, run: () => void) {
    this.#clock = clock;
    this.#at = at;
    this.#run = run;
    this.arm();
  }

  /** When it is to be run, ms since the epoch. */
  get time(): number {
    return this.#at;
  }

  /** Sets the timer for what is left to wait. */
  arm(): void {
    clearTimeout(this.#timer);
    const delay = Math.min(Math.max(0, (this.#at - this.#clock.now()) / this.#clock.speed), LONGEST_TIMER);
    this.#timer = setTimeout(() => {
      // Timers may fire a little early, and long waits come in pieces.
      if (this.#clock.now() < this.#at) this.arm();
      else this.#run();
    }, Math.ceil(delay));
    this.#timer.unref();
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }
}
