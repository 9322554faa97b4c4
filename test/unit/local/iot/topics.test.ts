import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { basicIngest, filterProblem, hasWildcard, topicMatches, topicProblem } from '../../../../local/iot/topics.ts';

const level = fc.constantFrom('a', 'b', '', 'wardline', 'checkin', '$x');
const topic = fc.array(level, { minLength: 1, maxLength: 6 }).map((levels) => levels.join('/'));

/** MQTT 3.1.1, section 4.7, written a second time as a regular expression. */
function reference(filter: string, value: string): boolean {
  if (value.startsWith('$') && /^[+#]/.test(filter)) return false;
  const body = filter
    .split('/')
    .map((part) => (part === '+' ? '[^/]*' : part === '#' ? '\0' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')))
    .join('/');
  return new RegExp(`^${body.replace('/\0', '(/.*)?').replace('\0', '.*')}$`, 's').test(value);
}

describe('topicMatches', () => {
  test.each([
    ['sport/tennis/#', 'sport/tennis', true],
    ['sport/tennis/#', 'sport/tennis/player1/ranking', true],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['+', '/finance', false],
    ['#', '$aws/events', false],
    ['+/events', '$aws/events', false],
    ['$aws/#', '$aws/events', true],
    ['a/b', 'a/b/c', false],
    ['a/b/c', 'a/b', false],
  ])('%s and %s', (filter, value, matches) => {
    expect(topicMatches(filter, value)).toBe(matches);
  });

  test('agrees with the standard for any filter and topic', () => {
    const filter = fc
      .tuple(fc.array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 5 }), fc.boolean())
      .map(([levels, rest]) => (rest ? [...levels, '#'] : levels).join('/'));
    fc.assert(fc.property(filter, topic, (one, other) => expect(topicMatches(one, other)).toBe(reference(one, other))));
  });

  test('a filter without wildcards matches itself alone', () => {
    fc.assert(fc.property(topic, topic, (one, other) => expect(topicMatches(one, other)).toBe(one === other)));
  });
});

describe('Limits', () => {
  test('a topic that may be published to is a filter that matches it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
        if (topicProblem(text) !== undefined) return;
        expect(hasWildcard(text)).toBe(false);
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(256);
        expect(topicMatches(text, text)).toBe(true);
      }),
    );
  });

  test('AWS numbers', () => {
    expect(topicProblem('a/'.repeat(7))).toBeUndefined();
    expect(topicProblem('a/'.repeat(8))).toContain('7 forward slashes');
    expect(topicProblem(`$aws/rules/r/${'a/'.repeat(7)}`)).toBeUndefined();
    expect(topicProblem('ü'.repeat(128))).toBeUndefined();
    expect(topicProblem('ü'.repeat(129))).toContain('256 bytes');
    for (const refused of ['', 'a/+', '#', 'a\0', '$SYS/x', '$other']) expect(topicProblem(refused)).toBeDefined();
    for (const refused of ['', 'a#', '#/a', 'a+/b', 'a/b+', '$SYS/#', '$share/g/a', '$aws/rules/x/y']) {
      expect(filterProblem(refused)).toBeDefined();
    }
    for (const granted of ['#', '+', 'a/+/b/#', '$aws/events/#']) expect(filterProblem(granted)).toBeUndefined();
  });

  test('Basic Ingest', () => {
    expect(basicIngest('$aws/rules/r/a/b')).toEqual({ rule: 'r', topic: 'a/b' });
    expect(basicIngest('$aws/rules/r')).toEqual({ rule: 'r', topic: '' });
    expect(basicIngest('a/b')).toBeUndefined();
  });
});
