import { AwsError, type Json, type Permission } from '../../cloud.ts';
import { type Fields, Fields as FieldsOf, isObject } from '../fields.ts';
import { keyOf, keyOfQuery, leadingKeys, type PartitionKey } from './leading-keys.ts';

/** Turns a table's name, or `name/index/index name`, into an ARN. */
export type TableArn = (resource: string) => string;

/** A table as a request names it: by name or by ARN. */
const tableName = (nameOrArn: string): string =>
  nameOrArn.startsWith('arn:') ? (nameOrArn.split(':table/')[1]?.split('/')[0] ?? nameOrArn) : nameOrArn;

/** What a request is resolved with. */
interface Names {
  readonly arn: TableArn;
  readonly partitionKey: PartitionKey;
}

type Resolve = (input: Fields, names: Names) => Permission[];

const onTable =
  (action: string): Resolve =>
  (input, { arn }) => [{ action: `dynamodb:${action}`, resource: arn(tableName(input.text('TableName'))) }];

/** Operations on one item, whose partition key lies in its `Key` or in the whole `Item`. */
const onItem =
  (action: string, where: 'Key' | 'Item'): Resolve =>
  (input, { arn, partitionKey }) => {
    const table = tableName(input.text('TableName'));
    const keys = keyOf(input.object(where).raw, partitionKey(table));
    return [{ action: `dynamodb:${action}`, resource: arn(table), ...leadingKeys(keys) }];
  };

/** Query and Scan need the permission on the index alone when they name one. A scan has no leading keys. */
const onIndex =
  (action: 'Query' | 'Scan'): Resolve =>
  (input, { arn, partitionKey }) => {
    const table = tableName(input.text('TableName'));
    const index = input.optionalText('IndexName');
    const resource = arn(index === undefined ? table : `${table}/index/${index}`);
    const keys = action === 'Scan' ? {} : leadingKeys(keyOfQuery(input, partitionKey(table, index)));
    return [{ action: `dynamodb:${action}`, resource, ...keys }];
  };

const batchGet: Resolve = (input, { arn, partitionKey }) =>
  requestedTables(input).map(([table, request]) => {
    const keys = isObject(request) && Array.isArray(request['Keys']) ? request['Keys'].filter(isObject) : [];
    const touched = keys.flatMap((key) => keyOf(key, partitionKey(table)));
    return { action: 'dynamodb:BatchGetItem', resource: arn(table), ...leadingKeys(touched) };
  });

const batchWrite: Resolve = (input, { arn, partitionKey }) =>
  requestedTables(input).map(([table, requests]) => {
    const wanted = Array.isArray(requests) ? requests.filter(isObject) : [];
    const items = wanted.map((request) => {
      const put = isObject(request['PutRequest']) ? request['PutRequest']['Item'] : undefined;
      return put ?? (isObject(request['DeleteRequest']) ? request['DeleteRequest']['Key'] : undefined);
    });
    const touched = items.flatMap((item) => (isObject(item) ? keyOf(item, partitionKey(table)) : []));
    return { action: 'dynamodb:BatchWriteItem', resource: arn(table), ...leadingKeys(touched) };
  });

const requestedTables = (input: Fields): (readonly [string, Json])[] =>
  Object.entries(input.object('RequestItems').raw).map(([name, request]) => [tableName(name), request] as const);

/** The permission behind each member of a transaction: there is no permission `TransactWriteItems`. */
const TRANSACTION_ACTIONS: Readonly<Record<string, string>> = {
  Put: 'PutItem',
  Update: 'UpdateItem',
  Delete: 'DeleteItem',
  ConditionCheck: 'ConditionCheckItem',
  Get: 'GetItem',
};

/** Each kind of member once for each table, with the partition keys of all its members: one that is not allowed denies all. */
const onTransaction: Resolve = (input, { arn, partitionKey }) => {
  const permissions = new Map<string, { action: string; resource: string; keys: string[] }>();
  for (const item of input.objects('TransactItems')) {
    for (const [kind, body] of Object.entries(item.raw)) {
      const action = TRANSACTION_ACTIONS[kind];
      if (action === undefined || !isObject(body)) {
        throw new AwsError('ValidationException', `TransactItems: ${kind} is not an operation of a transaction`);
      }
      const member = new FieldsOf(body, kind);
      const table = tableName(member.text('TableName'));
      const keys = keyOf(member.object(kind === 'Put' ? 'Item' : 'Key').raw, partitionKey(table));
      const known = permissions.get(`${action} ${table}`);
      if (known === undefined) {
        permissions.set(`${action} ${table}`, { action: `dynamodb:${action}`, resource: arn(table), keys });
      } else known.keys.push(...keys);
    }
  }
  return [...permissions.values()].map(({ keys, ...permission }) => ({ ...permission, ...leadingKeys(keys) }));
};

/**
 * What each operation needs, with the partition keys that it touches (`dynamodb:LeadingKeys`), by the service authorization reference:
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
 */
export const DYNAMODB_PERMISSIONS: Readonly<Record<string, Resolve>> = {
  GetItem: onItem('GetItem', 'Key'),
  PutItem: onItem('PutItem', 'Item'),
  UpdateItem: onItem('UpdateItem', 'Key'),
  DeleteItem: onItem('DeleteItem', 'Key'),
  DescribeTable: onTable('DescribeTable'),
  DescribeTimeToLive: onTable('DescribeTimeToLive'),
  Query: onIndex('Query'),
  Scan: onIndex('Scan'),
  BatchGetItem: batchGet,
  BatchWriteItem: batchWrite,
  TransactGetItems: onTransaction,
  TransactWriteItems: onTransaction,
};

/** The tables that a request names, without repetition. */
export const tablesOf = (permissions: readonly Permission[]): string[] => [
  ...new Set(permissions.map((permission) => tableName(permission.resource))),
];
