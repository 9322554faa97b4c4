import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  CreateTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  TransactionCanceledException,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import type { Json } from '../../../../local/cloud.ts';
import { DynamoDbLocal } from '../../../../local/services/dynamodb/server.ts';
import { serviceParts } from '../../../../local/services/index.ts';
import { eventually, Harness } from './harness.ts';

const definition = (more: Record<string, Json> = {}): Record<string, Json> => ({
  AttributeDefinitions: [
    { AttributeName: 'pk', AttributeType: 'S' },
    { AttributeName: 'sk', AttributeType: 'S' },
    { AttributeName: 'gsi1pk', AttributeType: 'S' },
  ],
  KeySchema: [
    { AttributeName: 'pk', KeyType: 'HASH' },
    { AttributeName: 'sk', KeyType: 'RANGE' },
  ],
  GlobalSecondaryIndexes: [
    {
      IndexName: 'bySite',
      KeySchema: [{ AttributeName: 'gsi1pk', KeyType: 'HASH' }],
      Projection: { ProjectionType: 'INCLUDE', NonKeyAttributes: ['name'] },
    },
  ],
  TimeToLiveSpecification: { AttributeName: 'ttl', Enabled: true },
  Replicas: [{ Region: 'us-east-1' }],
  ...more,
});

const item = (sk: string, more: Record<string, { S: string }> = {}) => ({ pk: { S: 'd' }, sk: { S: sk }, ...more });

