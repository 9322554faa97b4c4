import { createHash } from 'node:crypto';

/** Numbers from 0 to below 1, the same sequence for the same parts, whatever else was drawn before. */
export function seeded(...parts: readonly (string | number)[]): () => number {
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest();
  let a = digest.readUInt32LE(0);
  let b = digest.readUInt32LE(4);
  let c = digest.readUInt32LE(8);
  let counter = digest.readUInt32LE(12) | 1;
  // Small fast counting generator (sfc32, public domain), good enough for weather and wards.
  return () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return (sum >>> 0) / 2 ** 32;
  };
}

/** One of the items, by the weights beside them; the weights need not add up to 1. */
export function pick<T>(random: () => number, items: readonly (readonly [T, number])[]): T {
  const total = items.reduce((sum, [, weight]) => sum + weight, 0);
  let at = random() * total;
  for (const [item, weight] of items) {
    at -= weight;
    if (at < 0) return item;
  }
  const last = items.at(-1);
  if (last === undefined) throw new Error('there is nothing to pick from');
  return last[0];
}

/** A duration around `median`: half are shorter, a few are several times as long. `spread` 0 gives always the median. */
export function durationAround(random: () => number, median: number, spread: number): number {
  // Box-Muller: a normal deviate, cut off at three sigma so that nothing is absurd.
  const deviate = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return median * Math.exp(spread * Math.max(-3, Math.min(3, deviate)));
}
