import { AwsError, type AwsService, type Cloud, type Permission } from '../../cloud.ts';
import { Fields, isObject, type JsonObject } from '../fields.ts';
import { jsonError, notEmulated, targetOperation } from '../protocol/json.ts';
import { capacityUnits } from './capacity.ts';
import { DYNAMODB_PERMISSIONS, tablesOf } from './permissions.ts';
import type { TableRegistry } from './tables.ts';
import { type DynamoDbClient, LOCAL_REGION } from './wire.ts';

const TARGET = 'DynamoDB_20120810';

/** Operations whose answers carry consumed capacity. */
const METERED = new Set(Object.keys(DYNAMODB_PERMISSIONS).filter((operation) => !operation.startsWith('Describe')));

/** Operations that change items, after which streams have something new. */
const CHANGING = new Set(['PutItem', 'UpdateItem', 'DeleteItem', 'BatchWriteItem', 'TransactWriteItems']);

/** Asks for the consumed capacity without parsing and writing the request anew. */
const withCapacity = (body: Buffer, input: Fields): Buffer => {
  if (input.has('ReturnConsumedCapacity') && input.text('ReturnConsumedCapacity') !== 'NONE') return body;
  if (input.has('ReturnConsumedCapacity')) {
    return Buffer.from(JSON.stringify({ ...input.raw, ReturnConsumedCapacity: 'TOTAL' }));
  }
  const start = body.indexOf('{') + 1;
  return Buffer.concat([Buffer.from('{"ReturnConsumedCapacity":"TOTAL",'), body.subarray(start)]);
};

/** Takes what the caller did not ask for out of the answer again. */
const asAsked = (raw: Buffer, output: JsonObject, input: Fields): Buffer => {
  const asked = input.optionalText('ReturnConsumedCapacity') ?? 'NONE';
  if (asked !== 'NONE' || output['ConsumedCapacity'] === undefined) return raw;
  const { ConsumedCapacity: _unasked, ...rest } = output;
  return Buffer.from(JSON.stringify(rest));
};

const errorCode = (output: JsonObject): string =>
  String(output['__type'] ?? 'InternalServerError')
    .split('#')
    .at(-1) ?? 'InternalServerError';

/**
 * DynamoDB as functions see it: each operation is resolved to the permissions that it needs and then passed on to DynamoDB
 * Local byte by byte. `changed` is told of the tables of every successful write.
 */
export const dynamoDbService = (
  cloud: Cloud,
  client: DynamoDbClient,
  tables: TableRegistry,
  changed: (tables: readonly string[]) => void,
): AwsService => {
  const arn = (resource: string) => cloud.arn('dynamodb', `table/${resource}`);
  return {
    signingNames: ['dynamodb'],
    resolve(request) {
      const operation = targetOperation(request, TARGET);
      const permissionsOf = Object.hasOwn(DYNAMODB_PERMISSIONS, operation)
        ? DYNAMODB_PERMISSIONS[operation]
        : undefined;
      if (permissionsOf === undefined) throw notEmulated('DynamoDB', operation);
      const input = Fields.parse(request.body);
      const permissions: readonly Permission[] = permissionsOf(input, {
        arn,
        partitionKey: (table, index) => tables.partitionKey(table, index),
      });
      const names = tablesOf(permissions);
      return {
        operation,
        permissions: [...permissions, ...tables.keyPermissions(names)],
        async execute() {
          const metered = METERED.has(operation);
          const answer = await client
            .forward(`${TARGET}.${operation}`, metered ? withCapacity(request.body, input) : request.body)
            .catch((error: unknown) => {
              throw new AwsError('InternalServerError', `DynamoDB Local does not answer: ${String(error)}`, 500);
            });
          const text = answer.body.toString();
          const parsed: unknown = JSON.parse(text === '' ? '{}' : text);
          const output = isObject(parsed as JsonObject) ? (parsed as JsonObject) : {};
          const failed = answer.status !== 200;
          if (!failed && CHANGING.has(operation)) changed(names);
          return {
            status: answer.status,
            ...(failed ? { error: errorCode(output) } : {}),
            headers: { 'content-type': 'application/x-amz-json-1.0' },
            body: metered
              ? asAsked(answer.body, output, input)
              : text.replaceAll(`:${LOCAL_REGION}:000000000000:`, `:${cloud.region}:${cloud.account}:`),
            ...(metered
              ? { capacityUnits: capacityUnits(operation, input, output, failed ? errorCode(output) : undefined) }
              : {}),
          };
        },
      };
    },
    error: (error) => jsonError(error, '1.0'),
  };
};
