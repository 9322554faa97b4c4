import fc from 'fast-check';
import type { Json } from '../../../../local/cloud.ts';
import { compilePolicy, decide } from '../../../../local/iam/policy.ts';

const table = 'arn:aws:dynamodb:us-east-1:000000000000:table/devices';

const policy = (...statements: Json[]) => compilePolicy({ Version: '2012-10-17', Statement: statements });
const decision = (
  statements: Json[],
  action: string,
  resource = table,
  context: Record<string, string | string[]> = {},
) => decide(policy(...statements), { action, resource }, context);

test('nothing is allowed that no statement allows', () => {
  expect(decision([{ Effect: 'Allow', Action: 'dynamodb:Query', Resource: table }], 'dynamodb:GetItem')).toBe('none');
  expect(
    decision(
      [{ Effect: 'Allow', Action: 'dynamodb:Query', Resource: table }],
      'dynamodb:Query',
      `${table}/index/bySite`,
    ),
  ).toBe('none');
});

test('actions compare without regard to case, resources with it', () => {
  const allow = { Effect: 'Allow', Action: 'DynamoDB:query', Resource: table };

  expect(decision([allow], 'dynamodb:Query')).toBe('allowed');
  expect(decision([allow], 'dynamodb:Query', table.toUpperCase())).toBe('none');
});

test('wildcards stand for any text and for one character', () => {
  expect(
    decision([{ Effect: 'Allow', Action: 'dynamodb:*Item', Resource: `${table.slice(0, -1)}?` }], 'dynamodb:GetItem'),
  ).toBe('allowed');
  expect(decision([{ Effect: 'Allow', Action: 'dynamodb:*Item', Resource: `${table}?` }], 'dynamodb:GetItem')).toBe(
    'none',
  );
});

