import { AwsError, type AwsService, type Cloud, type Permission } from '../../cloud.ts';
import type { Fields, JsonObject } from '../fields.ts';
import { nameOfArn } from '../identifiers.ts';
import { keyPermissions } from '../kms/permissions.ts';
import { type JsonOperation, jsonService } from '../protocol/json.ts';
import { attributesMd5, md5, type OutgoingMessage, readAttributes } from './message.ts';
import type { Queue, Received } from './queue.ts';
import type { Queues } from './queues.ts';

/** Most messages of one batch or one receive. */
const BATCH_LIMIT = 10;

/** Most bytes of all messages of a batch together. */
const BATCH_BYTES = 1024 * 1024;

/** The attributes of a message that AWS keeps itself, as `MessageSystemAttributeNames` asks for them. */
export const systemAttributes = (queue: Queue, { message }: Received): Record<string, string> => ({
  SenderId: message.senderId,
  SentTimestamp: String(Math.floor(message.sentAt)),
  ApproximateReceiveCount: String(message.receiveCount),
  ApproximateFirstReceiveTimestamp: String(Math.floor(message.firstReceivedAt ?? message.sentAt)),
  ...(message.group === undefined ? {} : { MessageGroupId: message.group }),
  ...(message.deduplicationId === undefined ? {} : { MessageDeduplicationId: message.deduplicationId }),
  ...(queue.settings.fifo ? { SequenceNumber: String(message.sequence).padStart(20, '0') } : {}),
});

const wants = (names: readonly string[], name: string): boolean =>
  names.some(
    (wanted) =>
      wanted === 'All' ||
      wanted === '.*' ||
      wanted === name ||
      (wanted.endsWith('.*') && name.startsWith(wanted.slice(0, -2))),
  );