describe('DynamoDB', () => {
  let harness: Harness;
  let database: DynamoDBClient;
  let TableName: string;

  beforeAll(async () => {
    harness = await Harness.open(serviceParts());
    database = new DynamoDBClient(harness.client);
    TableName = (await harness.create('AWS::DynamoDB::GlobalTable', 'Devices', definition())).ref;
  }, 120_000);

  afterAll(async () => {
    database.destroy();
    await harness.close();
  });

  beforeEach(() => {
    harness.asked.length = 0;
    harness.units.length = 0;
  });

  const asked = () => harness.asked.map(({ action, resource }) => `${action} ${resource.split(':').at(-1)}`);
  const units = () => harness.units.map((call) => call.units);

  test('each operation is resolved to the permissions that it needs', async () => {
    await database.send(new PutItemCommand({ TableName, Item: item('1') }));
    await database.send(
      new GetItemCommand({ TableName: `arn:aws:dynamodb:us-east-1:000000000000:table/${TableName}`, Key: item('1') }),
    );
    await database.send(
      new QueryCommand({
        TableName,
        IndexName: 'bySite',
        KeyConditionExpression: 'gsi1pk = :s',
        ExpressionAttributeValues: { ':s': { S: 's' } },
      }),
    );
    await database.send(
      new TransactWriteItemsCommand({
        TransactItems: [
          { Put: { TableName, Item: item('2') } },
          { Delete: { TableName, Key: item('3') } },
          { ConditionCheck: { TableName, Key: item('1'), ConditionExpression: 'attribute_exists(pk)' } },
          { Put: { TableName, Item: item('4') } },
        ],
      }),
    );
    expect(asked()).toEqual([
      'dynamodb:PutItem table/Test-Devices',
      'dynamodb:GetItem table/Test-Devices',
      'dynamodb:Query table/Test-Devices/index/bySite',
      'dynamodb:PutItem table/Test-Devices',
      'dynamodb:DeleteItem table/Test-Devices',
      'dynamodb:ConditionCheckItem table/Test-Devices',
    ]);
    // By the names of the keys that the template gives the table and its index.
    const keys = harness.asked.map(({ context }) => context?.['dynamodb:leadingkeys']);
    expect(keys).toEqual([['d'], ['d'], ['s'], ['d', 'd'], ['d'], ['d']]);
  });

  test('a call that the role may not make changes nothing', async () => {
    harness.denied.add('dynamodb:UpdateItem');
    await expect(
      database.send(
        new TransactWriteItemsCommand({
          TransactItems: [
            { Put: { TableName, Item: item('denied') } },
            {
              Update: {
                TableName,
                Key: item('denied2'),
                UpdateExpression: 'SET a = :a',
                ExpressionAttributeValues: { ':a': { S: '1' } },
              },
            },
          ],
        }),
      ),
    ).rejects.toThrow('dynamodb:UpdateItem');
    harness.denied.clear();
    expect((await database.send(new GetItemCommand({ TableName, Key: item('denied') }))).Item).toBeUndefined();
  });

  test('counts capacity by the published rules without showing it to who did not ask', async () => {
    const put = await database.send(new PutItemCommand({ TableName, Item: item('cost') }));
    expect(put.ConsumedCapacity).toBeUndefined();
    const asking = await database.send(
      new PutItemCommand({ TableName, Item: item('cost'), ReturnConsumedCapacity: 'TOTAL' }),
    );
    expect(asking.ConsumedCapacity?.CapacityUnits).toBe(1);
    await database.send(
      new PutItemCommand({
        TableName,
        Item: item('big', { v: { S: 'x'.repeat(1500) } }),
        ReturnConsumedCapacity: 'NONE',
      }),
    );
    await database.send(new GetItemCommand({ TableName, Key: item('cost') }));
    await database.send(new GetItemCommand({ TableName, Key: item('cost'), ConsistentRead: true }));
    await database.send(
      new QueryCommand({
        TableName,
        KeyConditionExpression: 'pk = :p',
        ExpressionAttributeValues: { ':p': { S: 'nothing' } },
      }),
    );
    await database.send(
      new TransactWriteItemsCommand({
        TransactItems: [
          { Put: { TableName, Item: item('cost') } },
          { ConditionCheck: { TableName, Key: item('big'), ConditionExpression: 'attribute_exists(pk)' } },
        ],
      }),
    );
    await database.send(
      new BatchGetItemCommand({ RequestItems: { [TableName]: { Keys: [item('cost'), item('missing')] } } }),
    );
    await database.send(
      new BatchWriteItemCommand({
        RequestItems: { [TableName]: [{ PutRequest: { Item: item('w1') } }, { PutRequest: { Item: item('w2') } }] },
      }),
    );
    expect(units()).toEqual([1, 1, 2, 0.5, 1, 0.5, 4, 1, 2]);
  });

  test('a refused condition reaches the caller whole, costs, and is in the trace', async () => {
    const refused = database.send(
      new UpdateItemCommand({
        TableName,
        Key: item('cost'),
        UpdateExpression: 'SET a = :a',
        ConditionExpression: 'attribute_not_exists(pk)',
        ExpressionAttributeValues: { ':a': { S: '1' } },
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      }),
    );
    await expect(refused).rejects.toBeInstanceOf(ConditionalCheckFailedException);
    await refused.catch((error: ConditionalCheckFailedException) => expect(error.Item).toEqual(item('cost')));
    const cancelled = database.send(
      new TransactWriteItemsCommand({
        TransactItems: [{ Put: { TableName, Item: item('cost'), ConditionExpression: 'attribute_not_exists(pk)' } }],
      }),
    );
    await expect(cancelled).rejects.toBeInstanceOf(TransactionCanceledException);
    await cancelled.catch((error: TransactionCanceledException) =>
      expect(error.CancellationReasons?.[0]?.Code).toBe('ConditionalCheckFailed'),
    );
    expect(harness.units).toEqual([
      { operation: 'UpdateItem', units: 1, error: 'ConditionalCheckFailedException' },
      { operation: 'TransactWriteItems', units: 2, error: 'TransactionCanceledException' },
    ]);
  });

  test('describes a table with ARNs of this cloud, and refuses what functions do not do', async () => {
    const { Table } = await database.send(new DescribeTableCommand({ TableName }));
    expect(Table?.TableArn).toBe('arn:aws:dynamodb:us-east-1:000000000000:table/Test-Devices');
    await expect(
      database.send(new CreateTableCommand({ TableName: 'other', KeySchema: [], AttributeDefinitions: [] })),
    ).rejects.toThrow('does not emulate');
  });

  test('a table with a key of its own needs kms:Decrypt on it', async () => {
    const key = await harness.create('AWS::KMS::Key', 'DataKey', { KeyPolicy: {} });
    const keyArn = key.attributes?.['Arn'] ?? '';
    const { ref } = await harness.create('AWS::DynamoDB::GlobalTable', 'Encrypted', {
      ...definition(),
      Replicas: [{ Region: 'us-east-1', SSESpecification: { KMSMasterKeyId: keyArn } }],
    });
    await database.send(new GetItemCommand({ TableName: ref, Key: item('1') }));
    expect(harness.asked).toContainEqual({
      action: 'kms:Decrypt',
      resource: keyArn,
      context: { 'kms:viaservice': 'dynamodb.us-east-1.amazonaws.com' },
    });
  });
});

