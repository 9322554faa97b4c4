import type { AwsService, Cloud, Json, Part, ResourceRequest, ResourceType } from '../../cloud.ts';
import { Fields, isObject, type JsonObject } from '../fields.ts';
import { lateService } from '../protocol/late.ts';
import type { QueueSettings } from './queue.ts';
import type { Queues } from './queues.ts';
import { sqsService } from './service.ts';

/** A redrive policy may be written as JSON text or as an object. */
const redriveOf = (fields: Fields): QueueSettings['redrive'] => {
  const value: Json | undefined = fields.raw['RedrivePolicy'];
  const parsed: Json | undefined = typeof value === 'string' ? (JSON.parse(value) as Json) : value;
  if (!isObject(parsed)) return undefined;
  const policy = new Fields(parsed, 'RedrivePolicy');
  return { targetArn: policy.text('deadLetterTargetArn'), maximumReceives: policy.number('maxReceiveCount') };
};

/** What a queue's resource says, with AWS's defaults. */
export const queueSettings = (resource: ResourceRequest, cloud: Cloud): QueueSettings => {
  const fields = new Fields(resource.properties as JsonObject);
  const fifo = fields.flag('FifoQueue');
  const physical = cloud.physicalName(resource);
  const name =
    fields.optionalText('QueueName') ??
    (fifo && !physical.endsWith('.fifo') ? `${physical.slice(0, 75)}.fifo` : physical);
  const redrive = redriveOf(fields);
  const keyName = fields.optionalText('KmsMasterKeyId');
  return {
    name,
    arn: cloud.arn('sqs', name),
    url: `http://127.0.0.1:${cloud.ports.aws}/${cloud.account}/${name}`,
    fifo,
    contentBasedDeduplication: fields.flag('ContentBasedDeduplication'),
    delaySeconds: fields.optionalNumber('DelaySeconds') ?? 0,
    visibilityTimeout: fields.optionalNumber('VisibilityTimeout') ?? 30,
    retentionSeconds: fields.optionalNumber('MessageRetentionPeriod') ?? 345_600,
    waitSeconds: fields.optionalNumber('ReceiveMessageWaitTimeSeconds') ?? 0,
    maximumSize: fields.optionalNumber('MaximumMessageSize') ?? 1_048_576,
    ...(redrive === undefined ? {} : { redrive }),
    ...(keyName === undefined ? {} : { keyName }),
  };
};

const queueResource = (queues: Queues): ResourceType => ({
  type: 'AWS::SQS::Queue',
  honoured: [
    'QueueName',
    'FifoQueue',
    'ContentBasedDeduplication',
    'DelaySeconds',
    'VisibilityTimeout',
    'MessageRetentionPeriod',
    'ReceiveMessageWaitTimeSeconds',
    'MaximumMessageSize',
    'RedrivePolicy',
    'KmsMasterKeyId',
  ],
  leftOut: {
    KmsDataKeyReusePeriodSeconds: 'the permission on the key is checked at every call',
    SqsManagedSseEnabled: 'local messages are not encrypted',
    RedriveAllowPolicy: 'every queue may be the dead-letter queue of every other one',
    DeduplicationScope: 'deduplication is by queue',
    FifoThroughputLimit: 'there is no limit here',
    Tags: 'tags change nothing here',
  },
  create(resource, cloud) {
    const settings = queueSettings(resource, cloud);
    queues.put(settings);
    return { ref: settings.url, attributes: { Arn: settings.arn, QueueName: settings.name, QueueUrl: settings.url } };
  },
});

const queuePolicyResource: ResourceType = {
  type: 'AWS::SQS::QueuePolicy',
  honoured: ['Queues', 'PolicyDocument'],
  leftOut: {},
  create(resource, cloud) {
    const policy: Json | undefined = resource.properties['PolicyDocument'];
    for (const url of new Fields(resource.properties as JsonObject).texts('Queues')) {
      cloud.resourcePolicy(cloud.arn('sqs', nameOfUrl(url)), policy ?? {});
    }
    return { ref: cloud.physicalName(resource) };
  },
};

const nameOfUrl = (url: string): string => url.split('/').at(-1) ?? url;

/** SQS: standard and FIFO queues that are kept in the cloud's store. */
export const sqsPart = (queues: Queues): Part => {
  let service: AwsService | undefined;
  return {
    name: 'sqs',
    services: [lateService(['sqs'], () => service)],
    resources: [queueResource(queues), queuePolicyResource],
    attach(cloud) {
      queues.attach(cloud);
      service = sqsService(cloud, queues);
      cloud.registerTarget('sqs', async (targetArn, message, options) => {
        const {
          MessageGroupId: group,
          MessageDeduplicationId: deduplicationId,
          ...attributes
        } = options.attributes ?? {};
        queues.find(targetArn).send({
          body: typeof message === 'string' ? message : JSON.stringify(message),
          attributes: Object.fromEntries(
            Object.entries(attributes).map(([name, value]) => [name, { DataType: 'String', StringValue: value }]),
          ),
          senderId: cloud.account,
          ...(group === undefined ? {} : { group }),
          ...(deduplicationId === undefined ? {} : { deduplicationId }),
        });
      });
    },
    stop: () => queues.close(),
  };
};
