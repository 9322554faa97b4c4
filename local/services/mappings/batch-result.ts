import type { InvokeResult } from '../../cloud.ts';
import { isObject } from '../fields.ts';

/** Which records of a batch the function has not processed. */
export type BatchResult = 'all-processed' | 'none-processed' | ReadonlySet<string>;

/**
 * Reads the answer of a function to a batch
 * (https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html): with `ReportBatchItemFailures`, an empty answer
 * or empty list means success; an identifier that is empty, or of no record of the batch, fails the whole batch.
 */
export const batchResult = (
  result: InvokeResult,
  reportsItemFailures: boolean,
  identifiers: readonly string[],
): BatchResult => {
  if (result.functionError !== undefined) return 'none-processed';
  if (!reportsItemFailures) return 'all-processed';
  const { payload } = result;
  if (payload === null || payload === '') return 'all-processed';
  if (!isObject(payload)) return 'none-processed';
  const failures = payload['batchItemFailures'];
  if (failures === undefined || failures === null) return 'all-processed';
  if (!Array.isArray(failures)) return 'none-processed';
  const known = new Set(identifiers);
  const failed = new Set<string>();
  for (const failure of failures) {
    const identifier = isObject(failure) ? failure['itemIdentifier'] : undefined;
    if (typeof identifier !== 'string' || !known.has(identifier)) return 'none-processed';
    failed.add(identifier);
  }
  return failed.size === 0 ? 'all-processed' : failed;
};
