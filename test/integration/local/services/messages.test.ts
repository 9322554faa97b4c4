import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PublishBatchCommand, PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import type { Json } from '../../../../local/cloud.ts';
import { DynamoDb } from '../../../../local/services/dynamodb/part.ts';
import { kmsPart } from '../../../../local/services/kms/part.ts';
import { mappingsPart } from '../../../../local/services/mappings/part.ts';
import { snsPart } from '../../../../local/services/sns/part.ts';
import { sqsPart } from '../../../../local/services/sqs/part.ts';
import { Queues } from '../../../../local/services/sqs/queues.ts';
import { eventually, Harness, type TestFunction } from './harness.ts';

let harness: Harness;
let sqs: SQSClient;
let sns: SNSClient;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wardline-mail-'));
  const queues = new Queues();
  const mappings = mappingsPart(new DynamoDb(), queues);
  harness = await Harness.open([kmsPart(), sqsPart(queues), snsPart(join(folder, 'mail.jsonl')), mappings]);
  sqs = new SQSClient(harness.client);
  sns = new SNSClient(harness.client);
});

afterAll(async () => {
  sqs.destroy();
  sns.destroy();
  await harness.close();
  rmSync(folder, { recursive: true, force: true });
});

const queue = async (logicalId: string, properties: Record<string, Json> = {}) => {
  const { ref, attributes } = await harness.create('AWS::SQS::Queue', logicalId, properties);
  return { QueueUrl: ref, arn: attributes?.['Arn'] ?? '' };
};

const receive = async (QueueUrl: string, more: Partial<ConstructorParameters<typeof ReceiveMessageCommand>[0]> = {}) =>
  (await sqs.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, ...more }))).Messages ?? [];

describe('SQS', () => {
  test('sends, receives with attributes, hides and deletes', async () => {
    const { QueueUrl } = await queue('Work');
    const { MessageId } = await sqs.send(
      new SendMessageCommand({
        QueueUrl,
        MessageBody: 'héllo',
        MessageAttributes: {
          kind: { DataType: 'String', StringValue: 'x' },
          raw: { DataType: 'Binary', BinaryValue: Buffer.from([1, 2]) },
        },
      }),
    );
    const [message] = await receive(QueueUrl, { MessageAttributeNames: ['All'], MessageSystemAttributeNames: ['All'] });
    expect(message).toMatchObject({ MessageId, Body: 'héllo', Attributes: { ApproximateReceiveCount: '1' } });
    expect(message?.MessageAttributes?.['kind']?.StringValue).toBe('x');
    expect(message?.MessageAttributes?.['raw']?.BinaryValue).toEqual(new Uint8Array([1, 2]));
    const { ReceiptHandle } = message ?? {};
    await sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: 0 }));
    const [again] = await receive(QueueUrl);
    await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: again?.ReceiptHandle }));
    const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }));
    expect(Attributes).toMatchObject({ ApproximateNumberOfMessages: '0', ApproximateNumberOfMessagesNotVisible: '0' });
  });

  test('a long poll is answered by the next message', async () => {
    const { QueueUrl } = await queue('Poll');
    const waiting = receive(QueueUrl, { WaitTimeSeconds: 20 });
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'now' }));
    expect((await waiting).map(({ Body }) => Body)).toEqual(['now']);
  });

  test('batches say which entries failed', async () => {
    const { QueueUrl } = await queue('Batch', { MaximumMessageSize: 1024 });
    const sent = await sqs.send(
      new SendMessageBatchCommand({
        QueueUrl,
        Entries: [
          { Id: 'good', MessageBody: 'x' },
          { Id: 'large', MessageBody: 'x'.repeat(2000) },
        ],
      }),
    );
    expect(sent.Successful?.map(({ Id }) => Id)).toEqual(['good']);
    expect(sent.Failed).toMatchObject([{ Id: 'large', SenderFault: true }]);
    const [message] = await receive(QueueUrl);
    const deleted = await sqs.send(
      new DeleteMessageBatchCommand({
        QueueUrl,
        Entries: [
          { Id: '1', ReceiptHandle: message?.ReceiptHandle },
          { Id: '2', ReceiptHandle: 'nonsense' },
        ],
      }),
    );
    expect([deleted.Successful?.length, deleted.Failed?.[0]?.Code]).toEqual([1, 'ReceiptHandleIsInvalid']);
  });

  test('errors have the names that the SDK knows', async () => {
    await expect(sqs.send(new GetQueueUrlCommand({ QueueName: 'none' }))).rejects.toMatchObject({
      name: 'QueueDoesNotExist',
    });
  });

  test('an encrypted queue needs its key', async () => {
    const key = await harness.create('AWS::KMS::Key', 'QueueKey', {});
    const { QueueUrl, arn } = await queue('Secret', { KmsMasterKeyId: key.attributes?.['Arn'] ?? '' });
    harness.asked.length = 0;
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'x' }));
    expect(harness.asked.map(({ action, resource }) => [action, resource])).toEqual([
      ['sqs:SendMessage', arn],
      ['kms:GenerateDataKey', key.attributes?.['Arn']],
      ['kms:Decrypt', key.attributes?.['Arn']],
    ]);
    harness.denied.add('kms:Decrypt');
    await expect(receive(QueueUrl)).rejects.toThrow('kms:Decrypt');
    harness.denied.clear();
  });
});

