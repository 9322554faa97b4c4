import { AwsError, type AwsService, type Cloud, type Permission } from '../../cloud.ts';
import { keyPermissions } from '../kms/permissions.ts';
import { notEmulated } from '../protocol/json.ts';
import { QueryInput, queryError, queryResult } from '../protocol/query.ts';
import type { XmlElements } from '../protocol/xml.ts';
import type { MessageAttribute } from '../sqs/message.ts';
import type { Notification, Topics } from './topics.ts';

const NAMESPACE = 'http://sns.amazonaws.com/doc/2010-03-31/';
const BATCH_LIMIT = 10;

const attributesOf = (input: QueryInput, prefix: string): Record<string, MessageAttribute> => {
  const list = `${prefix}MessageAttributes.entry`;
  return Object.fromEntries(
    Array.from({ length: input.count(list) }, (_, index) => {
      const entry = `${list}.${index + 1}`;
      const text = input.optional(`${entry}.Value.StringValue`);
      const binary = input.optional(`${entry}.Value.BinaryValue`);
      if (text === undefined && binary === undefined)
        throw new AwsError('ParameterValueInvalid', `${entry} has no value`);
      return [
        input.text(`${entry}.Name`),
        {
          DataType: input.text(`${entry}.Value.DataType`),
          ...(text === undefined ? {} : { StringValue: text }),
          ...(binary === undefined ? {} : { BinaryValue: binary }),
        },
      ];
    }),
  );
};

const notificationOf = (input: QueryInput, prefix: string): Notification => {
  if (input.optional(`${prefix}MessageStructure`) !== undefined) {
    throw new AwsError('InvalidParameter', 'The local cloud does not emulate MessageStructure');
  }
  const subject = input.optional(`${prefix}Subject`);
  const group = input.optional(`${prefix}MessageGroupId`);
  const deduplicationId = input.optional(`${prefix}MessageDeduplicationId`);
  return {
    message: input.text(`${prefix}Message`),
    attributes: attributesOf(input, prefix),
    ...(subject === undefined ? {} : { subject }),
    ...(group === undefined ? {} : { group }),
    ...(deduplicationId === undefined ? {} : { deduplicationId }),
  };
};

/** SNS as functions call it (AWS query protocol): publishing only; topics and subscriptions come from the template. */
export const snsService = (cloud: Cloud, topics: Topics): AwsService => {
  const permissions = (topicArn: string): Permission[] => [
    { action: 'sns:Publish', resource: topicArn },
    ...keyPermissions(cloud, topics.find(topicArn).keyName, 'sns', ['GenerateDataKey', 'Decrypt']),
  ];

  const publish = async (input: QueryInput): Promise<XmlElements> => ({
    MessageId: await topics.publish(input.text('TopicArn'), notificationOf(input, '')),
  });

  const publishBatch = async (input: QueryInput): Promise<XmlElements> => {
    const list = 'PublishBatchRequestEntries.member';
    const count = input.count(list);
    if (count === 0) throw new AwsError('EmptyBatchRequest', 'The batch request contains no entries.');
    if (count > BATCH_LIMIT)
      throw new AwsError('TooManyEntriesInBatchRequest', `A batch has at most ${BATCH_LIMIT} entries.`);
    const successful: XmlElements[] = [];
    const failed: XmlElements[] = [];
    for (let index = 1; index <= count; index += 1) {
      const Id = input.text(`${list}.${index}.Id`);
      try {
        const MessageId = await topics.publish(input.text('TopicArn'), notificationOf(input, `${list}.${index}.`));
        successful.push({ Id, MessageId });
      } catch (error) {
        if (!(error instanceof AwsError)) throw error;
        failed.push({ Id, Code: error.code, Message: error.message, SenderFault: error.status < 500 });
      }
    }
    return { Successful: { member: successful }, Failed: { member: failed } };
  };

  return {
    signingNames: ['sns'],
    resolve(request) {
      const input = new QueryInput(request);
      const operation = input.optional('Action') ?? '';
      const run = operation === 'Publish' ? publish : operation === 'PublishBatch' ? publishBatch : undefined;
      if (run === undefined) throw notEmulated('SNS', operation);
      const topicArn = input.optional('TopicArn');
      if (topicArn === undefined) throw new AwsError('InvalidParameter', 'The local cloud publishes to topics only');
      return {
        operation,
        permissions: permissions(topicArn),
        execute: async () => queryResult(operation, NAMESPACE, await run(input)),
      };
    },
    error: (error) => queryError(error, NAMESPACE),
  };
};
