import type { Json } from '../../../../local/cloud.ts';
import type { Template } from '../../../../local/template/assembly.ts';
import {
  conditionHolds,
  referencesOf,
  resolve,
  resolveMembers,
  type Scope,
  TemplateError,
} from '../../../../local/template/intrinsics.ts';

const scope = (template: Template = {}): Scope => ({
  pseudo: { 'AWS::Region': 'us-east-1', 'AWS::AccountId': '000000000000' },
  template,
  ref: (id) => (id === 'Table' ? 'wards' : undefined),
  attribute: (id, name) => (id === 'Table' && name === 'Arn' ? 'arn:wards' : undefined),
  imported: (name) => (name === 'Other:Key' ? 'k-1' : undefined),
});

// CloudFormation's own notation, not a template string.
const sub = (text: string) => text.replaceAll('<', '${').replaceAll('>', '}');

test.each<[string, Json, Json]>([
  ['Ref of a resource', { Ref: 'Table' }, 'wards'],
  ['Ref of a pseudo parameter', { Ref: 'AWS::Region' }, 'us-east-1'],
  ['Fn::GetAtt as a list', { 'Fn::GetAtt': ['Table', 'Arn'] }, 'arn:wards'],
  ['Fn::GetAtt as text', { 'Fn::GetAtt': 'Table.Arn' }, 'arn:wards'],
  [
    'Fn::Sub',
    { 'Fn::Sub': sub('<AWS::Region>/<Table>/<Table.Arn>/<!Literal>') },
    sub('us-east-1/wards/arn:wards/<Literal>'),
  ],
  [
    'Fn::Sub with variables',
    { 'Fn::Sub': [sub('<a>-<Table>'), { a: { Ref: 'AWS::AccountId' } }] },
    '000000000000-wards',
  ],
  ['Fn::Join', { 'Fn::Join': ['/', ['a', { Ref: 'Table' }, 7]] }, 'a/wards/7'],
  [
    'Fn::Select and Fn::Split',
    { 'Fn::Select': [1, { 'Fn::Split': [':', { 'Fn::GetAtt': ['Table', 'Arn'] }] }] },
    'wards',
  ],
  ['Fn::Base64', { 'Fn::Base64': 'ward' }, 'd2FyZA=='],
  ['Fn::ImportValue', { 'Fn::ImportValue': 'Other:Key' }, 'k-1'],
  ['nested lists and objects', { a: [{ b: { Ref: 'Table' } }] }, { a: [{ b: 'wards' }] }],
])('%s', (_, value, expected) => {
  expect(resolve(value, scope())).toEqual(expected);
});

test('mappings, parameters and conditions of the template', () => {
  const within = scope({
    Parameters: { Stage: { Type: 'String', Default: 'test' } },
    Mappings: { Limits: { 'us-east-1': { rate: 5 } } },
    Conditions: {
      IsTest: { 'Fn::Equals': [{ Ref: 'Stage' }, 'test'] },
      IsNot: { 'Fn::Not': [{ Condition: 'IsTest' }] },
      Both: { 'Fn::And': [{ Condition: 'IsTest' }, { Condition: 'IsNot' }] },
      Either: { 'Fn::Or': [{ Condition: 'IsTest' }, { Condition: 'IsNot' }] },
    },
  });

  expect(resolve({ 'Fn::FindInMap': ['Limits', { Ref: 'AWS::Region' }, 'rate'] }, within)).toBe(5);
  expect(resolve({ 'Fn::If': ['IsTest', { Ref: 'Stage' }, { Ref: 'Missing' }] }, within)).toBe('test');
  expect([conditionHolds('IsNot', within), conditionHolds('Both', within), conditionHolds('Either', within)]).toEqual([
    false,
    false,
    true,
  ]);
});

test('AWS::NoValue drops the property or the item', () => {
  const none = { Ref: 'AWS::NoValue' };

  expect(resolveMembers({ kept: 1, dropped: none, list: [none, 2] }, scope())).toEqual({ kept: 1, list: [2] });
});

test.each<[string, Json]>([
  ['an unknown function', { 'Fn::Transform': {} }],
  ['a resource that does not exist', { Ref: 'Nobody' }],
  ['an attribute that the local cloud does not give', { 'Fn::GetAtt': ['Table', 'StreamArn'] }],
  ['an export that does not exist', { 'Fn::ImportValue': 'Nobody' }],
  ['a list that is too short', { 'Fn::Join': ['/'] }],
])('%s is an error, never skipped', (_, value) => {
  expect(() => resolve(value, scope())).toThrow(TemplateError);
});

test('references are found wherever they stand', () => {
  const value = {
    a: [{ Ref: 'One' }],
    b: { 'Fn::GetAtt': ['Two', 'Arn'] },
    c: { 'Fn::Sub': sub('<Three>/<Four.Arn>/<!Five>') },
  };

  expect([...referencesOf(value)].sort()).toEqual(['Four', 'One', 'Three', 'Two']);
});
