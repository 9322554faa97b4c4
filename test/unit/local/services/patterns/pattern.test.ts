import fc from 'fast-check';
import type { Json } from '../../../../../local/cloud.ts';
import { compilePattern, InvalidPattern } from '../../../../../local/services/patterns/pattern.ts';

const json = fc.jsonValue() as fc.Arbitrary<Json>;

describe('event patterns', () => {
  test.each<[string, Json, Json, boolean]>([
    ['exact text', { a: ['x'] }, { a: 'x' }, true],
    ['exact text, other', { a: ['x'] }, { a: 'y' }, false],
    ['text is no number', { a: [1] }, { a: '1' }, false],
    ['null', { a: [null] }, { a: null }, true],
    ['missing is not null', { a: [null] }, {}, false],
    ['one of a list in the event', { a: ['x'] }, { a: ['y', 'x'] }, true],
    ['nested', { a: { b: ['x'] } }, { a: { b: 'x' } }, true],
    ['nested in a list of objects', { a: { b: ['x'] } }, { a: [{ b: 'y' }, { b: 'x' }] }, true],
    ['all fields', { a: ['x'], b: ['y'] }, { a: 'x', b: 'z' }, false],
    ['prefix', { a: [{ prefix: 'OPEN#' }] }, { a: 'OPEN#1' }, true],
    ['prefix, other', { a: [{ prefix: 'OPEN#' }] }, { a: 'CLOSED#1' }, false],
    ['prefix without case', { a: [{ prefix: { 'equals-ignore-case': 'Op' } }] }, { a: 'oPen' }, true],
    ['suffix', { a: [{ suffix: '.png' }] }, { a: 'x.png' }, true],
    ['without case', { a: [{ 'equals-ignore-case': 'ABC' }] }, { a: 'abc' }, true],
    ['wildcard', { a: [{ wildcard: 'a*c*e' }] }, { a: 'abcde' }, true],
    ['wildcard does not reuse characters', { a: [{ wildcard: 'aba*aba' }] }, { a: 'aba' }, false],
    ['wildcard with a star itself', { a: [{ wildcard: 'a\\*b' }] }, { a: 'a*b' }, true],
    ['anything but', { a: [{ 'anything-but': ['x', 'y'] }] }, { a: 'z' }, true],
    ['anything but, one of them', { a: [{ 'anything-but': 'x' }] }, { a: 'x' }, false],
    ['anything but needs the field', { a: [{ 'anything-but': 'x' }] }, {}, false],
    ['anything but a prefix', { a: [{ 'anything-but': { prefix: 'x' } }] }, { a: 'xy' }, false],
    ['numeric range', { a: [{ numeric: ['>', 0, '<=', 5] }] }, { a: 5 }, true],
    ['numeric range, outside', { a: [{ numeric: ['>', 0, '<=', 5] }] }, { a: 0 }, false],
    ['numeric of text', { a: [{ numeric: ['=', 5] }] }, { a: '5' }, false],
    ['exists', { a: [{ exists: true }] }, { a: null }, true],
    ['exists is about leaves', { a: [{ exists: true }] }, { a: { b: 1 } }, false],
    ['exists not', { a: [{ exists: false }] }, {}, true],
    ['exists not, below nothing', { a: { b: [{ exists: false }] } }, {}, true],
    ['or', { $or: [{ a: ['x'] }, { b: ['y'] }] }, { b: 'y' }, true],
    ['or, none', { $or: [{ a: ['x'] }, { b: ['y'] }] }, { a: 'y' }, false],
    ['inherited names are no fields', { toString: [{ exists: true }] }, {}, false],
  ])('%s', (_name, pattern, event, expected) => {
    expect(compilePattern(pattern)(event)).toBe(expected);
  });

  test.each<[string, Json]>([
    ['not an object', ['x']],
    ['empty', {}],
    ['empty list', { a: [] }],
    ['value without list', { a: 'x' }],
    ['list in list', { a: [['x']] }],
    ['unknown operator', { a: [{ cidr: '10.0.0.0/8' }] }],
    ['two operators in one object', { a: [{ prefix: 'x', suffix: 'y' }] }],
    ['numeric with text', { a: [{ numeric: ['>', '1'] }] }],
    ['numeric with half a pair', { a: [{ numeric: ['>'] }] }],
    ['two stars', { a: [{ wildcard: 'a**b' }] }],
    ['or with one alternative', { $or: [{ a: ['x'] }] }],
  ])('refuses a pattern: %s', (_name, pattern) => {
    expect(() => compilePattern(pattern)).toThrow(InvalidPattern);
  });

  test('any JSON is a pattern or is refused as one, and matching never throws', () => {
    fc.assert(
      fc.property(json, json, (pattern, event) => {
        try {
          expect(typeof compilePattern(pattern)(event)).toBe('boolean');
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidPattern);
        }
      }),
    );
  });

  test('a wildcard matches what its stars were cut out of', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '-') });
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), text, (parts, filling) => {
        const pattern = parts.filter((part, index) => part !== '' || index === 0 || index === parts.length - 1);
        const matches = compilePattern({ a: [{ wildcard: pattern.join('*').replaceAll('**', '*') }] });
        expect(matches({ a: pattern.join(filling) })).toBe(true);
      }),
    );
  });

  test('a wildcard takes time in proportion to the text', () => {
    const matches = compilePattern({ a: [{ wildcard: `*${'a*'.repeat(40)}b` }] });
    expect(matches({ a: 'a'.repeat(100_000) })).toBe(false);
  });
});
