/**
 * The cloud's time in memory that all threads share, so that a function sees at once that the clock was made to run
 * faster. Two sets of three numbers (time of the cloud, of the wall, speed): one counts, the other is being written.
 */
export interface SharedTime {
  readonly numbers: Float64Array;
  /** Which set counts: 0 or 1. */
  readonly current: Int32Array;
}

/** Memory for a clock that shows `cloud` at wall time `wall`, both in milliseconds. */
export function shareTime(cloud: number, wall: number, speed: number): SharedTime {
  const time = {
    numbers: new Float64Array(new SharedArrayBuffer(6 * Float64Array.BYTES_PER_ELEMENT)),
    current: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)),
  };
  writeTime(time, cloud, wall, speed);
  return time;
}

/** From wall time `wall` on, the clock shows `cloud` and runs `speed` times as fast as the wall clock. */
export function writeTime(time: SharedTime, cloud: number, wall: number, speed: number): void {
  const other = 1 - Atomics.load(time.current, 0);
  time.numbers.set([cloud, wall, speed], 3 * other);
  Atomics.store(time.current, 0, other);
}

/** The cloud's time at wall time `wall`. */
export function readTime(time: SharedTime, wall: number): number {
  const from = 3 * Atomics.load(time.current, 0);
  const [cloud = 0, since = 0, speed = 1] = time.numbers.subarray(from, from + 3);
  return cloud + (wall - since) * speed;
}
