import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import type { Json } from '../../../../local/cloud.ts';
import { serviceParts } from '../../../../local/services/index.ts';
import { eventually, Harness } from './harness.ts';

interface Event {
  Records: {
    eventName: string;
    eventSourceARN: string;
    awsRegion: string;
    dynamodb: { Keys: { pk: { S: string } }; SequenceNumber: string };
  }[];
}

const keysOf = (event: Json): string[] =>
  (event as unknown as Event).Records.map((record) => record.dynamodb.Keys.pk.S);
const sequenceOf = (event: Json, key: string): string =>
  (event as unknown as Event).Records.find((record) => record.dynamodb.Keys.pk.S === key)?.dynamodb.SequenceNumber ??
  '';

const table = (harness: Harness, logicalId: string) =>
  harness.create('AWS::DynamoDB::GlobalTable', logicalId, {
    AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
    StreamSpecification: { StreamViewType: 'NEW_AND_OLD_IMAGES' },
    Replicas: [{ Region: 'us-east-1' }],
  });

const mapping = (harness: Harness, logicalId: string, streamArn: string, properties: Record<string, Json> = {}) =>
  harness.create('AWS::Lambda::EventSourceMapping', logicalId, {
    EventSourceArn: streamArn,
    FunctionName: logicalId,
    StartingPosition: 'TRIM_HORIZON',
    ...properties,
  });

