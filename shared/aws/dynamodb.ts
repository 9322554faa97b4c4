import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';

/** What a store needs to reach its table. Made once, outside the handler. */
export interface Table {
  readonly client: DynamoDBDocumentClient;
  readonly name: string;
}

/**
 * A table and the client to it. Throttling, timeouts and broken connections are retried by the SDK with full-jitter
 * backoff, five attempts in all, inside the few seconds that a function has. A retry is safe for every request that
 * the stores make: a write carries a condition that its own first success makes false, and the stores treat "it is
 * already so" as done; transactions carry the SDK's client token, which DynamoDB remembers for ten minutes.
 *
 * @param name name of the table, from the function's environment
 * @param config for tests: endpoint and credentials of DynamoDB Local
 */
export function openTable(name: string, config: DynamoDBClientConfig = {}): Table {
  const client = new DynamoDBClient({
    maxAttempts: 5,
    requestHandler: { connectionTimeout: 3_000, requestTimeout: 3_000, throwOnRequestTimeout: true },
    ...config,
  });
  return {
    name,
    client: DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } }),
  };
}

/**
 * A setting of the function's environment. The template sets it, so a missing one is a mistake in the template and
 * stops the function at its start, not at the first request.
 */
export function requiredEnvironment(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') throw new Error(`The environment variable ${name} is not set.`);
  return value;
}
