import fc from 'fast-check';
import { compareVersions } from '../../../../../shared/rollouts/plan/version-order.ts';

describe('compareVersions', () => {
  test('compares numbers as numbers, whatever stands between them', () => {
    expect(compareVersions('4.10.0', '4.9.12')).toBeGreaterThan(0);
    expect(compareVersions('v2.1', '2.1.0')).toBe(0);
    expect(compareVersions('2027-03-01', '2027-11-01')).toBeLessThan(0);
    expect(compareVersions(' 4.1-b2', '4.1-B3')).toBeLessThan(0);
    expect(compareVersions('v10', '9')).toBeGreaterThan(0);
  });

  test('does not guess', () => {
    const pairs = [
      ['9.x', '9.1'],
      ['4.1', '4.1 rc'],
      ['4.1a', '4.1b'],
      ['', '4'],
      ['unknown', '4'],
      ['?', '?'],
      // Letters of any script are letters.
      ['4.1β', '4.1'],
      ['4.1版', '4.1'],
    ] as const;
    for (const [a, b] of pairs) expect([a, b, compareVersions(a, b)]).toEqual([a, b, undefined]);
  });

  test('tells apart what is longer than a number of JavaScript, such as a time with a serial', () => {
    expect(compareVersions('1.20270301000000000001', '1.20270301000000000002')).toBeLessThan(0);
    expect(compareVersions(`1.${'9'.repeat(400)}`, `1.${'9'.repeat(399)}8`)).toBeGreaterThan(0);
  });

  test('a version is the same as itself, or cannot be read; the answer turns with the question', () => {
    const anything = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: 'binary' }),
      fc.stringMatching(/^[v0-9a-z.βx-]{1,12}$/),
    );
    fc.assert(
      fc.property(anything, anything, (a, b) => {
        expect(compareVersions(a, a) ?? 0).toBe(0);
        const [there, back] = [compareVersions(a, b), compareVersions(b, a)];
        expect(there === undefined ? undefined : Math.sign(there) + Math.sign(back ?? Number.NaN)).toBe(
          back === undefined ? undefined : 0,
        );
      }),
      { numRuns: 2_000 },
    );
  });

  test('reads the same in both directions', () => {
    const version = fc.array(fc.nat(30), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.'));
    fc.assert(
      fc.property(version, version, (a, b) => {
        const [there, back] = [compareVersions(a, b) ?? Number.NaN, compareVersions(b, a) ?? Number.NaN];
        expect(Math.sign(there) + Math.sign(back)).toBe(0);
      }),
    );
  });
});
