import type { Clock } from '../cloud.ts';

/** Longest delay of a Node.js timer, ms. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * The cloud's clock: starts at `start` (ms since the epoch) and runs `speed` times as fast as the wall clock.
 * `stop` cancels everything that is still planned.
 */
export function runningClock(start: number, speed: number): Clock & { stop(): void } {
  const wallStart = Date.now();
  const planned = new Set<NodeJS.Timeout>();
  const now = () => start + (Date.now() - wallStart) * speed;
  const plan = (at: number, run: () => void): (() => void) => {
    let timer: NodeJS.Timeout | undefined;
    let cancelled = false;
    const arm = () => {
      if (cancelled) return;
      const delay = Math.min(Math.max(0, (at - now()) / speed), LONGEST_TIMER);
      timer = setTimeout(() => {
        if (timer !== undefined) planned.delete(timer);
        // Timers may fire a little early, and long waits come in pieces.
        if (now() < at) arm();
        else run();
      }, Math.ceil(delay));
      timer.unref();
      planned.add(timer);
    };
    arm();
    return () => {
      cancelled = true;
      clearTimeout(timer);
      if (timer !== undefined) planned.delete(timer);
    };
  };
  return {
    now,
    at: plan,
    stop: () => {
      for (const timer of planned) clearTimeout(timer);
      planned.clear();
    },
  };
}
