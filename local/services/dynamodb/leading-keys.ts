import type { Permission } from '../../cloud.ts';
import { type Fields, isObject, type JsonObject } from '../fields.ts';

/** The name of the partition key of a table or of one of its indexes; undefined for what is not there. */
export type PartitionKey = (table: string, index?: string) => string | undefined;

/** The condition key with the partition keys that a call touches. */
export const leadingKeys = (values: readonly string[]): Pick<Permission, 'context'> => ({
  context: { 'dynamodb:leadingkeys': values },
});

/** The partition key in a key or an item, as IAM compares it; none where the request has none, which DynamoDB refuses. */
export const keyOf = (item: JsonObject, name: string | undefined): string[] =>
  name === undefined ? [] : textOf(item[name]);

/**
 * The partition key of a query, out of `<partition key> = :value` in its key condition, or out of the older `KeyConditions`.
 * A sort key that is compared with `=` is none.
 */
export function keyOfQuery(input: Fields, name: string | undefined): string[] {
  const older = input.optionalObject('KeyConditions')?.raw;
  if (older !== undefined) {
    const condition = name === undefined ? undefined : older[name];
    const list = isObject(condition) ? condition['AttributeValueList'] : undefined;
    return Array.isArray(list) ? list.flatMap(textOf) : [];
  }
  const names = input.optionalObject('ExpressionAttributeNames')?.raw ?? {};
  const values = input.optionalObject('ExpressionAttributeValues')?.raw ?? {};
  const equalities = (input.optionalText('KeyConditionExpression') ?? '').matchAll(/([#\w.-]+)\s*=\s*(:\w+)/g);
  return [...equalities].flatMap(([, attribute = '', value = '']) =>
    (names[attribute] ?? attribute) === name ? textOf(values[value]) : [],
  );
}

/** A key is text, a number or binary (base64). */
function textOf(value: unknown): string[] {
  if (value === null || typeof value !== 'object') return [];
  return Object.entries(value).flatMap(([type, said]) =>
    ['S', 'N', 'B'].includes(type) && typeof said === 'string' ? [said] : [],
  );
}
