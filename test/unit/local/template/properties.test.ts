import type { ResourceType } from '../../../../local/cloud.ts';
import { unknownProperties } from '../../../../local/template/properties.ts';

const type: ResourceType = {
  type: 'Test::Thing',
  honoured: ['Name', 'Code.S3Key', 'Rules.Action', 'Environment.Variables'],
  leftOut: { Tags: 'no effect', 'Rules.Note': 'no effect' },
  create: () => ({ ref: 'x' }),
};

test('what is honoured and what is left out is known, and so is everything below', () => {
  expect(
    unknownProperties(
      {
        Name: { Ref: 'X' },
        Tags: [{ Key: 'a', Value: 'b' }],
        Environment: { Variables: { ANY: '1' } },
        Rules: [{ Action: 'a', Note: 'n' }],
      },
      type,
    ),
  ).toEqual([]);
});

test('a property or a part of one that is new is named by its path', () => {
  expect(
    unknownProperties({ Code: { S3Key: 'k', ZipFile: 'x' }, New: 1, Rules: [{ Action: 'a' }, { Other: 1 }] }, type),
  ).toEqual(['Code.ZipFile', 'New', 'Rules.Other']);
});

test('both branches of Fn::If are looked at, and AWS::NoValue is nothing', () => {
  expect(
    unknownProperties(
      { Code: { 'Fn::If': ['C', { S3Key: 'k' }, { ImageUri: 'i' }] }, New: { Ref: 'AWS::NoValue' } },
      type,
    ),
  ).toEqual(['Code.ImageUri']);
});

test('a part that is computed as a whole is not known, because nobody can say what is in it', () => {
  expect(unknownProperties({ Code: { 'Fn::GetAtt': ['A', 'B'] } }, type)).toEqual(['Code']);
});