const pick = <T>(values: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> =>
  Object.fromEntries(Object.entries(values).filter(([name]) => wants(names, name)));

const bounded = (value: number | undefined, low: number, high: number, name: string): number | undefined => {
  if (value !== undefined && (!Number.isInteger(value) || value < low || value > high)) {
    throw new AwsError(
      'InvalidParameterValue',
      `Value ${value} for parameter ${name} is invalid. Reason: Must be between ${low} and ${high}.`,
    );
  }
  return value;
};

const outgoing = (input: Fields, senderId: string): OutgoingMessage => {
  const delaySeconds = bounded(input.optionalNumber('DelaySeconds'), 0, 900, 'DelaySeconds');
  const group = input.optionalText('MessageGroupId');
  const deduplicationId = input.optionalText('MessageDeduplicationId');
  return {
    body: input.text('MessageBody'),
    attributes: readAttributes(input),
    senderId,
    ...(delaySeconds === undefined ? {} : { delaySeconds }),
    ...(group === undefined ? {} : { group }),
    ...(deduplicationId === undefined ? {} : { deduplicationId }),
  };
};

const sent = (queue: Queue, message: OutgoingMessage): JsonObject => {
  const { messageId, sequence } = queue.send(message);
  const attributes = attributesMd5(message.attributes ?? {});
  return {
    MessageId: messageId,
    MD5OfMessageBody: md5(message.body),
    ...(attributes === undefined ? {} : { MD5OfMessageAttributes: attributes }),
    ...(queue.settings.fifo ? { SequenceNumber: String(sequence).padStart(20, '0') } : {}),
  };
};

/** Runs each entry of a batch; one that fails does not touch the others. */
const batch = (input: Fields, run: (entry: Fields) => JsonObject): JsonObject => {
  const entries = input.objects('Entries');
  if (entries.length === 0) throw new AwsError('EmptyBatchRequest', 'The batch request contains no entries.');
  if (entries.length > BATCH_LIMIT)
    throw new AwsError('TooManyEntriesInBatchRequest', `A batch has at most ${BATCH_LIMIT} entries.`);
  const ids = entries.map((entry) => entry.text('Id'));
  if (new Set(ids).size !== ids.length)
    throw new AwsError('BatchEntryIdsNotDistinct', 'Two entries of the batch have the same Id.');
  const Successful: JsonObject[] = [];
  const Failed: JsonObject[] = [];
  for (const entry of entries) {
    const Id = entry.text('Id');
    try {
      Successful.push({ Id, ...run(entry) });
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      Failed.push({ Id, Code: error.code, Message: error.message, SenderFault: error.status < 500 });
    }
  }
  return { Successful, ...(Failed.length === 0 ? {} : { Failed }) };
};

const queueAttributes = (queue: Queue): Record<string, string> => {
  const { settings } = queue;
  const { visible, inFlight, delayed } = queue.counts();
  return {
    QueueArn: settings.arn,
    ApproximateNumberOfMessages: String(visible),
    ApproximateNumberOfMessagesNotVisible: String(inFlight),
    ApproximateNumberOfMessagesDelayed: String(delayed),
    DelaySeconds: String(settings.delaySeconds),
    VisibilityTimeout: String(settings.visibilityTimeout),
    MessageRetentionPeriod: String(settings.retentionSeconds),
    MaximumMessageSize: String(settings.maximumSize),
    ReceiveMessageWaitTimeSeconds: String(settings.waitSeconds),
    ...(settings.fifo
      ? { FifoQueue: 'true', ContentBasedDeduplication: String(settings.contentBasedDeduplication) }
      : {}),
    ...(settings.keyName === undefined ? {} : { KmsMasterKeyId: settings.keyName }),
    ...(settings.redrive === undefined
      ? {}
      : {
          RedrivePolicy: JSON.stringify({
            deadLetterTargetArn: settings.redrive.targetArn,
            maxReceiveCount: settings.redrive.maximumReceives,
          }),
        }),
  };
};

/** SQS as functions call it (AWS JSON). */
export const sqsService = (cloud: Cloud, queues: Queues): AwsService => {
  const queueOf = (input: Fields): Queue => queues.find(input.text('QueueUrl'));
  const permissions =
    (action: string, keyActions: readonly ('Decrypt' | 'GenerateDataKey')[] = []) =>
    (input: Fields): Permission[] => {
      const { settings } = queueOf(input);
      return [
        { action: `sqs:${action}`, resource: settings.arn },
        ...keyPermissions(cloud, settings.keyName, 'sqs', keyActions),
      ];
    };
  const sending = permissions('SendMessage', ['GenerateDataKey', 'Decrypt']);
  const receive: JsonOperation = {
    permissions: permissions('ReceiveMessage', ['Decrypt']),
    async run(input) {
      const queue = queueOf(input);
      const limit = bounded(input.optionalNumber('MaxNumberOfMessages'), 1, BATCH_LIMIT, 'MaxNumberOfMessages') ?? 1;
      const visibility = bounded(input.optionalNumber('VisibilityTimeout'), 0, 43_200, 'VisibilityTimeout');
      const wait =
        bounded(input.optionalNumber('WaitTimeSeconds'), 0, 20, 'WaitTimeSeconds') ?? queue.settings.waitSeconds;
      const until = cloud.clock.now() + wait * 1000;
      let received = queue.receive(limit, visibility);
      while (received.length === 0 && cloud.clock.now() < until) {
        await queue.wait(until);
        received = queue.receive(limit, visibility);
      }
      if (received.length === 0) return {};
      const systemNames = [...input.texts('AttributeNames'), ...input.texts('MessageSystemAttributeNames')];
      const names = input.texts('MessageAttributeNames');
      return {
        Messages: received.map((one) => {
          const attributes = pick(one.message.attributes, names);
          const attributesDigest = attributesMd5(attributes);
          return {
            MessageId: one.message.id,
            ReceiptHandle: one.receiptHandle,
            Body: one.message.body,
            MD5OfBody: md5(one.message.body),
            Attributes: pick(systemAttributes(queue, one), systemNames),
            ...(attributesDigest === undefined
              ? {}
              : {
                  MD5OfMessageAttributes: attributesDigest,
                  MessageAttributes: Object.fromEntries(
                    Object.entries(attributes).map(([name, value]) => [name, { ...value }]),
                  ),
                }),
          };
        }),
      };
    },
  };

  return jsonService({
    signingNames: ['sqs'],
    target: 'AmazonSQS',
    version: '1.0',
    queryErrors: {
      QueueDoesNotExist: 'AWS.SimpleQueueService.NonExistentQueue',
      MessageNotInflight: 'AWS.SimpleQueueService.MessageNotInflight',
      EmptyBatchRequest: 'AWS.SimpleQueueService.EmptyBatchRequest',
      TooManyEntriesInBatchRequest: 'AWS.SimpleQueueService.TooManyEntriesInBatchRequest',
      BatchEntryIdsNotDistinct: 'AWS.SimpleQueueService.BatchEntryIdsNotDistinct',
      BatchRequestTooLong: 'AWS.SimpleQueueService.BatchRequestTooLong',
    },
    operations: {
      SendMessage: {
        permissions: sending,
        run: (input, principal) => sent(queueOf(input), outgoing(input, principal.roleArn)),
      },
      SendMessageBatch: {
        permissions: sending,
        run(input, principal) {
          const queue = queueOf(input);
          const bytes = input
            .objects('Entries')
            .reduce((sum, entry) => sum + Buffer.byteLength(entry.text('MessageBody')), 0);
          if (bytes > BATCH_BYTES)
            throw new AwsError('BatchRequestTooLong', `Batch requests cannot be longer than ${BATCH_BYTES} bytes.`);
          return batch(input, (entry) => sent(queue, outgoing(entry, principal.roleArn)));
        },
      },
      ReceiveMessage: receive,
      DeleteMessage: {
        permissions: permissions('DeleteMessage'),
        run(input) {
          queueOf(input).delete(input.text('ReceiptHandle'));
          return undefined;
        },
      },
      DeleteMessageBatch: {
        permissions: permissions('DeleteMessage'),
        run(input) {
          const queue = queueOf(input);
          return batch(input, (entry) => {
            queue.delete(entry.text('ReceiptHandle'));
            return {};
          });
        },
      },
      ChangeMessageVisibility: {
        permissions: permissions('ChangeMessageVisibility'),
        run(input) {
          const seconds = bounded(input.number('VisibilityTimeout'), 0, 43_200, 'VisibilityTimeout') ?? 0;
          queueOf(input).changeVisibility(input.text('ReceiptHandle'), seconds);
          return undefined;
        },
      },
      ChangeMessageVisibilityBatch: {
        permissions: permissions('ChangeMessageVisibility'),
        run(input) {
          const queue = queueOf(input);
          return batch(input, (entry) => {
            const seconds = bounded(entry.number('VisibilityTimeout'), 0, 43_200, 'VisibilityTimeout') ?? 0;
            queue.changeVisibility(entry.text('ReceiptHandle'), seconds);
            return {};
          });
        },
      },
      GetQueueAttributes: {
        permissions: permissions('GetQueueAttributes'),
        run: (input) => ({ Attributes: pick(queueAttributes(queueOf(input)), input.texts('AttributeNames')) }),
      },
      GetQueueUrl: {
        permissions: (input) => [
          { action: 'sqs:GetQueueUrl', resource: cloud.arn('sqs', nameOfArn(input.text('QueueName'))) },
        ],
        run: (input) => ({ QueueUrl: queues.find(input.text('QueueName')).settings.url }),
      },
    },
  });
};
