import { createHash, randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { AwsError, type Cloud, type Json } from '../../cloud.ts';
import { isObject, type JsonObject } from '../fields.ts';
import type { Matcher } from '../patterns/pattern.ts';
import type { MessageAttribute } from '../sqs/message.ts';

/** A topic of the template. */
export interface Topic {
  readonly arn: string;
  readonly name: string;
  readonly fifo: boolean;
  /** The key of its encryption: id, ARN or alias. */
  readonly keyName?: string;
}

/** A subscription of the template. */
export interface Subscription {
  readonly arn: string;
  readonly topicArn: string;
  readonly protocol: 'sqs' | 'lambda' | 'email' | 'email-json';
  /** ARN of a queue or function, or an e-mail address. */
  readonly endpoint: string;
  /** SQS only: the message as it is, without SNS's envelope. */
  readonly raw: boolean;
  /** Messages must match; undefined: all do. */
  readonly filter?: { readonly scope: 'MessageAttributes' | 'MessageBody'; readonly matches: Matcher };
  /** Where messages go that cannot be delivered. */
  readonly deadLetterArn?: string;
}

/** A message for a topic. */
export interface Notification {
  readonly message: string;
  readonly subject?: string;
  readonly attributes: Readonly<Record<string, MessageAttribute>>;
  /** FIFO topics only. */
  readonly group?: string;
  readonly deduplicationId?: string;
}

/** Largest message with its attributes, bytes. */
const LARGEST = 262_144;

/** Attribute values as a filter policy sees them. */
const filterable = (attributes: Notification['attributes']): JsonObject =>
  Object.fromEntries(
    Object.entries(attributes).map(([name, { DataType, StringValue }]): [string, Json] => {
      if (DataType === 'String.Array') return [name, parsed(StringValue ?? '') ?? null];
      return [name, DataType.startsWith('Number') ? Number(StringValue) : (StringValue ?? '')];
    }),
  );

const parsed = (text: string): Json | undefined => {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
};

/** Topics, their subscriptions and the delivery of messages. */
export class Topics {
  readonly #cloud: Cloud;
  readonly #mailFile: string | undefined;
  readonly #topics = new Map<string, Topic>();
  readonly #subscriptions = new Map<string, Subscription>();

  /** `mailFile` collects what would be sent by e-mail; without it the local cloud's log tells it. */
  constructor(cloud: Cloud, mailFile: string | undefined) {
    this.#cloud = cloud;
    this.#mailFile = mailFile;
  }

  putTopic(topic: Topic): void {
    this.#topics.set(topic.arn, topic);
  }

  putSubscription(subscription: Subscription): void {
    this.find(subscription.topicArn);
    this.#subscriptions.set(subscription.arn, subscription);
  }

  /** AwsError `NotFound` (404). */
  find(arn: string): Topic {
    const topic = this.#topics.get(arn);
    if (topic === undefined) throw new AwsError('NotFound', 'Topic does not exist', 404);
    return topic;
  }

  /** Delivers to every subscription and returns the message's id. */
  async publish(arn: string, notification: Notification): Promise<string> {
    const topic = this.find(arn);
    if (notification.message === '') throw new AwsError('InvalidParameter', 'Invalid parameter: Empty message');
    if (Buffer.byteLength(notification.message) > LARGEST)
      throw new AwsError('InvalidParameter', 'Invalid parameter: Message too long');
    if (topic.fifo && notification.group === undefined) {
      throw new AwsError(
        'InvalidParameter',
        'Invalid parameter: The MessageGroupId parameter is required for FIFO topics',
      );
    }
    const id = randomUUID();
    const subscriptions = [...this.#subscriptions.values()].filter(({ topicArn }) => topicArn === arn);
    for (const subscription of subscriptions) {
      if (!this.#wanted(subscription, notification)) continue;
      try {
        await this.#deliver(subscription, id, notification);
      } catch (error) {
        await this.#undeliverable(subscription, id, notification, error);
      }
    }
    return id;
  }

  #wanted({ filter }: Subscription, { message, attributes }: Notification): boolean {
    if (filter === undefined) return true;
    if (filter.scope === 'MessageAttributes') return filter.matches(filterable(attributes));
    const body = parsed(message);
    return isObject(body) && filter.matches(body);
  }

  async #deliver(subscription: Subscription, id: string, notification: Notification): Promise<void> {
    switch (subscription.protocol) {
      case 'sqs':
        await this.#toQueue(subscription, id, notification);
        return;
      case 'lambda':
        this.#cloud.authorizeInvoke(subscription.endpoint, 'sns.amazonaws.com', subscription.topicArn);
        this.#cloud.functions.invokeAsync(subscription.endpoint, {
          Records: [
            {
              EventSource: 'aws:sns',
              EventVersion: '1.0',
              EventSubscriptionArn: subscription.arn,
              Sns: {
                ...this.#envelope(subscription, id, notification),
                MessageAttributes: envelopeAttributes(notification),
              },
            },
          ],
        });
        return;
      case 'email':
      case 'email-json':
        this.#mail(subscription, id, notification);
        return;
    }
  }

  async #toQueue(subscription: Subscription, id: string, notification: Notification): Promise<void> {
    const text = Object.entries(notification.attributes).filter(([, { StringValue }]) => StringValue !== undefined);
    const attributes = {
      ...(notification.group === undefined ? {} : { MessageGroupId: notification.group }),
      ...(notification.deduplicationId === undefined ? {} : { MessageDeduplicationId: notification.deduplicationId }),
      ...(subscription.raw ? Object.fromEntries(text.map(([name, { StringValue }]) => [name, StringValue ?? ''])) : {}),
    };
    const envelope = { ...this.#envelope(subscription, id, notification) };
    if (Object.keys(notification.attributes).length > 0)
      envelope['MessageAttributes'] = envelopeAttributes(notification);
    await this.#cloud.deliver(subscription.endpoint, subscription.raw ? notification.message : envelope, {
      attributes,
    });
  }

  #envelope(subscription: Subscription, id: string, notification: Notification): JsonObject {
    return {
      Type: 'Notification',
      MessageId: id,
      TopicArn: subscription.topicArn,
      Subject: notification.subject ?? null,
      Message: notification.message,
      Timestamp: new Date(this.#cloud.clock.now()).toISOString(),
      SignatureVersion: '1',
      // Signatures of the local cloud protect nothing; the fields are there because readers of the envelope expect them.
      Signature: createHash('sha256').update(id).digest('base64'),
      SigningCertUrl: `https://sns.${this.#cloud.region}.amazonaws.com/SimpleNotificationService.pem`,
      UnsubscribeUrl: `https://sns.${this.#cloud.region}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=${subscription.arn}`,
    };
  }

  #mail(subscription: Subscription, id: string, notification: Notification): void {
    const mail = {
      time: new Date(this.#cloud.clock.now()).toISOString(),
      to: subscription.endpoint,
      topic: subscription.topicArn,
      id,
      ...(notification.subject === undefined ? {} : { subject: notification.subject }),
      message: notification.message,
    };
    if (this.#mailFile === undefined) {
      this.#cloud.log.info(`E-mail to ${mail.to}: ${notification.subject ?? notification.message}`);
      return;
    }
    mkdirSync(dirname(this.#mailFile), { recursive: true });
    appendFileSync(this.#mailFile, `${JSON.stringify(mail)}\n`);
  }

  async #undeliverable(
    subscription: Subscription,
    id: string,
    notification: Notification,
    error: unknown,
  ): Promise<void> {
    const why = error instanceof Error ? error.message : String(error);
    this.#cloud.log.warn(`SNS could not deliver ${id} to ${subscription.endpoint}: ${why}`);
    if (subscription.deadLetterArn === undefined) return;
    await this.#cloud.deliver(subscription.deadLetterArn, this.#envelope(subscription, id, notification));
  }
}

const envelopeAttributes = ({ attributes }: Notification): JsonObject =>
  Object.fromEntries(
    Object.entries(attributes).map(([name, { DataType, StringValue, BinaryValue }]) => [
      name,
      { Type: DataType, Value: StringValue ?? BinaryValue ?? '' },
    ]),
  );
