import fc from 'fast-check';
import * as v from 'valibot';
import { decodeCursor, encodeCursor } from '../../../../shared/http/cursor.ts';
import { assertVersion, etagOf, requireIfMatch } from '../../../../shared/http/etag.ts';
import { ProblemError } from '../../../../shared/http/problem.ts';

describe('cursors', () => {
  test('come back as they were, for the same list only', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), fc.array(fc.string()), fc.string(), (list, other, position) => {
        const cursor = encodeCursor(list, position);
        expect(cursor).toMatch(/^[\w-]+$/);
        expect(decodeCursor(list, cursor, v.string())).toBe(position);
        if (JSON.stringify(list) !== JSON.stringify(other)) {
          expect(() => decodeCursor(other, cursor, v.string())).toThrow(ProblemError);
        }
      }),
    );
  });

  test('are refused when they are not ours', () => {
    fc.assert(
      fc.property(fc.string(), (garbage) => {
        expect(() => decodeCursor(['list'], garbage, v.string())).toThrow(ProblemError);
      }),
    );
    expect(() => decodeCursor(['list'], encodeCursor(['list'], 5), v.string())).toThrow(ProblemError);
  });
});

describe('entity tags', () => {
  const statusOf = (run: () => unknown) => {
    try {
      run();
      return 200;
    } catch (error) {
      return (error as ProblemError).problem.status;
    }
  };

  test('match the version that was seen', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (seen, current) => {
        const version = requireIfMatch({ 'If-Match': etagOf(seen) });
        expect(version).toBe(seen);
        expect(statusOf(() => assertVersion(version, current))).toBe(seen === current ? 200 : 412);
      }),
    );
    expect(statusOf(() => assertVersion('any', 7))).toBe(200);
  });

  test('whatever a client sends is a version, everything, or refused', () => {
    const value = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.stringMatching(/^"?\d{0,20}"?$/),
      fc.constantFrom('*', '"-1"', '"1e3"'),
    );
    fc.assert(
      fc.property(value, (text) => {
        const status = statusOf(() => {
          const version = requireIfMatch({ 'IF-MATCH': text });
          expect(version === 'any' || Number.isSafeInteger(version)).toBe(true);
        });
        expect([200, 412, 428]).toContain(status);
      }),
      { numRuns: 1_000 },
    );
  });

  test('are required, and strong', () => {
    expect(statusOf(() => requireIfMatch({}))).toBe(428);
    expect(statusOf(() => requireIfMatch({ 'if-match': 'W/"1"' }))).toBe(412);
    expect(statusOf(() => requireIfMatch({ 'if-match': '"x"' }))).toBe(412);
    expect(requireIfMatch({ 'if-match': '*' })).toBe('any');
  });
});
