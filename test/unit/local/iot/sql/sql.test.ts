import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { evaluate, MessageContext, select } from '../../../../../local/iot/sql/evaluate.ts';
import { parseExpression, parseStatement } from '../../../../../local/iot/sql/parse.ts';
import { SqlError } from '../../../../../local/iot/sql/tokens.ts';

const context = (payload: string | Buffer, topic = 'wardline/d-1/checkin') =>
  new MessageContext({
    topic,
    payload: Buffer.from(payload),
    clientId: 'd-1',
    principal: 'abc',
    receivedAt: 1_700_000_000_000,
    traceId: 'trace',
  });
const value = (expression: string, payload = '{}') => evaluate(parseExpression(expression), context(payload));
const selected = (sql: string, payload: string | Buffer) => {
  const selection = select(parseStatement(sql), context(payload));
  return selection?.kind === 'json' ? JSON.parse(JSON.stringify(selection.value)) : selection;
};

describe('Statements', () => {
  test('the rules of Wardline', () => {
    expect(
      selected(
        "SELECT encode(*, 'base64') AS payload, clientid() AS clientId, topic(2) AS thing, principal() AS principal, timestamp() AS receivedAt FROM 'wardline/+/checkin'",
        'not { json',
      ),
    ).toEqual({
      payload: Buffer.from('not { json').toString('base64'),
      clientId: 'd-1',
      thing: 'd-1',
      principal: 'abc',
      receivedAt: 1_700_000_000_000,
    });
    expect(selected("SELECT * FROM '$aws/events/presence/+/+'", '{"a":[1]}')).toEqual({ a: [1] });
  });

  test('bytes come through encode(*) unchanged', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(selected("SELECT encode(*, 'base64') AS p FROM 'x'", Buffer.from(bytes))).toEqual({
          p: Buffer.from(bytes).toString('base64'),
        });
      }),
    );
  });

  test('paths, aliases and missing values', () => {
    expect(
      selected("SELECT a.b[1].c AS x, a.b AS list, a.none AS none, d FROM 'x'", '{"a":{"b":[0,{"c":"y"}]},"d":null}'),
    ).toEqual({
      x: 'y',
      list: [0, { c: 'y' }],
      d: null,
    });
    expect(selected("SELECT constructor, a.__proto__ AS p FROM 'x'", '{"a":{}}')).toEqual({});
    expect(selected("SELECT * , 1 AS one FROM 'x'", '{"__proto__":{"polluted":true},"k":1}')).toMatchObject({
      k: 1,
      one: 1,
    });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test.each([
    ['a = 1 AND b = 2', true],
    ['a = 1 AND b = 3', false],
    ['a = 2 OR b = 2', true],
    ['NOT a = 2', true],
    ['NOT NOT a = 1', true],
    ['NOT NOT a', false],
    ["s = 'it''s'", true],
    ["s <> 'x' AND a < b AND b >= 2 AND a <= 1", true],
    ['(a + b) * 2 = 6 AND b % 2 = 0 AND b - a = 1 AND b / a = 2', true],
    ['a + b * 2 = 5', true],
    ["missing = 'x'", false],
    ['missing', false],
    ['isUndefined(missing) AND isNull(n)', true],
    ["startswith(s, 'it') AND endswith(s, 's') AND length(s) = 4", true],
    ["upper(concat(s, '!')) = 'IT''S!'", true],
    ["a = '1'", true],
    ["s > 'is'", true],
    ['s > 1', false],
  ])('WHERE %s', (where, passes) => {
    const sql = `SELECT * FROM 'x' WHERE ${where}`;
    expect(select(parseStatement(sql), context('{"a":1,"b":2,"s":"it\'s","n":null}')) !== undefined).toBe(passes);
  });

  test('functions', () => {
    expect(value('topic()')).toBe('wardline/d-1/checkin');
    expect(value('topic(9)')).toBeUndefined();
    expect(value("decode(encode('ü', 'base64'), 'base64')")).toBe('ü');
    expect(value("substring('012345', 2, 4)")).toBe('23');
    expect(value("indexof('abc', 'c')")).toBe(2);
    expect(value("trim(lower(' A '))")).toBe('a');
    expect(value('newuuid()')).toMatch(/^[0-9a-f-]{36}$/);
    expect(value('traceid()')).toBe('trace');
    expect(value('-1 + 2')).toBe(1);
    expect(value('1 / 0')).toBeUndefined();
  });
});

describe('Hostile input', () => {
  test('any text is a statement or an SqlError, never anything else', () => {
    const words = fc.constantFrom(
      'SELECT',
      'FROM',
      'WHERE',
      'AS',
      '*',
      ',',
      '(',
      ')',
      "'x'",
      '1',
      'a',
      '.',
      '[',
      ']',
      'and',
      'not',
      '=',
      'topic',
      'encode',
      '-',
    );
    const text = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.array(words, { maxLength: 30 }).map((list) => list.join(' ')),
    );
    fc.assert(
      fc.property(text, (sql) => {
        try {
          const statement = parseStatement(sql);
          // What is understood can be carried out on anything.
          select(statement, context('{"a":{"a":1}}'));
          select(statement, context(Buffer.from([0xff])));
        } catch (error) {
          expect(error).toBeInstanceOf(SqlError);
        }
      }),
      { numRuns: 5000 },
    );
  });

  test('deep nesting and endless chains are refused, long ones are not', () => {
    expect(() => parseExpression(`${'('.repeat(10_000)}1${')'.repeat(10_000)}`)).toThrow(SqlError);
    expect(() => parseExpression('lower('.repeat(5000))).toThrow(SqlError);
    expect(value(`${'NOT '.repeat(1000)}true`)).toBe(true);
    expect(value(Array.from({ length: 900 }, () => '1').join('+'))).toBe(900);
    expect(() => parseExpression(`${'NOT '.repeat(100_000)}true`)).toThrow('too long');
  });

  test.each([
    ['', 'too early|SELECT is missing'],
    ['SELECT', 'too early'],
    ["SELECT * FROM 'x", 'does not end'],
    ["SELECT (SELECT 1) AS a FROM 'x'", 'is not emulated'],
    ["SELECT VALUE a FROM 'x'", 'is not emulated'],
    ["SELECT a IN [1] AS b FROM 'x'", 'is not emulated|Unexpected|FROM'],
    ["SELECT topic(1, 2) AS a FROM 'x'", 'takes 0 to 1'],
    ["SELECT * FROM 'x'; DROP", 'Unexpected ";"'],
    ["SELECT a AS FROM 'x'", 'is not emulated here|needs a name'],
  ])('%s', (sql, problem) => {
    expect(() => parseStatement(sql)).toThrow(new RegExp(problem));
  });
});
