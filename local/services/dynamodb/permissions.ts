import { AwsError, type Permission } from '../../cloud.ts';
import { type Fields, Fields as FieldsOf, isObject } from '../fields.ts';

/** Turns a table's name, or `name/index/index name`, into an ARN. */
export type TableArn = (resource: string) => string;

/** A table as a request names it: by name or by ARN. */
const tableName = (nameOrArn: string): string =>
  nameOrArn.startsWith('arn:') ? (nameOrArn.split(':table/')[1]?.split('/')[0] ?? nameOrArn) : nameOrArn;

const onTable =
  (action: string) =>
  (input: Fields, arn: TableArn): Permission[] => [
    { action: `dynamodb:${action}`, resource: arn(tableName(input.text('TableName'))) },
  ];

/** Query and Scan need the permission on the index alone when they name one. */
const onIndex =
  (action: string) =>
  (input: Fields, arn: TableArn): Permission[] => {
    const table = tableName(input.text('TableName'));
    const index = input.optionalText('IndexName');
    const resource = arn(index === undefined ? table : `${table}/index/${index}`);
    return [{ action: `dynamodb:${action}`, resource, ...leadingKeysOf(input) }];
  };

/** `dynamodb:LeadingKeys` of a query: the partition key's value, out of `<key> = :value` in its key condition. */
const leadingKeysOf = (input: Fields): Pick<Permission, 'context'> => {
  const condition = input.optionalText('KeyConditionExpression');
  if (condition === undefined) return {};
  const equal = [...condition.matchAll(/[#\w]+\s*=\s*(:\w+)/g)].map(([, name]) => name ?? '');
  const values = input.object('ExpressionAttributeValues').raw;
  const keys = equal.flatMap((name) => {
    const value = values[name];
    return isObject(value) && typeof value['S'] === 'string' ? [value['S']] : [];
  });
  return { context: { 'dynamodb:leadingkeys': keys } };
};

const onRequestedTables =
  (action: string) =>
  (input: Fields, arn: TableArn): Permission[] =>
    Object.keys(input.object('RequestItems').raw).map((name) => ({
      action: `dynamodb:${action}`,
      resource: arn(tableName(name)),
    }));

/** The permission behind each member of a transaction: there is no permission `TransactWriteItems`. */
const TRANSACTION_ACTIONS: Readonly<Record<string, string>> = {
  Put: 'PutItem',
  Update: 'UpdateItem',
  Delete: 'DeleteItem',
  ConditionCheck: 'ConditionCheckItem',
  Get: 'GetItem',
};

const onTransaction = (input: Fields, arn: TableArn): Permission[] => {
  const permissions = new Map<string, Permission>();
  for (const item of input.objects('TransactItems')) {
    for (const [kind, body] of Object.entries(item.raw)) {
      const action = TRANSACTION_ACTIONS[kind];
      if (action === undefined || !isObject(body)) {
        throw new AwsError('ValidationException', `TransactItems: ${kind} is not an operation of a transaction`);
      }
      const resource = arn(tableName(new FieldsOf(body, kind).text('TableName')));
      permissions.set(`${action} ${resource}`, { action: `dynamodb:${action}`, resource });
    }
  }
  return [...permissions.values()];
};

/**
 * What each operation needs, by the service authorization reference:
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
 */
export const DYNAMODB_PERMISSIONS: Readonly<Record<string, (input: Fields, arn: TableArn) => Permission[]>> = {
  GetItem: onTable('GetItem'),
  PutItem: onTable('PutItem'),
  UpdateItem: onTable('UpdateItem'),
  DeleteItem: onTable('DeleteItem'),
  DescribeTable: onTable('DescribeTable'),
  DescribeTimeToLive: onTable('DescribeTimeToLive'),
  Query: onIndex('Query'),
  Scan: onIndex('Scan'),
  BatchGetItem: onRequestedTables('BatchGetItem'),
  BatchWriteItem: onRequestedTables('BatchWriteItem'),
  TransactGetItems: onTransaction,
  TransactWriteItems: onTransaction,
};

/** The tables that a request names, without repetition. */
export const tablesOf = (permissions: readonly Permission[]): string[] => [
  ...new Set(permissions.map((permission) => tableName(permission.resource))),
];