test('a dot in a pattern is a dot', () => {
  expect(
    decision(
      [{ Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::b/a.pem' }],
      's3:GetObject',
      'arn:aws:s3:::b/axpem',
    ),
  ).toBe('none');
});

test('NotAction and NotResource', () => {
  expect(decision([{ Effect: 'Allow', NotAction: 'dynamodb:Delete*', Resource: '*' }], 'dynamodb:Query')).toBe(
    'allowed',
  );
  expect(decision([{ Effect: 'Allow', NotAction: 'dynamodb:Delete*', Resource: '*' }], 'dynamodb:DeleteItem')).toBe(
    'none',
  );
  expect(decision([{ Effect: 'Allow', Action: '*', NotResource: table }], 'dynamodb:Query')).toBe('none');
});

test('an explicit deny wins whatever the order', () => {
  const allow = { Effect: 'Allow', Action: '*', Resource: '*' };
  const deny = { Effect: 'Deny', Action: 'dynamodb:DeleteItem', Resource: '*' };

  expect(decision([allow, deny], 'dynamodb:DeleteItem')).toBe('denied');
  expect(decision([deny, allow], 'dynamodb:DeleteItem')).toBe('denied');
});

test.each<[string, Json, Record<string, string | string[]>, boolean]>([
  ['StringEquals', { StringEquals: { 'kms:ViaService': 'dynamodb' } }, { 'kms:viaservice': 'dynamodb' }, true],
  ['StringEquals, other value', { StringEquals: { 'kms:ViaService': 'dynamodb' } }, { 'kms:viaservice': 's3' }, false],
  ['StringEquals, key absent', { StringEquals: { 'kms:ViaService': 'dynamodb' } }, {}, false],
  ['StringEqualsIfExists, key absent', { StringEqualsIfExists: { 'kms:ViaService': 'dynamodb' } }, {}, true],
  ['StringNotEquals, key absent', { StringNotEquals: { 'kms:ViaService': 'dynamodb' } }, {}, true],
  ['one of several values', { StringEquals: { 'iot:Topic': ['a', 'b'] } }, { 'iot:topic': 'b' }, true],
  ['StringLike', { StringLike: { 'iot:Topic': 'wardline/*/wake' } }, { 'iot:topic': 'wardline/d-1/wake' }, true],
  [
    'StringLike, no match',
    { StringLike: { 'iot:Topic': 'wardline/*/wake' } },
    { 'iot:topic': 'other/d-1/wake' },
    false,
  ],
  [
    'ArnLike matches field by field',
    { ArnLike: { 'aws:SourceArn': 'arn:aws:iot:*:*:rule/x' } },
    { 'aws:sourcearn': 'arn:aws:iot:r:a:rule/x' },
    true,
  ],
  [
    'ArnLike: a wildcard does not reach the next field',
    { ArnLike: { 'aws:SourceArn': 'arn:aws:iot:*:rule/x' } },
    { 'aws:sourcearn': 'arn:aws:iot:r:a:rule/x' },
    false,
  ],
  ['Bool', { Bool: { 'aws:SecureTransport': 'false' } }, { 'aws:securetransport': 'true' }, false],
  ['Null: absent', { Null: { 'aws:TokenIssueTime': 'true' } }, {}, true],
  ['Null: present', { Null: { 'aws:TokenIssueTime': 'true' } }, { 'aws:tokenissuetime': 'x' }, false],
  [
    'ForAllValues',
    { 'ForAllValues:StringEquals': { 'dynamodb:Attributes': ['pk', 'sk'] } },
    { 'dynamodb:attributes': ['pk'] },
    true,
  ],
  [
    'ForAllValues, one too many',
    { 'ForAllValues:StringEquals': { 'dynamodb:Attributes': ['pk'] } },
    { 'dynamodb:attributes': ['pk', 'x'] },
    false,
  ],
  ['ForAllValues of nothing holds', { 'ForAllValues:StringEquals': { 'dynamodb:Attributes': ['pk'] } }, {}, true],
  [
    'ForAnyValue',
    { 'ForAnyValue:StringLike': { 'dynamodb:LeadingKeys': 'DEVICE#*' } },
    { 'dynamodb:leadingkeys': ['x', 'DEVICE#1'] },
    true,
  ],
  [
    'every operator and every key must hold',
    { Bool: { a: 'true' }, StringEquals: { b: 'x', c: 'y' } },
    { a: 'true', b: 'x', c: 'z' },
    false,
  ],
])('condition %s', (_, Condition, context, expected) => {
  expect(decision([{ Effect: 'Allow', Action: '*', Resource: '*', Condition }], 'x:Y', '*', context)).toBe(
    expected ? 'allowed' : 'none',
  );
});

test.each<[string, Json]>([
  [
    'an unknown operator',
    { Effect: 'Allow', Action: '*', Resource: '*', Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } },
  ],
  ['an unknown element', { Effect: 'Allow', Action: '*', Resource: '*', When: 'always' }],
  ['a policy variable', { Effect: 'Allow', Action: '*', Resource: ['arn:aws:s3:::b/$', '{aws:username}'].join('') }],
  ['no effect', { Action: '*', Resource: '*' }],
  ['no action', { Effect: 'Allow', Resource: '*' }],
])('%s is an error, so that a policy is never read as wider than it is', (_, statement) => {
  expect(() => policy(statement)).toThrow();
});

test('more statements that deny never allow more', () => {
  const action = fc.constantFrom('a:Get', 'a:Put', 'b:Get', 'a:*', '*');
  const statement = fc.record({
    Effect: fc.constantFrom('Allow', 'Deny'),
    Action: action,
    Resource: fc.constantFrom('*', 'r1', 'r2'),
  });

  fc.assert(
    fc.property(
      fc.array(statement),
      statement,
      fc.constantFrom('a:Get', 'a:Put', 'b:Get'),
      fc.constantFrom('r1', 'r2'),
      (base, extra, called, resource) => {
        const before = decision(base, called, resource);
        const after = decision([...base, { ...extra, Effect: 'Deny' }], called, resource);
        expect(after === 'allowed' && before !== 'allowed').toBe(false);
      },
    ),
  );
});
