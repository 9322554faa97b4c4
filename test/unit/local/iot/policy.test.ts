import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Json } from '../../../../local/cloud.ts';
import { type BoundPiece, matcher, parsePattern } from '../../../../local/iot/glob.ts';
import { type BoundPolicies, bindPolicies, compilePolicy } from '../../../../local/iot/policy.ts';

const ARN = 'arn:aws:iot:us-east-1:000000000000:';
const variable = (name: string) => `$\{${name}}`;
const THING = variable('iot:Connection.Thing.ThingName');

function bound(
  statements: Json,
  values: Record<string, string> = {},
  lists: Record<string, string[]> = {},
): BoundPolicies {
  return bindPolicies([compilePolicy('p', { Version: '2012-10-17', Statement: statements })], {
    variable: (name) => values[name],
    list: (name) => lists[name],
  });
}

describe('Patterns', () => {
  const reference = (pattern: string, value: string): boolean =>
    new RegExp(
      `^${pattern
        .replace(/[.+^${}()|[\]\\]/g, '\\$&')
        .replaceAll('*', '.*')
        .replaceAll('?', '.')}$`,
      's',
    ).test(value);

  test('agree with a regular expression', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', ':'), maxLength: 12 });
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '?'), maxLength: 10 });
    fc.assert(
      fc.property(pattern, text, (one, value) => {
        expect(matcher(parsePattern(one) as BoundPiece[])(value)).toBe(reference(one, value));
      }),
      { numRuns: 2000 },
    );
  });

  test('a hostile pattern costs no time', () => {
    const started = performance.now();
    expect(matcher(parsePattern(`${'*a'.repeat(50)}b`) as BoundPiece[])('a'.repeat(5000))).toBe(false);
    // Where it grows with the length to a power, it takes years.
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});

describe('Decisions', () => {
  test('nothing said means no; a deny wins', () => {
    const policies = bound([
      { Effect: 'Allow', Action: ['iot:Publish', 'iot:Rec*'], Resource: `${ARN}topic/a/*` },
      { Effect: 'Deny', Action: 'iot:*', Resource: `${ARN}topic/a/secret` },
    ]);
    expect(policies.allows('iot:Publish', `${ARN}topic/a/b`)).toBe(true);
    expect(policies.allows('iot:Receive', `${ARN}topic/a/b`)).toBe(true);
    expect(policies.allows('iot:Publish', `${ARN}topic/a/secret`)).toBe(false);
    expect(policies.allows('iot:Subscribe', `${ARN}topic/a/b`)).toBe(false);
    expect(policies.allows('iot:Publish', `${ARN}topic/b`)).toBe(false);
    expect(bindPolicies([], { variable: () => undefined, list: () => undefined }).allows('iot:Connect', 'x')).toBe(
      false,
    );
  });

  test('a variable without a value makes the statement not apply', () => {
    const statement = {
      Effect: 'Allow',
      Action: 'iot:Publish',
      Resource: [`${ARN}topic/${THING}/x`, `${ARN}topic/common`],
    };
    expect(bound(statement).allows('iot:Publish', `${ARN}topic//x`)).toBe(false);
    expect(bound(statement).allows('iot:Publish', `${ARN}topic/${THING}/x`)).toBe(false);
    expect(bound(statement).allows('iot:Publish', `${ARN}topic/common`)).toBe(true);
  });

  test('conditions', () => {
    const when = (condition: Json, values: Record<string, string>, lists = {}) =>
      bound({ Effect: 'Allow', Action: 'iot:Connect', Resource: '*', Condition: condition }, values, lists).allows(
        'iot:Connect',
        'x',
      );
    const attached = 'iot:Connection.Thing.IsAttached';
    expect(when({ Bool: { [attached]: 'true' } }, { [attached]: 'true' })).toBe(true);
    expect(when({ Bool: { [attached]: 'true' } }, { [attached]: 'false' })).toBe(false);
    expect(when({ Bool: { [attached]: 'true' } }, {})).toBe(false);
    expect(when({ StringLike: { 'iot:ClientId': 'd-*' } }, { 'iot:ClientId': 'd-1' })).toBe(true);
    expect(when({ StringNotEquals: { 'iot:ClientId': ['a', 'b'] } }, { 'iot:ClientId': 'b' })).toBe(false);
    expect(
      when(
        { StringEquals: { 'iot:ClientId': THING } },
        { 'iot:ClientId': 'd-1', 'iot:Connection.Thing.ThingName': 'd-1' },
      ),
    ).toBe(true);
    const attributes = (quantifier: string) => ({
      [`${quantifier}:StringEquals`]: { 'iot:ConnectAttributes': ['PersistentConnect'] },
    });
    const connect = (...list: string[]) => ({ 'iot:ConnectAttributes': list });
    expect(when(attributes('ForAllValues'), {}, connect())).toBe(true);
    expect(when(attributes('ForAllValues'), {}, connect('PersistentConnect'))).toBe(true);
    expect(when(attributes('ForAllValues'), {}, connect('PersistentConnect', 'LastWill'))).toBe(false);
    expect(when(attributes('ForAnyValue'), {}, connect())).toBe(false);
  });

  test('what is not understood is refused', () => {
    const refuse = (statement: Json, problem: string) => expect(() => bound(statement)).toThrow(problem);
    const allow = { Effect: 'Allow', Action: 'iot:Publish', Resource: '*' };
    refuse({ ...allow, NotResource: '*' }, 'NotResource is not emulated');
    refuse({ ...allow, Action: 's3:GetObject' }, 'no IoT action');
    refuse({ ...allow, Resource: `topic/${variable('aws:username')}` }, 'aws:username is not emulated');
    refuse({ ...allow, Resource: '${' }, 'Unfinished');
    refuse({ ...allow, Condition: { DateLessThan: { 'iot:ClientId': 'x' } } }, 'DateLessThan');
    refuse({ ...allow, Effect: 'Maybe' }, 'Effect');
    refuse([], 'no statement');
    expect(() => compilePolicy('p', '{')).toThrow('IoT policy p: not JSON');
    expect(() => compilePolicy('p', { Version: '2008-10-17', Statement: allow })).toThrow('2012-10-17');
  });
});

