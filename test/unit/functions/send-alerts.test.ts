import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { marshall } from '@aws-sdk/util-dynamodb';
import { jest } from '@jest/globals';
import type { DynamoDBRecord } from 'aws-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import { alertPart } from '../../../shared/alerts/alert.ts';
import type { Table } from '../../../shared/aws/dynamodb.ts';

process.env['AWS_REGION'] = 'us-east-1';
process.env['ALERTS_TOPIC'] = 'arn:aws:sns:us-east-1:111122223333:alerts';
process.env['POWERTOOLS_DEV'] = 'true';
const { handler } = await import('../../../functions/send-alerts/handler.ts');
const sns = mockClient(SNSClient);

/** The record of the stream for a new alert about somebody. */
function record(sequenceNumber: string, actor: string): DynamoDBRecord {
  const alert = {
    kind: 'brake-pulled',
    actor,
    summary: `${actor} pulled the brake for\nthe network – at once.`,
  } as const;
  const { Item } = alertPart({ name: 'Directory' } as Table, alert, new Date('2027-01-01T00:00:00Z')).Put;
  return {
    eventName: 'INSERT',
    dynamodb: {
      SequenceNumber: sequenceNumber,
      NewImage: marshall(Item) as NonNullable<DynamoDBRecord['dynamodb']>['NewImage'],
    },
  } as DynamoDBRecord;
}

const published = () => sns.commandCalls(PublishCommand).map(({ args }) => args[0].input);

describe('send-alerts', () => {
  beforeEach(() => {
    sns.reset();
    for (const level of ['warn', 'error'] as const) jest.spyOn(console, level).mockImplementation(() => undefined);
  });
  afterEach(() => jest.restoreAllMocks());

  test('each alert is sent, with a subject that SNS takes whatever is in it', async () => {
    sns.on(PublishCommand).resolves({});
    const long = `user:${'ä'.repeat(300)}`;
    const Records = [record('1', 'user:ada'), record('2', long)];
    expect(await handler({ Records })).toEqual({ batchItemFailures: [] });
    const [first, second] = published();
    expect(first?.Subject).toBe('Wardline brake-pulled: user:ada pulled the brake for?the network ? at once.');
    expect(second?.Subject).toMatch(/^[\x20-\x7e]{100}$/);
    expect(JSON.parse(second?.Message ?? '')).toMatchObject({ actor: long });
    expect(first?.MessageAttributes).toEqual({ kind: { DataType: 'String', StringValue: 'brake-pulled' } });
  });

  test('what fails is named, so that it and what follows comes again in its order, and nothing before it', async () => {
    sns
      .on(PublishCommand)
      .resolvesOnce({})
      .rejectsOnce(Object.assign(new Error('rate exceeded'), { name: 'ThrottledException', $metadata: {} }))
      .resolves({});
    const Records = [record('1', 'user:ada'), record('2', 'user:ben'), record('3', 'user:cai')];
    expect(await handler({ Records })).toEqual({ batchItemFailures: [{ itemIdentifier: '2' }] });
    expect(published()).toHaveLength(2);
    expect(await handler({ Records: Records.slice(1) })).toEqual({ batchItemFailures: [] });
    expect(published().map(({ Message = '' }) => JSON.parse(Message).actor)).toEqual([
      ...['user:ada', 'user:ben', 'user:ben', 'user:cai'],
    ]);
  });
});
