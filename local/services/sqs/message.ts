import { createHash } from 'node:crypto';
import { AwsError } from '../../cloud.ts';
import { type Fields, Fields as FieldsOf, isObject, type JsonObject } from '../fields.ts';

/** A message attribute; exactly one of the values is set. */
export interface MessageAttribute {
  /** `String`, `Number`, `Binary`, or one of them with a suffix after a dot. */
  readonly DataType: string;
  readonly StringValue?: string;
  /** base64 */
  readonly BinaryValue?: string;
}

/** A message in a queue. Times are ms since the epoch. */
export interface Message {
  readonly id: string;
  /** Place in the queue: older is smaller. */
  readonly sequence: number;
  readonly body: string;
  readonly attributes: Readonly<Record<string, MessageAttribute>>;
  readonly senderId: string;
  readonly sentAt: number;
  /** FIFO queues only. */
  readonly group?: string;
  readonly deduplicationId?: string;
  /** From when on it may be received. */
  visibleAt: number;
  receiveCount: number;
  firstReceivedAt?: number;
  /** The part of the receipt handle that is new with every receive; unset while nobody holds the message. */
  receipt?: string;
}

/** What a sender gives. */
export interface OutgoingMessage {
  readonly body: string;
  readonly attributes?: Readonly<Record<string, MessageAttribute>>;
  /** Seconds; undefined: the queue's. */
  readonly delaySeconds?: number;
  readonly group?: string;
  readonly deduplicationId?: string;
  readonly senderId: string;
}

export const md5 = (data: string | Buffer): string => createHash('md5').update(data).digest('hex');

const prefixed = (data: Buffer): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([length, data]);
};

/**
 * MD5 of message attributes:
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html#sqs-attributes-md5-message-digest-calculation
 */
export const attributesMd5 = (attributes: Readonly<Record<string, MessageAttribute>>): string | undefined => {
  const names = Object.keys(attributes).sort();
  if (names.length === 0) return undefined;
  const parts = names.flatMap((name) => {
    const attribute = attributes[name];
    if (attribute === undefined) return [];
    const binary = attribute.BinaryValue !== undefined;
    const value = binary ? Buffer.from(attribute.BinaryValue, 'base64') : Buffer.from(attribute.StringValue ?? '');
    return [
      prefixed(Buffer.from(name)),
      prefixed(Buffer.from(attribute.DataType)),
      Buffer.from([binary ? 2 : 1]),
      prefixed(value),
    ];
  });
  return md5(Buffer.concat(parts));
};

/** Reads the member `MessageAttributes` of a request. */
export const readAttributes = (input: Fields): Record<string, MessageAttribute> => {
  const raw = input.optionalObject('MessageAttributes')?.raw ?? {};
  return Object.fromEntries(
    Object.entries(raw).map(([name, value]) => {
      if (!isObject(value))
        throw new AwsError('InvalidParameterValue', `The message attribute ${name} is not an object`);
      return [name, readAttribute(name, value)];
    }),
  );
};

const readAttribute = (name: string, value: JsonObject): MessageAttribute => {
  const fields = new FieldsOf(value, name);
  const DataType = fields.text('DataType');
  const text = fields.optionalText('StringValue');
  const binary = fields.optionalText('BinaryValue');
  if (DataType.startsWith('Binary')) {
    if (binary !== undefined) return { DataType, BinaryValue: binary };
  } else if (/^(String|Number)(\.|$)/.test(DataType) && text !== undefined && text !== '') {
    return { DataType, StringValue: text };
  }
  throw new AwsError(
    'InvalidParameterValue',
    `The message attribute ${name} must have a value of its type ${DataType}`,
  );
};
