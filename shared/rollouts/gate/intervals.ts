import type { Tally } from './sprt.ts';

/** A share between two bounds, each 0 to 1. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Of the normal distribution: 95 % lie within this many standard deviations. */
const twoSided95 = 1.959964;

/**
 * The 95 % interval of Wilson (1927) for the share of failures: what a person is shown beside the counts. No gate decides
 * by it: looked at again and again it is wrong far more often than 5 %.
 */
export function wilsonInterval({ success, failure }: Tally): Interval {
  const n = success + failure;
  if (n === 0) return { low: 0, high: 1 };
  const share = failure / n;
  const z2 = twoSided95 ** 2;
  const middle = (share + z2 / (2 * n)) / (1 + z2 / n);
  const half = (twoSided95 / (1 + z2 / n)) * Math.sqrt((share * (1 - share)) / n + z2 / (4 * n * n));
  return { low: failure === 0 ? 0 : Math.max(0, middle - half), high: success === 0 ? 1 : Math.min(1, middle + half) };
}

/**
 * How many devices must come through without a failure to say with this confidence that at most this share fails (the
 * exact bound of Clopper and Pearson, 1934).
 */
export const cleanDevicesFor = (share: number, confidence = 0.95): number =>
  Math.ceil(Math.log(1 - confidence) / Math.log(1 - share));

/** The share of failures that so many devices without a failure cannot exclude, with this confidence: 1 when there is none. */
export const worstShareAfter = (cleanDevices: number, confidence = 0.95): number =>
  cleanDevices === 0 ? 1 : 1 - (1 - confidence) ** (1 / cleanDevices);
