import { Roles } from '../../../../../local/iam/roles.ts';
import { DYNAMODB_PERMISSIONS } from '../../../../../local/services/dynamodb/permissions.ts';
import { Fields } from '../../../../../local/services/fields.ts';

const names = {
  arn: (resource: string) => `arn:aws:dynamodb:us-east-1:000000000000:table/${resource}`,
  partitionKey: (_table: string, index = '') => ({ '': 'pk', bySite: 'gsi1pk' })[index],
};
const keys = (operation: string, input: object) =>
  DYNAMODB_PERMISSIONS[operation]?.(Fields.parse(JSON.stringify(input)), names).map(
    ({ action, context }) => `${action.slice('dynamodb:'.length)} ${context?.['dynamodb:leadingkeys'] ?? 'none'}`,
  );
const at = (pk: string) => ({ pk: { S: pk }, sk: { S: 'x' } });

describe('dynamodb:LeadingKeys of', () => {
  test.each([
    ['GetItem', 'Key'],
    ['PutItem', 'Item'],
    ['UpdateItem', 'Key'],
    ['DeleteItem', 'Key'],
  ])('%s is its partition key', (operation, where) => {
    expect(keys(operation, { TableName: 'T', [where]: at('BRAKE') })).toEqual([`${operation} BRAKE`]);
  });

  test.each([
    ['a table', {}, 'pk = :a', 'A'],
    ['a table, with a sort key that is compared as well', {}, 'sk = :b AND pk = :a', 'A'],
    ['a table, with names', { ExpressionAttributeNames: { '#k': 'pk' } }, '#k=:a AND begins_with(sk, :b)', 'A'],
    ['an index', { IndexName: 'bySite' }, 'gsi1pk = :a AND gsi1sk = :b', 'A'],
  ])('a query of %s is the partition key alone', (_, more, KeyConditionExpression, expected) => {
    const values = { ':a': { S: 'A' }, ':b': { S: 'B' } };
    const input = { TableName: 'T', KeyConditionExpression, ExpressionAttributeValues: values, ...more };
    expect(keys('Query', input)).toEqual([`Query ${expected}`]);
  });

  test('a query in the older form, by number', () => {
    const KeyConditions = { pk: { ComparisonOperator: 'EQ', AttributeValueList: [{ N: '7' }] } };
    expect(keys('Query', { TableName: 'T', KeyConditions })).toEqual(['Query 7']);
  });

  test('a scan are none', () => {
    expect(keys('Scan', { TableName: 'T' })).toEqual(['Scan none']);
  });

  test('batches and transactions are those of all members', () => {
    expect(keys('BatchGetItem', { RequestItems: { T: { Keys: [at('A'), at('B')] } } })).toEqual(['BatchGetItem A,B']);
    const requests = [{ PutRequest: { Item: at('A') } }, { DeleteRequest: { Key: at('B') } }];
    expect(keys('BatchWriteItem', { RequestItems: { T: requests } })).toEqual(['BatchWriteItem A,B']);
    const TransactItems = [
      { Put: { TableName: 'T', Item: at('A') } },
      { Update: { TableName: 'T', Key: at('B') } },
      { Put: { TableName: 'T', Item: at('C') } },
      { Delete: { TableName: 'T', Key: at('D') } },
      { ConditionCheck: { TableName: 'T', Key: at('E') } },
    ];
    expect(keys('TransactWriteItems', { TransactItems })).toEqual([
      'PutItem A,C',
      'UpdateItem B',
      'DeleteItem D',
      'ConditionCheckItem E',
    ]);
    expect(keys('TransactGetItems', { TransactItems: [{ Get: { TableName: 'T', Key: at('A') } }] })).toEqual([
      'GetItem A',
    ]);
  });
});

describe('a role that may touch only some partitions', () => {
  const roleArn = 'arn:aws:iam::000000000000:role/checkin';
  const roles = new Roles('000000000000', 'us-east-1');
  roles.define(roleArn, { Statement: [] });
  roles.attach(roleArn, {
    Statement: [
      {
        Effect: 'Allow',
        Action: 'dynamodb:*',
        Resource: names.arn('T'),
        Condition: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['SITE#*', 'BRAKE'] } },
      },
    ],
  });
  const call = (operation: string, input: object) => () => {
    for (const permission of DYNAMODB_PERMISSIONS[operation]?.(Fields.parse(JSON.stringify(input)), names) ?? []) {
      roles.authorize({ roleArn }, permission);
    }
  };

  test.each<[string, (pk: string) => object]>([
    ['GetItem', (pk) => ({ TableName: 'T', Key: at(pk) })],
    ['PutItem', (pk) => ({ TableName: 'T', Item: at(pk) })],
    ['UpdateItem', (pk) => ({ TableName: 'T', Key: at(pk) })],
    ['DeleteItem', (pk) => ({ TableName: 'T', Key: at(pk) })],
    ['BatchGetItem', (pk) => ({ RequestItems: { T: { Keys: [at('BRAKE'), at(pk)] } } })],
    ['BatchWriteItem', (pk) => ({ RequestItems: { T: [{ PutRequest: { Item: at(pk) } }] } })],
    [
      'TransactWriteItems',
      (pk) => ({ TransactItems: [at('BRAKE'), at(pk)].map((Item) => ({ Put: { TableName: 'T', Item } })) }),
    ],
    [
      'Query',
      (pk) => ({
        TableName: 'T',
        KeyConditionExpression: 'pk = :pk AND sk = :sk',
        ExpressionAttributeValues: { ':pk': { S: pk }, ':sk': { S: 'SITE#1' } },
      }),
    ],
  ])('%s', (operation, input) => {
    expect(call(operation, input('SITE#1'))).not.toThrow();
    expect(call(operation, input('APPROVAL#1'))).toThrow(/is not authorized to perform: dynamodb:/);
  });
});
