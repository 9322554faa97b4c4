import { describe, expect, test } from '@jest/globals';
import { readTemplate, resolveTemplate, TemplateError } from '../../../../local/iot/template.ts';

const certificate = {
  Type: 'AWS::IoT::Certificate',
  Properties: { CertificateId: { Ref: 'AWS::IoT::Certificate::Id' } },
};
const template = (thing: unknown, parameters: Record<string, unknown> = {}) =>
  readTemplate(
    JSON.stringify({
      Parameters: { 'AWS::IoT::Certificate::Id': { Type: 'String' }, Serial: { Type: 'String' }, ...parameters },
      Resources: { certificate, thing: { Type: 'AWS::IoT::Thing', Properties: { ThingName: thing } } },
    }),
  );
const nameOf = (thing: unknown, values: Record<string, string>, parameters = {}) =>
  resolveTemplate(template(thing, parameters), { 'AWS::IoT::Certificate::Id': 'c', ...values }).thing?.name;

describe('Provisioning templates', () => {
  test('functions', () => {
    expect(nameOf({ Ref: 'Serial' }, { Serial: '7' })).toBe('7');
    expect(nameOf({ 'Fn::Join': ['-', ['d', { Ref: 'Serial' }, 'x']] }, { Serial: '7' })).toBe('d-7-x');
    expect(nameOf({ 'Fn::Sub': 'd-$' + '{Serial}' }, { Serial: '7' })).toBe('d-7');
    expect(nameOf({ 'Fn::Select': ['1', ['a', { Ref: 'Serial' }]] }, { Serial: '7' })).toBe('7');
    expect(nameOf({ Ref: 'Ward' }, { Serial: '7' }, { Ward: { Type: 'String', Default: 'icu' } })).toBe('icu');
  });

  test('a value is text: what it looks like is never evaluated again', () => {
    expect(nameOf({ Ref: 'Serial' }, { Serial: '{"Ref":"Ward"}' })).toBe('{"Ref":"Ward"}');
    expect(nameOf({ 'Fn::Sub': '$' + '{Serial}' }, { Serial: '$' + '{Ward}' })).toBe('$' + '{Ward}');
  });

  test('a missing value fails for this device, a wrong function for the template', () => {
    expect(() => nameOf({ Ref: 'Serial' }, {})).toThrow(TemplateError);
    expect(() =>
      nameOf({ Ref: 'Serial' }, JSON.parse('{"__proto__":{"Serial":"x"}}') as Record<string, string>),
    ).toThrow(TemplateError);
    expect(() => template({ Ref: 'Unknown' })).toThrow('"Unknown" has no value');
    expect(() => template({ 'Fn::FindInMap': ['a', 'b', 'c'] })).toThrow('Fn::FindInMap is not emulated');
    expect(() => template({ 'Fn::Join': ['-'] })).toThrow('wrong arguments');
    expect(() => template('x', { Bad: { Type: 'Number' } })).toThrow('Type String');
  });
});
