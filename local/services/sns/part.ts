import type { AwsService, Cloud, Json, Part, ResourceRequest, ResourceType } from '../../cloud.ts';
import { Fields, type JsonObject } from '../fields.ts';
import { stableUuid } from '../identifiers.ts';
import { compilePattern } from '../patterns/pattern.ts';
import { lateService } from '../protocol/late.ts';
import { snsService } from './service.ts';
import { type Subscription, Topics } from './topics.ts';

const PROTOCOLS: readonly Subscription['protocol'][] = ['sqs', 'lambda', 'email', 'email-json'];

/** A value that templates write as JSON text or as an object. */
const document = (value: Json | undefined): Json | undefined =>
  typeof value === 'string' ? (JSON.parse(value) as Json) : value;

/** A subscription as a resource has it, or as it stands in a topic's `Subscription`. */
export const subscriptionOf = (fields: Fields, topicArn: string, identity: string): Subscription => {
  const name = fields.text('Protocol');
  const protocol = PROTOCOLS.find((candidate) => candidate === name);
  if (protocol === undefined) throw new Error(`The local cloud has no SNS subscription of protocol ${name}`);
  const filter = document(fields.raw['FilterPolicy']);
  const redrive = document(fields.raw['RedrivePolicy']);
  const scope = fields.optionalText('FilterPolicyScope') ?? 'MessageAttributes';
  if (scope !== 'MessageAttributes' && scope !== 'MessageBody')
    throw new Error(`FilterPolicyScope ${scope} is not known`);
  return {
    arn: `${topicArn}:${stableUuid(`subscription ${identity}`)}`,
    topicArn,
    protocol,
    endpoint: fields.text('Endpoint'),
    raw: fields.flag('RawMessageDelivery'),
    ...(filter === undefined ? {} : { filter: { scope, matches: compilePattern(filter) } }),
    ...(redrive === undefined
      ? {}
      : { deadLetterArn: new Fields(redrive as JsonObject, 'RedrivePolicy').text('deadLetterTargetArn') }),
  };
};

const topicResource = (topics: () => Topics): ResourceType => ({
  type: 'AWS::SNS::Topic',
  honoured: ['TopicName', 'FifoTopic', 'KmsMasterKeyId', 'Subscription'],
  leftOut: {
    DisplayName: 'e-mails are written to a file without a sender',
    ContentBasedDeduplication: 'FIFO queues deduplicate, topics do not',
    FifoThroughputScope: 'there is no limit here',
    SignatureVersion: 'messages of the local cloud carry no true signature',
    TracingConfig: 'there is no X-Ray here',
    ArchivePolicy: 'messages are not archived here',
    DataProtectionPolicy: 'messages are not inspected here',
    DeliveryStatusLogging: 'deliveries that fail are told by the log',
    Tags: 'tags change nothing here',
  },
  create(resource: ResourceRequest, cloud: Cloud) {
    const fields = new Fields(resource.properties as JsonObject);
    const name = fields.optionalText('TopicName') ?? cloud.physicalName(resource);
    const arn = cloud.arn('sns', name);
    const keyName = fields.optionalText('KmsMasterKeyId');
    topics().putTopic({ arn, name, fifo: fields.flag('FifoTopic'), ...(keyName === undefined ? {} : { keyName }) });
    for (const [index, subscription] of fields.objects('Subscription').entries()) {
      topics().putSubscription(subscriptionOf(subscription, arn, `${arn} ${index}`));
    }
    return { ref: arn, attributes: { TopicArn: arn, TopicName: name } };
  },
});

const subscriptionResource = (topics: () => Topics): ResourceType => ({
  type: 'AWS::SNS::Subscription',
  honoured: [
    'TopicArn',
    'Protocol',
    'Endpoint',
    'RawMessageDelivery',
    'FilterPolicy',
    'FilterPolicyScope',
    'RedrivePolicy',
  ],
  leftOut: { Region: 'there is one region here' },
  create(resource: ResourceRequest) {
    const fields = new Fields(resource.properties as JsonObject);
    const subscription = subscriptionOf(fields, fields.text('TopicArn'), `${resource.stackName} ${resource.logicalId}`);
    topics().putSubscription(subscription);
    return { ref: subscription.arn };
  },
});

const topicPolicyResource: ResourceType = {
  type: 'AWS::SNS::TopicPolicy',
  honoured: ['Topics', 'PolicyDocument'],
  leftOut: {},
  create(resource, cloud) {
    const policy: Json | undefined = resource.properties['PolicyDocument'];
    for (const topic of new Fields(resource.properties as JsonObject).texts('Topics'))
      cloud.resourcePolicy(topic, policy ?? {});
    return { ref: cloud.physicalName(resource) };
  },
};

/** SNS: topics with subscriptions of queues, functions and e-mail addresses. E-mails go to `mailFile`, a line of JSON each. */
export const snsPart = (mailFile: string | undefined): Part => {
  let registry: Topics | undefined;
  let service: AwsService | undefined;
  const topics = (): Topics => {
    if (registry === undefined) throw new Error('SNS has not been attached');
    return registry;
  };
  return {
    name: 'sns',
    services: [lateService(['sns'], () => service)],
    resources: [topicResource(topics), subscriptionResource(topics), topicPolicyResource],
    attach(cloud) {
      registry = new Topics(cloud, mailFile);
      service = snsService(cloud, registry);
      cloud.registerTarget('sns', async (targetArn, message, options) => {
        const { Subject: subject, MessageGroupId: group, ...attributes } = options.attributes ?? {};
        await topics().publish(targetArn, {
          message: typeof message === 'string' ? message : JSON.stringify(message),
          attributes: Object.fromEntries(
            Object.entries(attributes).map(([name, value]) => [name, { DataType: 'String', StringValue: value }]),
          ),
          ...(subject === undefined ? {} : { subject }),
          ...(group === undefined ? {} : { group }),
        });
      });
    },
  };
};
