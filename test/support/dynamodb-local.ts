import { CreateTableCommand } from '@aws-sdk/client-dynamodb';
import { DynamoDbLocal } from '../../local/services/dynamodb/server.ts';
import { openTable, type Table } from '../../shared/aws/dynamodb.ts';

/** One request to the table: what it was, and what it cost. */
export interface Request {
  readonly operation: string;
  readonly readUnits: number;
  readonly writeUnits: number;
}

/** A Devices table in a DynamoDB of its own, and a record of the requests to it. */
export interface DevicesTable extends AsyncDisposable {
  readonly table: Table;
  /** All requests since the last call, each try of a retried one. */
  requests(): Request[];
}

const reads = new Set(['Query', 'GetItem', 'Scan', 'BatchGetItem']);

/** A DynamoDB of its own, in memory. */
export interface TestDatabase {
  /** A new table with the keys of Wardline's tables and the index `bySite` (Devices) or `byKind` (Directory). */
  table(index: 'bySite' | 'byKind'): Promise<Table>;
  stop(): Promise<void>;
}

/** Starts DynamoDB Local on a free port. */
export async function startTestDatabase(): Promise<TestDatabase> {
  const server = await DynamoDbLocal.start(0, undefined);
  await server.ready();
  const clients: Table['client'][] = [];
  return {
    async table(index) {
      const table = openTable(`${index}-${clients.length}`, {
        endpoint: `http://127.0.0.1:${server.port}`,
        region: 'us-east-1',
        credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      });
      clients.push(table.client);
      await table.client.send(new CreateTableCommand({ TableName: table.name, ...definition(index) }));
      return table;
    },
    async stop() {
      for (const client of clients) client.destroy();
      await server.stop();
    },
  };
}

/** What the template says of a table, as far as requests can notice it. */
const definition = (index: 'bySite' | 'byKind') => ({
  BillingMode: 'PAY_PER_REQUEST' as const,
  AttributeDefinitions: ['pk', 'sk', 'gsi1pk', 'gsi1sk'].map((AttributeName) => ({
    AttributeName,
    AttributeType: 'S' as const,
  })),
  KeySchema: keys('pk', 'sk'),
  GlobalSecondaryIndexes: [
    {
      IndexName: index,
      KeySchema: keys('gsi1pk', 'gsi1sk'),
      Projection:
        index === 'byKind'
          ? { ProjectionType: 'ALL' as const }
          : {
              ProjectionType: 'INCLUDE' as const,
              NonKeyAttributes: ['platform', 'class', 'ownership', 'lifecycle'],
            },
    },
  ],
});

const keys = (partition: string, sort: string) => [
  { AttributeName: partition, KeyType: 'HASH' as const },
  { AttributeName: sort, KeyType: 'RANGE' as const },
];

/** A Devices table with a count of the requests to it. */
export async function startDevicesTable(): Promise<DevicesTable> {
  const database = await startTestDatabase();
  const table = await database.table('bySite');
  let requests: Request[] = [];
  table.client.middlewareStack.add(
    (next, context) => async (args) => {
      const operation = String(context['commandName']).replace(/Command$/, '');
      const input = args.input as Record<string, unknown>;
      input['ReturnConsumedCapacity'] = 'TOTAL';
      const result = await next(args);
      const output = result.output as { ConsumedCapacity?: unknown };
      const units = unitsOf(output.ConsumedCapacity);
      const isRead = reads.has(operation);
      requests.push({ operation, readUnits: isRead ? units : 0, writeUnits: isRead ? 0 : units });
      return result;
    },
    { step: 'initialize', priority: 'low', name: 'countRequests' },
  );
  return {
    table,
    requests() {
      const seen = requests;
      requests = [];
      return seen;
    },
    async [Symbol.asyncDispose]() {
      await database.stop();
    },
  };
}

function unitsOf(consumed: unknown): number {
  if (Array.isArray(consumed)) return consumed.reduce((sum: number, part) => sum + unitsOf(part), 0);
  if (typeof consumed !== 'object' || consumed === null || !('CapacityUnits' in consumed)) return 0;
  return Number(consumed.CapacityUnits);
}