describe('event source mapping of a stream', () => {
  let harness: Harness;
  let database: DynamoDBClient;

  beforeAll(async () => {
    harness = await Harness.open(serviceParts());
    database = new DynamoDBClient(harness.client);
    await harness.start();
  }, 120_000);

  afterAll(async () => {
    database.destroy();
    await harness.close();
  });

  /** A table with one mapping, both named for the test; the function records what it gets. */
  const prepare = async (
    name: string,
    run: (event: Json, call: number) => Json,
    properties: Record<string, Json> = {},
  ) => {
    const { ref, attributes } = await table(harness, `${name}Table`);
    const calls: string[][] = [];
    harness.functions.set(name, (event) => {
      calls.push(keysOf(event));
      return run(event, calls.length);
    });
    await mapping(harness, name, attributes?.['StreamArn'] ?? '', properties);
    const put = (key: string) => database.send(new PutItemCommand({ TableName: ref, Item: { pk: { S: key } } }));
    return { calls, put, streamArn: attributes?.['StreamArn'] ?? '' };
  };

  test('passes on what the filter lets through, with the names of this cloud', async () => {
    let first: Event | undefined;
    const { calls, put, streamArn } = await prepare(
      'filtered',
      (event) => {
        first ??= event as unknown as Event;
        return null;
      },
      {
        FilterCriteria: {
          Filters: [{ Pattern: '{"eventName":["INSERT"],"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"OPEN#"}]}}}}' }],
        },
      },
    );
    await harness.start();
    await put('HEAD');
    await put('OPEN#1');
    await put('OPEN#1');
    await put('OPEN#2');
    await eventually(() => calls.flat().includes('OPEN#2'));
    expect(calls.flat()).toEqual(['OPEN#1', 'OPEN#2']);
    expect(first?.Records[0]).toMatchObject({ eventName: 'INSERT', eventSourceARN: streamArn, awsRegion: 'us-east-1' });
    expect(streamArn).toMatch(/^arn:aws:dynamodb:us-east-1:000000000000:table\/Test-filteredTable\/stream\//);
  });

  test('a write reaches the function far below a second, as a rule', async () => {
    const seen = new Map<string, number>();
    const { put } = await prepare('fast', (event) => {
      for (const key of keysOf(event)) seen.set(key, performance.now());
      return null;
    });
    await harness.start();
    const written: [string, number][] = [];
    for (let index = 0; index < 100; index += 1) {
      await put(`k${index}`);
      written.push([`k${index}`, performance.now()]);
    }
    await eventually(() => seen.size === written.length);
    const delays = written.map(([key, at]) => (seen.get(key) ?? Number.POSITIVE_INFINITY) - at).sort((a, b) => a - b);
    // Half of them, since one pause of a crowded machine delays all that are under way; how long wake-ups take is for the bench.
    expect(delays[50]).toBeLessThan(500);
  });

  test('goes on at the record that the function reports as failed', async () => {
    const { calls, put } = await prepare(
      'partial',
      (event, call) =>
        call === 1 && keysOf(event).includes('b')
          ? { batchItemFailures: [{ itemIdentifier: sequenceOf(event, 'b') }] }
          : null,
      { FunctionResponseTypes: ['ReportBatchItemFailures'] },
    );
    for (const key of ['a', 'b', 'c']) await put(key);
    await harness.start();
    await eventually(() => calls.length >= 2);
    expect(calls).toEqual([
      ['a', 'b', 'c'],
      ['b', 'c'],
    ]);
  });

  test('halves a failing batch, gives the bad record up to the destination and loses no other', async () => {
    const queue = await harness.create('AWS::SQS::Queue', 'GivenUp', {});
    const { calls, put } = await prepare(
      'bisect',
      (event) => {
        if (keysOf(event).includes('bad')) throw new Error('bad record');
        return null;
      },
      {
        BisectBatchOnFunctionError: true,
        MaximumRetryAttempts: 1,
        DestinationConfig: { OnFailure: { Destination: queue.attributes?.['Arn'] ?? '' } },
      },
    );
    for (const key of ['a', 'b', 'bad', 'c']) await put(key);
    await harness.start();
    await eventually(() => calls.some((keys) => keys.at(-1) === 'c' && !keys.includes('bad')));
    const good = calls.filter((keys) => !keys.includes('bad')).flat();
    expect(good).toEqual(['a', 'b', 'c']);
    const messages = harness.cloud.store.list<{ body: string }>('sqs/message/Test-GivenUp');
    expect(messages).toHaveLength(1);
    expect(JSON.parse(messages[0]?.value.body ?? '{}')).toMatchObject({
      requestContext: { condition: 'RetryAttemptsExhausted', approximateInvokeCount: 2 },
      DDBStreamBatchInfo: { batchSize: 1 },
    });
  });

  test('waits while the function is throttled and then delivers', async () => {
    const { calls, put } = await prepare('throttled', () => null, { MaximumRetryAttempts: 0 });
    harness.throttled.add('throttled');
    await harness.start();
    await put('a');
    await put('b');
    harness.throttled.delete('throttled');
    await eventually(() => calls.flat().length === 2);
    expect(calls.flat()).toEqual(['a', 'b']);
  });

  test('with a parallelization factor, the changes of one key stay in order', async () => {
    const order: string[] = [];
    const { ref, attributes } = await table(harness, 'lanesTable');
    harness.functions.set('lanes', (event) => {
      for (const record of (
        event as unknown as { Records: { dynamodb: { NewImage: { pk: { S: string }; n: { N: string } } } }[] }
      ).Records) {
        order.push(`${record.dynamodb.NewImage.pk.S}${record.dynamodb.NewImage.n.N}`);
      }
      return null;
    });
    await mapping(harness, 'lanes', attributes?.['StreamArn'] ?? '', { ParallelizationFactor: 4, BatchSize: 2 });
    for (let n = 0; n < 5; n += 1) {
      for (const key of ['x', 'y', 'z']) {
        await database.send(new PutItemCommand({ TableName: ref, Item: { pk: { S: key }, n: { N: String(n) } } }));
      }
    }
    await harness.start();
    await eventually(() => order.length === 15);
    for (const key of ['x', 'y', 'z']) {
      expect(order.filter((entry) => entry.startsWith(key))).toEqual([0, 1, 2, 3, 4].map((n) => `${key}${n}`));
    }
  });

  test('a role that may not read the stream has no mapping', async () => {
    const { attributes } = await table(harness, 'deniedTable');
    harness.denied.add('dynamodb:GetRecords');
    await expect(mapping(harness, 'denied', attributes?.['StreamArn'] ?? '')).rejects.toThrow('dynamodb:GetRecords');
    harness.denied.delete('dynamodb:GetRecords');
  });
});

test('a restart with data goes on where the function left off, with nothing skipped or lost', async () => {
  const data = mkdtempSync(join(tmpdir(), 'wardline-streams-'));
  const delivered: string[] = [];
  const run = async (act: (put: (key: string) => Promise<unknown>) => Promise<void>, startFirst: boolean) => {
    const harness = await Harness.open(serviceParts(), { data });
    const database = new DynamoDBClient(harness.client);
    const { ref, attributes } = await table(harness, 'kept');
    harness.functions.set('push', (event) => {
      if (keysOf(event).includes('fails')) throw new Error('down');
      delivered.push(...keysOf(event));
      return null;
    });
    await mapping(harness, 'push', attributes?.['StreamArn'] ?? '', { StartingPosition: 'LATEST', BatchSize: 1 });
    if (startFirst) await harness.start();
    await act((key) => database.send(new PutItemCommand({ TableName: ref, Item: { pk: { S: key } } })));
    if (!startFirst) {
      harness.functions.set('push', (event) => {
        delivered.push(...keysOf(event));
        return null;
      });
      await harness.start();
      await eventually(() => delivered.includes('last'));
    }
    database.destroy();
    await harness.close();
  };
  try {
    await run(async (put) => {
      await put('one');
      await put('two');
      await eventually(() => delivered.length === 2);
      await put('fails');
      await put('three');
    }, true);
    await run(async (put) => void (await put('last')), false);
    expect(delivered).toEqual(['one', 'two', 'fails', 'three', 'last']);
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}, 120_000);