describe('A name can never widen a policy', () => {
  const name = fc.string({
    unit: fc.constantFrom('d', '-', '1', '*', '?', '+', '#', '$', '{', '}', '/', ':', 'ü'),
    maxLength: 12,
  });
  const policy = [
    { Effect: 'Allow', Action: 'iot:Connect', Resource: `${ARN}client/${THING}` },
    { Effect: 'Allow', Action: 'iot:Publish', Resource: `${ARN}topic/wardline/${THING}/checkin` },
    { Effect: 'Allow', Action: 'iot:Subscribe', Resource: `${ARN}topicfilter/wardline/${THING}/*` },
  ];

  test('it is allowed nothing but what bears exactly this name', () => {
    fc.assert(
      fc.property(name, name, (own, other) => {
        const policies = bound(policy, { 'iot:Connection.Thing.ThingName': own });
        if (own === other) return;
        expect(policies.allows('iot:Connect', `${ARN}client/${other}`)).toBe(false);
        expect(policies.allows('iot:Publish', `${ARN}topic/wardline/${other}/checkin`)).toBe(false);
        if (!other.startsWith(`${own}/`)) {
          expect(policies.allows('iot:Subscribe', `${ARN}topicfilter/wardline/${other}/wake`)).toBe(false);
        }
      }),
      { numRuns: 5000 },
    );
  });

  test('a name with a wildcard is allowed nothing at all', () => {
    fc.assert(
      fc.property(
        name.filter((text) => /[*?+#$]/.test(text)),
        (own) => {
          const policies = bound(policy, { 'iot:Connection.Thing.ThingName': own });
          expect(policies.allows('iot:Connect', `${ARN}client/${own}`)).toBe(false);
          expect(policies.allows('iot:Publish', `${ARN}topic/wardline/${own}/checkin`)).toBe(false);
          expect(policies.allows('iot:Subscribe', `${ARN}topicfilter/wardline/${own}/wake`)).toBe(false);
        },
      ),
    );
  });

  test('in a deny it still denies itself', () => {
    fc.assert(
      fc.property(
        name.filter((text) => text !== ''),
        (own) => {
          const policies = bound(
            [
              { Effect: 'Allow', Action: 'iot:Publish', Resource: '*' },
              { Effect: 'Deny', Action: 'iot:Publish', Resource: `${ARN}topic/${THING}` },
            ],
            { 'iot:Connection.Thing.ThingName': own },
          );
          expect(policies.allows('iot:Publish', `${ARN}topic/${own}`)).toBe(false);
          expect(policies.allows('iot:Publish', `${ARN}topic/x${own}`)).toBe(true);
        },
      ),
    );
  });
});
