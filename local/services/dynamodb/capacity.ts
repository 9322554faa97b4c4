import type { Json } from '../../cloud.ts';
import { type Fields, isObject, type JsonObject } from '../fields.ts';

/** What an eventually consistent read that finds nothing costs. */
const EMPTY_READ = 0.5;

/** What a write of at most 1 KB costs, and so at least a refused one. */
const SMALLEST_WRITE = 1;

/** Each member of a transaction is prepared and committed, so it costs twice. */
const TRANSACTION_FACTOR = 2;

const WRITES = new Set(['PutItem', 'UpdateItem', 'DeleteItem']);

const unitsOf = (consumed: Json | undefined): number => {
  if (Array.isArray(consumed)) return consumed.reduce((sum: number, entry) => sum + unitsOf(entry), 0);
  const units = isObject(consumed) ? consumed['CapacityUnits'] : undefined;
  return typeof units === 'number' ? units : 0;
};

const isStronglyConsistent = (input: Fields): boolean => input.flag('ConsistentRead');

/** How many of the keys of a BatchGetItem came back with nothing, each table by its own consistency. */
const emptyBatchReads = (input: Fields, output: JsonObject): number => {
  const responses = isObject(output['Responses']) ? output['Responses'] : {};
  const unprocessed = isObject(output['UnprocessedKeys']) ? output['UnprocessedKeys'] : {};
  let units = 0;
  const requested = input.object('RequestItems');
  for (const table of Object.keys(requested.raw)) {
    const request = requested.object(table);
    const found = responses[table];
    const left = unprocessed[table];
    const leftKeys = isObject(left) && Array.isArray(left['Keys']) ? left['Keys'].length : 0;
    const missing = request.list('Keys').length - leftKeys - (Array.isArray(found) ? found.length : 0);
    units += missing * EMPTY_READ * (isStronglyConsistent(request) ? 2 : 1);
  }
  return units;
};

/**
 * The capacity units of a call, by the published rules
 * (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html). DynamoDB Local counts most
 * calls right (item size, indexes, twice for transactions) but gives nothing for: a query, scan or batch read that finds
 * nothing (0.5, or 1 when strongly consistent), a condition check beside other members of a transaction (2, taken as
 * an item of at most 1 KB), and a write that its condition refuses (taken as an item of at most 1 KB).
 * `output` is the parsed answer; `error` the code of a refusal.
 */
export const capacityUnits = (
  operation: string,
  input: Fields,
  output: JsonObject,
  error: string | undefined,
): number => {
  const counted = unitsOf(output['ConsumedCapacity']);
  if (error === 'ConditionalCheckFailedException')
    return WRITES.has(operation) ? Math.max(counted, SMALLEST_WRITE) : counted;
  if (error === 'TransactionCanceledException') {
    return Math.max(counted, input.list('TransactItems').length * TRANSACTION_FACTOR * SMALLEST_WRITE);
  }
  if (error !== undefined) return 0;
  if (operation === 'Query' || operation === 'Scan') {
    return Math.max(counted, isStronglyConsistent(input) ? 2 * EMPTY_READ : EMPTY_READ);
  }
  if (operation === 'BatchGetItem') return counted + emptyBatchReads(input, output);
  if (operation === 'TransactWriteItems') {
    const members = input.objects('TransactItems');
    const checks = members.filter((member) => member.has('ConditionCheck')).length * TRANSACTION_FACTOR;
    return checks === members.length * TRANSACTION_FACTOR ? Math.max(counted, checks) : counted + checks;
  }
  return counted;
};
