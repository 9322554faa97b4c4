import fc from 'fast-check';
import { canonicalJson, contentHash } from '../../../shared/canonical-json.ts';

/** The same value with the members of its objects in another order. */
function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, part]) => [name, shuffled(part)]),
  );
}

test('says what JSON says, whatever the order of members', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(canonicalJson(shuffled(value))).toBe(text);
      expect(canonicalJson(JSON.parse(text))).toBe(text);
    }),
  );
});

test.each([
  ['names that look like numbers', { 10: 'a', 9: 'b', x: 'c' }, '{"10":"a","9":"b","x":"c"}'],
  [
    'names by code units',
    { '\u20ac': 1, '\r': 2, 1: 3, '\u0080': 4, ö: 5 },
    '{"\\r":2,"1":3,"\u0080":4,"ö":5,"\u20ac":1}',
  ],
  ['what is undefined', { a: undefined, b: [undefined, 1] }, '{"b":[null,1]}'],
  ['dates', { at: new Date(0) }, '{"at":"1970-01-01T00:00:00.000Z"}'],
])('%s', (_, value, text) => {
  expect(canonicalJson(value)).toBe(text);
});

test('equal values have equal hashes, others have others', () => {
  expect(contentHash({ a: 1, b: [2] })).toBe(contentHash({ b: [2], a: 1 }));
  expect(contentHash({ a: 1 })).not.toBe(contentHash({ a: '1' }));
});
