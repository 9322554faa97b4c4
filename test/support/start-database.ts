import { DynamoDbLocal } from '../../local/services/dynamodb/server.ts';

/** Where the database of a test run is found by the processes that jest starts. */
export const databasePort = 'WARDLINE_TEST_DATABASE_PORT';

/** Starts one DynamoDB Local for all test files of a run: Java needs seconds to start, and longer to become fast. */
export default async function startDatabase(): Promise<void> {
  const database = await DynamoDbLocal.start(0, undefined);
  await database.ready();
  process.env[databasePort] = String(database.port);
  Object.assign(globalThis, { stopTestDatabase: () => database.stop() });
}