describe('event source mapping of a queue', () => {
  const mapped = async (
    name: string,
    run: TestFunction,
    queueProperties: Record<string, Json>,
    properties: Record<string, Json> = {},
  ) => {
    const made = await queue(`${name}Queue`, queueProperties);
    harness.functions.set(name, run);
    await harness.create('AWS::Lambda::EventSourceMapping', name, {
      EventSourceArn: made.arn,
      FunctionName: name,
      ...properties,
    });
    await harness.start();
    return made;
  };
  const recordsOf = (event: Json) => (event as unknown as { Records: { messageId: string; body: string }[] }).Records;

  test('only the messages that the function reports come back, and end in the dead-letter queue', async () => {
    const dead = await queue('Dead');
    const seen: string[] = [];
    const { QueueUrl } = await mapped(
      'partial',
      (event) => {
        seen.push(...recordsOf(event).map(({ body }) => body));
        return {
          batchItemFailures: recordsOf(event)
            .filter(({ body }) => body === 'bad')
            .map(({ messageId }) => ({ itemIdentifier: messageId })),
        };
      },
      { VisibilityTimeout: 1, RedrivePolicy: { deadLetterTargetArn: dead.arn, maxReceiveCount: 2 } },
      { FunctionResponseTypes: ['ReportBatchItemFailures'] },
    );
    await sqs.send(
      new SendMessageBatchCommand({
        QueueUrl,
        Entries: ['a', 'bad', 'b'].map((MessageBody) => ({ Id: MessageBody, MessageBody })),
      }),
    );
    const [message] = await receive(dead.QueueUrl, { WaitTimeSeconds: 10 });
    expect(message?.Body).toBe('bad');
    await eventually(() => seen.includes('a') && seen.includes('b'));
  });

  test('messages that no filter wants are deleted without the function', async () => {
    const seen: string[] = [];
    const { QueueUrl } = await mapped(
      'filtered',
      (event) => {
        seen.push(...recordsOf(event).map(({ body }) => body));
        return null;
      },
      {},
      { FilterCriteria: { Filters: [{ Pattern: '{"body":{"kind":["wanted"]}}' }] } },
    );
    for (const MessageBody of ['{"kind":"other"}', 'no json', '{"kind":"wanted"}']) {
      await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }));
    }
    await eventually(() => seen.length === 1);
    const empty = async () => {
      const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }));
      return (
        Attributes?.['ApproximateNumberOfMessages'] === '0' &&
        Attributes['ApproximateNumberOfMessagesNotVisible'] === '0'
      );
    };
    let done = false;
    await eventually(() => {
      void empty().then((value) => {
        done ||= value;
      });
      return done;
    });
    expect(seen).toEqual(['{"kind":"wanted"}']);
  });

  test('no more batches at a time than the mapping allows', async () => {
    let running = 0;
    let most = 0;
    let finished = 0;
    const two = Promise.withResolvers<void>();
    const { QueueUrl } = await mapped(
      'limited',
      async () => {
        running += 1;
        most = Math.max(most, running);
        // Two of ten are held until both are there, however slowly messages come; a third would be seen beside them.
        if (most < 2) await two.promise;
        if (most >= 2) two.resolve();
        await new Promise((resolve) => setTimeout(resolve, 10));
        running -= 1;
        finished += 1;
        return null;
      },
      {},
      { BatchSize: 1, ScalingConfig: { MaximumConcurrency: 2 } },
    );
    for (let index = 0; index < 10; index += 1)
      await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: String(index) }));
    await eventually(() => finished === 10);
    expect(most).toBe(2);
  });
});

