import { randomUUID } from 'node:crypto';
import { CreateTableCommand, DeleteTableCommand, type Projection } from '@aws-sdk/client-dynamodb';
import { openTable, type Table } from '../../shared/aws/dynamodb.ts';
import { databasePort } from './start-database.ts';

/** The run's DynamoDB Local, with as many tables of its own as a test wants (transactions may span them). */
export interface TestDatabase {
  /** A new, empty table with the keys of the deployed ones and their indexes, of which this is the first. */
  table(index: 'bySite' | 'byKind'): Promise<Table>;
  stop(): Promise<void>;
}

/** Tables for one test file, under names that no other file has. */
export async function startTestDatabase(): Promise<TestDatabase> {
  const port = process.env[databasePort];
  if (port === undefined) throw new Error('Only the levels integration and load have a database.');
  const file = randomUUID();
  const tables: Table[] = [];
  return {
    async table(index) {
      const table = openTable(`${index}-${tables.length}-${file}`, {
        endpoint: `http://127.0.0.1:${port}`,
        region: 'us-east-1',
        credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
        // A test may start hundreds of requests at once, on a machine that does other things besides.
        requestHandler: { connectionTimeout: 60_000, requestTimeout: 60_000 },
      });
      tables.push(table);
      const key = (name: string) => ({ AttributeName: name, AttributeType: 'S' as const });
      const schema = (hash: string, range: string) => [
        { AttributeName: hash, KeyType: 'HASH' as const },
        { AttributeName: range, KeyType: 'RANGE' as const },
      ];
      await table.client.send(
        new CreateTableCommand({
          TableName: table.name,
          BillingMode: 'PAY_PER_REQUEST',
          AttributeDefinitions: [
            'pk',
            'sk',
            'gsi1pk',
            'gsi1sk',
            ...(index === 'bySite' ? ['gsi2pk', 'gsi2sk'] : []),
          ].map(key),
          KeySchema: schema('pk', 'sk'),
          GlobalSecondaryIndexes: [
            { IndexName: index, KeySchema: schema('gsi1pk', 'gsi1sk'), Projection: projections[index] },
            ...(index === 'bySite'
              ? [{ IndexName: 'byRollout', KeySchema: schema('gsi2pk', 'gsi2sk'), Projection: projections.byRollout }]
              : []),
          ],
        }),
      );
      return table;
    },
    async stop() {
      for (const { client, name } of tables) {
        await client.send(new DeleteTableCommand({ TableName: name }));
        client.destroy();
      }
    },
  };
}

/** As in the template: what is read from an index must be in it. */
const projections: Record<'bySite' | 'byKind' | 'byRollout', Projection> = {
  byRollout: { ProjectionType: 'ALL' },
  byKind: { ProjectionType: 'ALL' },
  bySite: {
    ProjectionType: 'INCLUDE',
    NonKeyAttributes: ['platform', 'class', 'ownership', 'lifecycle', 'user', 'compliance'],
  },
};
