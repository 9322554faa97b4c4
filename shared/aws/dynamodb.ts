import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';

export { requiredEnvironment } from './environment.ts';

import { ConfiguredRetryStrategy } from '@smithy/core/retry';

/** What a store needs to reach its table. Made once, outside the handler. */
export interface Table {
  readonly client: DynamoDBDocumentClient;
  readonly name: string;
}

/** Tries of one request, and the longest pause before the n-th repetition: 2.3 s in all at most. */
const attempts = 6;
const longestPause = (repetition: number): number => Math.min(800, 50 * 2 ** repetition);

/**
 * A table and the client to it. Throttling, timeouts and broken connections are retried by the SDK with full-jitter
 * backoff. The SDK's own pauses grow so fast that a function of ten seconds would be cut off in the middle of them; ours
 * leave it the time to answer. A retry is safe for every request that
 * the stores make: a write carries a condition that its own first success makes false, and the stores treat "it is
 * already so" as done; transactions carry the SDK's client token, which DynamoDB remembers for ten minutes.
 *
 * @param name name of the table, from the function's environment
 * @param config for tests: endpoint and credentials of DynamoDB Local
 */
export function openTable(name: string, config: DynamoDBClientConfig = {}): Table {
  const client = new DynamoDBClient({
    retryStrategy: new ConfiguredRetryStrategy(attempts, (repetition) => Math.random() * longestPause(repetition)),
    requestHandler: { connectionTimeout: 3_000, requestTimeout: 3_000, throwOnRequestTimeout: true },
    ...config,
  });
  return {
    name,
    client: DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } }),
  };
}
