import fc from 'fast-check';
import { ProblemError } from '../../../../shared/http/problem.ts';
import { assertReadable, isReadable } from '../../../../shared/http/text.ts';

const problemOf = (value: unknown, place: 'body' | 'query' = 'body') => {
  try {
    assertReadable(value, place);
  } catch (error) {
    if (error instanceof ProblemError) return error.problem;
    throw error;
  }
  return undefined;
};

describe('assertReadable', () => {
  test('lets through what people write, in any script', () => {
    for (const text of ['Ward 5B', 'Île-de-France', '小児科', 'חדר 4', '😀', 'two\nlines\tand a tab', '']) {
      expect(isReadable(text)).toBe(true);
    }
  });

  test('points at control characters, turned writing and halves of characters', () => {
    const body = { name: 'a\u0000b', inner: [{ 'a/b': '\u202eevil' }, 'fine'], half: '\ud83d' };
    expect(problemOf(body)?.['errors']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ pointer: '/name' }),
        expect.objectContaining({ pointer: '/inner/0/a~1b' }),
        expect.objectContaining({ pointer: '/half' }),
      ]),
    );
    expect(problemOf({ 'a\u001b[2J': 1 })).toMatchObject({ status: 400 });
    expect(problemOf({ user: '\u0007' }, 'query')?.['errors']).toMatchObject([{ pointer: 'query/user' }]);
  });

  test('names no more than 20 places, whatever was sent', () => {
    expect(problemOf({ list: new Array(10_000).fill('\u0007') })?.['errors']).toHaveLength(20);
    const keys = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`\u0007${n}`, n]));
    expect(problemOf(keys)?.['errors']).toHaveLength(20);
  });

  test('says so when it is nested too deeply, however deep', () => {
    const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels));
    expect(problemOf(nested(32))).toBeUndefined();
    expect(problemOf(nested(30_000))?.detail).toContain('nested');
  });

  test('refuses whatever holds such a character anywhere', () => {
    const bad = fc.constantFrom('\u0000', '\u001b', '\u009f', '\u2066', '\udc00');
    fc.assert(
      fc.property(fc.stringMatching(/^[ -~]{0,9}$/), bad, fc.nat(20), (text, character, depth) => {
        let clean: unknown = text;
        let dirty: unknown = `${text}${character}`;
        for (let level = 0; level < depth; level += 1) [clean, dirty] = [{ in: [clean] }, { in: [dirty] }];
        expect(problemOf(dirty)).toMatchObject({ status: 400 });
        if (depth <= 16) expect(problemOf(clean)).toBeUndefined();
      }),
    );
  });
});
