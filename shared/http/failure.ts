import { type Problem, ProblemError, problems } from './problem.ts';

/** Errors of AWS services that go away by themselves, by name: the client may send the same request again. */
const passing = new Set([
  'ProvisionedThroughputExceededException',
  'ThrottlingException',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'RequestThrottled',
  'InternalServerError',
  'InternalFailure',
  'ServiceUnavailable',
  'ServiceUnavailableException',
  'TransactionInProgressException',
  'TransactionConflictException',
  'TimeoutError',
]);

/** The answer to any error: a `ProblemError` speaks for itself, everything else says nothing about our inside. */
export function problemOf(error: unknown): { problem: Problem; headers: Readonly<Record<string, string>> } {
  if (error instanceof ProblemError) return error;
  if (error instanceof Error && (passing.has(error.name) || isConflict(error))) {
    return problems.unavailable('The service is busy. Send the same request again in a few seconds.');
  }
  return {
    problem: {
      type: '/problems/internal',
      title: 'Internal error',
      status: 500,
      detail: 'The request could not be carried out. The log has the reason under this request id.',
    },
    headers: {},
  };
}

/**
 * What may be logged of an unexpected error. Messages of our own code and of libraries can repeat input, so that only
 * the place in the code is kept; messages of AWS services name actions and resources, not values, and say what to fix.
 */
export function describeFailure(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: typeof error };
  const frames = (error.stack ?? '').split('\n').filter((line) => line.startsWith('    at '));
  return {
    error: error.name,
    ...('$metadata' in error ? { reason: error.message } : {}),
    stack: frames.slice(0, 10).map((line) => line.trim()),
  };
}

/** A transaction that lost against another one, with no failed condition of its own. */
function isConflict(error: Error): boolean {
  if (error.name !== 'TransactionCanceledException' || !('CancellationReasons' in error)) return false;
  const reasons = error.CancellationReasons;
  if (!Array.isArray(reasons)) return false;
  const codes = reasons.map((reason: unknown) =>
    typeof reason === 'object' && reason !== null && 'Code' in reason ? reason.Code : 'None',
  );
  return codes.every((code) => ['None', 'TransactionConflict', 'ThrottlingError'].includes(String(code)));
}