test('with data, items and tables outlive a restart and the table follows the template', async () => {
  const data = mkdtempSync(join(tmpdir(), 'wardline-dynamodb-'));
  const session = async (
    properties: Record<string, Json>,
    act: (database: DynamoDBClient, TableName: string) => Promise<void>,
  ) => {
    const harness = await Harness.open(serviceParts(), { data });
    const database = new DynamoDBClient(harness.client);
    try {
      await act(database, (await harness.create('AWS::DynamoDB::GlobalTable', 'Devices', properties)).ref);
    } finally {
      database.destroy();
      await harness.close();
    }
  };
  try {
    await session(definition(), async (database, TableName) => {
      await database.send(
        new PutItemCommand({
          TableName,
          Item: item('1', { gsi1pk: { S: 's' }, name: { S: 'pump' }, model: { S: 'X' } }),
        }),
      );
    });
    const changed = definition({
      GlobalSecondaryIndexes: [
        {
          IndexName: 'byKind',
          KeySchema: [{ AttributeName: 'gsi1pk', KeyType: 'HASH' }],
          Projection: { ProjectionType: 'ALL' },
        },
      ],
      StreamSpecification: { StreamViewType: 'NEW_AND_OLD_IMAGES' },
    });
    await session(changed, async (database, TableName) => {
      const { Table } = await database.send(new DescribeTableCommand({ TableName }));
      expect(Table?.GlobalSecondaryIndexes?.map((index) => index.IndexName)).toEqual(['byKind']);
      expect(Table?.LatestStreamArn).toContain('us-east-1');
      const found = await database.send(new GetItemCommand({ TableName, Key: item('1') }));
      expect(found.Item?.['model']).toEqual({ S: 'X' });
    });
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}, 120_000);

test('DynamoDB Local dies with the process that started it, also by kill -9', async () => {
  const module = resolve('local/services/dynamodb/server.ts');
  const source = `
    const { DynamoDbLocal } = await import(${JSON.stringify(module)});
    const server = await DynamoDbLocal.start(0, undefined);
    await server.ready();
    console.log(server.port);
  `;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  owner.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  await eventually(() => printed.includes('\n'), 60_000);
  const url = `http://127.0.0.1:${printed.trim()}/`;
  expect((await fetch(url)).status).toBe(400);
  owner.kill('SIGKILL');
  let gone = false;
  await eventually(() => {
    fetch(url).catch(() => {
      gone = true;
    });
    return gone;
  });
}, 120_000);

test('a port that is taken is said in one sentence', async () => {
  const first = await DynamoDbLocal.start(0, undefined);
  try {
    await first.ready();
    // The one that answers on the port is the first; it must not be taken for the second.
    await expect(DynamoDbLocal.start(first.port, undefined)).rejects.toThrow(
      /^Port \d+ \(DynamoDB Local, on all addresses\) is in use/,
    );
  } finally {
    await first.stop();
  }
}, 120_000);

test('Java that is missing is said in one sentence', async () => {
  const before = process.env['JAVA_HOME'];
  process.env['JAVA_HOME'] = '/nowhere';
  try {
    const server = await DynamoDbLocal.start(0, undefined);
    await expect(server.ready()).rejects.toThrow(/^Java 17 or newer is needed/);
    await server.stop();
  } finally {
    if (before === undefined) delete process.env['JAVA_HOME'];
    else process.env['JAVA_HOME'] = before;
  }
});
