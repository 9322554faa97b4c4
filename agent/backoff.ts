/**
 * How long to wait before the next attempt: full jitter, a random time up to a ceiling that doubles with each attempt.
 * When the power of a hospital comes back, its devices spread themselves over the whole range instead of coming at once.
 *
 * @param attempt failures so far in a row, from 1
 * @param random a number from 0 to below 1
 * @returns milliseconds
 */
export function backoff(attempt: number, random: number, { firstMs = 1_000, longestMs = 120_000 } = {}): number {
  const ceiling = Math.min(longestMs, firstMs * 2 ** Math.min(Math.max(attempt, 1), 30));
  return Math.round(random * ceiling);
}
