import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';
import type { Item } from './errors.ts';

/** One change of an item, as a DynamoDB stream tells it. */
export interface Change {
  /** Names the record for a partial batch response (`batchItemFailures`). */
  readonly sequenceNumber: string;
  readonly kind: 'INSERT' | 'MODIFY' | 'REMOVE';
  readonly before?: Item;
  readonly after?: Item;
}

/** A record of a stream with NEW_AND_OLD_IMAGES, its items as plain values. */
export function decodeChange(record: DynamoDBRecord): Change {
  const { SequenceNumber, NewImage, OldImage } = record.dynamodb ?? {};
  if (SequenceNumber === undefined || record.eventName === undefined) {
    throw new TypeError('The event is not a record of a DynamoDB stream.');
  }
  return {
    sequenceNumber: SequenceNumber,
    kind: record.eventName,
    ...(OldImage === undefined ? {} : { before: decodeImage(OldImage) }),
    ...(NewImage === undefined ? {} : { after: decodeImage(NewImage) }),
  };
}

type Image = NonNullable<NonNullable<DynamoDBRecord['dynamodb']>['NewImage']>;

/** The event's types call binary values strings, the SDK's call them bytes; the bytes on the wire are the same. */
function decodeImage(image: Image): Item {
  return unmarshall(image as Record<string, AttributeValue>);
}