describe('SNS', () => {
  test('a message reaches queues, functions and mail, each in its form and only what its filter wants', async () => {
    const topic = await harness.create('AWS::SNS::Topic', 'Alarms', {});
    const enveloped = await queue('Enveloped');
    const raw = await queue('Raw');
    const filtered = await queue('Filtered');
    const subscribe = (logicalId: string, properties: Record<string, Json>) =>
      harness.create('AWS::SNS::Subscription', logicalId, { TopicArn: topic.ref, ...properties });
    await subscribe('One', { Protocol: 'sqs', Endpoint: enveloped.arn });
    await subscribe('Two', { Protocol: 'sqs', Endpoint: raw.arn, RawMessageDelivery: true });
    await subscribe('Three', { Protocol: 'sqs', Endpoint: filtered.arn, FilterPolicy: { level: ['high'] } });
    await subscribe('Four', { Protocol: 'lambda', Endpoint: 'arn:aws:lambda:us-east-1:000000000000:function:alarm' });
    await subscribe('Five', { Protocol: 'email', Endpoint: 'ops@example.org' });
    await sns.send(
      new PublishCommand({
        TopicArn: topic.ref,
        Subject: 'Alarm & co',
        Message: 'depth > 0',
        MessageAttributes: { level: { DataType: 'String', StringValue: 'low' } },
      }),
    );
    const [envelope] = await receive(enveloped.QueueUrl);
    expect(JSON.parse(envelope?.Body ?? '{}')).toMatchObject({
      Type: 'Notification',
      TopicArn: topic.ref,
      Subject: 'Alarm & co',
      Message: 'depth > 0',
      MessageAttributes: { level: { Type: 'String', Value: 'low' } },
    });
    const [direct] = await receive(raw.QueueUrl, { MessageAttributeNames: ['All'] });
    expect([direct?.Body, direct?.MessageAttributes?.['level']?.StringValue]).toEqual(['depth > 0', 'low']);
    expect(await receive(filtered.QueueUrl)).toEqual([]);
    expect(harness.asynchronous).toMatchObject([
      { payload: { Records: [{ EventSource: 'aws:sns', Sns: { Message: 'depth > 0' } }] } },
    ]);
    expect(JSON.parse(readFileSync(join(folder, 'mail.jsonl'), 'utf8'))).toMatchObject({
      to: 'ops@example.org',
      message: 'depth > 0',
    });
    const batch = await sns.send(
      new PublishBatchCommand({
        TopicArn: topic.ref,
        PublishBatchRequestEntries: [
          { Id: '1', Message: 'first', MessageAttributes: { level: { DataType: 'String', StringValue: 'high' } } },
          { Id: '2', Message: 'x'.repeat(300_000) },
        ],
      }),
    );
    expect([batch.Successful?.length, batch.Failed?.[0]?.Id]).toEqual([1, '2']);
    expect((await receive(filtered.QueueUrl)).length).toBe(1);
  });

  test('an unknown topic is NotFound', async () => {
    await expect(
      sns.send(new PublishCommand({ TopicArn: 'arn:aws:sns:us-east-1:000000000000:none', Message: 'x' })),
    ).rejects.toMatchObject({
      name: 'NotFoundException',
    });
  });
});
