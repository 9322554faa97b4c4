import fc from 'fast-check';
import { backoff } from '../../../agent/backoff.ts';

test('stays between zero and a ceiling that doubles up to the longest', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1_000_000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (attempt, random) => {
        const pause = backoff(attempt, random);
        expect(pause).toBeGreaterThanOrEqual(0);
        expect(pause).toBeLessThanOrEqual(Math.min(120_000, 1_000 * 2 ** Math.max(1, attempt)));
      },
    ),
  );
});

test('full jitter: the whole range is used', () => {
  expect(backoff(3, 0)).toBe(0);
  expect(backoff(3, 0.5)).toBe(4_000);
  expect(backoff(20, 0.999)).toBe(119_880);
  expect(backoff(20, 0.5, { longestMs: 3_600_000 })).toBe(1_800_000);
});
