import { AwsError, type Json } from '../../cloud.ts';
import { localArn } from '../dynamodb/tables.ts';
import type { DynamoDbClient } from '../dynamodb/wire.ts';
import { Fields, isObject, type JsonObject } from '../fields.ts';

const API = 'DynamoDBStreams_20120810';

/** A record of a stream as Lambda passes it on, and where it stands. */
export interface StreamRecord {
  readonly sequence: string;
  /** The event record, as DynamoDB Local gives it. */
  readonly record: JsonObject;
}

/** A shard of a stream. */
export interface Shard {
  readonly id: string;
  readonly parent: string | undefined;
  readonly closed: boolean;
}

/**
 * DynamoDB Local writes an empty map into its streams as an attribute value without a type, which no reader of a
 * stream understands; AWS writes `{"M":{}}`.
 */
const withEmptyMaps = (value: Json): Json => {
  if (Array.isArray(value)) return value.map(withEmptyMaps);
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(([name, inner]) => {
    const typeless = isObject(inner) && Object.keys(inner).length === 0 && name !== 'M';
    return [name, typeless ? { M: {} } : withEmptyMaps(inner)] as const;
  });
  return Object.fromEntries(entries);
};

const toRecord = (value: Json): StreamRecord => {
  const record = isObject(value) ? { ...value } : {};
  const { dynamodb } = record;
  if (isObject(dynamodb)) {
    const images = ['NewImage', 'OldImage'].filter((image) => isObject(dynamodb[image]));
    record['dynamodb'] = {
      ...dynamodb,
      ...Object.fromEntries(images.map((image) => [image, withEmptyMaps(dynamodb[image] ?? {})])),
    };
  }
  return { sequence: new Fields(record).object('dynamodb').text('SequenceNumber'), record };
};

/** Reads one stream of DynamoDB Local. */
export class StreamReader {
  readonly #client: () => DynamoDbClient;
  readonly #streamArn: string;

  constructor(client: () => DynamoDbClient, streamArn: string) {
    this.#client = client;
    this.#streamArn = localArn(streamArn);
  }

  async shards(): Promise<Shard[]> {
    const shards: Shard[] = [];
    let start: string | undefined;
    do {
      const output = await this.#client().call(`${API}.DescribeStream`, {
        StreamArn: this.#streamArn,
        ...(start === undefined ? {} : { ExclusiveStartShardId: start }),
      });
      const description = new Fields(output).object('StreamDescription');
      for (const shard of description.objects('Shards')) {
        shards.push({
          id: shard.text('ShardId'),
          parent: shard.optionalText('ParentShardId'),
          closed: shard.optionalObject('SequenceNumberRange')?.has('EndingSequenceNumber') ?? false,
        });
      }
      start = description.optionalText('LastEvaluatedShardId');
    } while (start !== undefined);
    return shards;
  }

  /** An iterator behind `after`; at the oldest record that is left when that is undefined. */
  async iterator(shard: string, after: string | undefined): Promise<string> {
    const output = await this.#client().call(`${API}.GetShardIterator`, {
      StreamArn: this.#streamArn,
      ShardId: shard,
      ...(after === undefined
        ? { ShardIteratorType: 'TRIM_HORIZON' }
        : { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', SequenceNumber: after }),
    });
    return new Fields(output).text('ShardIterator');
  }

  /** `next` is undefined at the end of a closed shard. */
  async records(
    iterator: string,
    limit: number,
  ): Promise<{ readonly records: StreamRecord[]; readonly next: string | undefined }> {
    const output = new Fields(
      await this.#client().call(`${API}.GetRecords`, { ShardIterator: iterator, Limit: Math.min(limit, 1000) }),
    );
    return { records: output.list('Records').map(toRecord), next: output.optionalText('NextShardIterator') };
  }
}

/** Whether an iterator must be taken anew. */
export const isStaleIterator = (error: unknown): boolean =>
  error instanceof AwsError &&
  (error.code === 'ExpiredIteratorException' || error.code === 'TrimmedDataAccessException');
