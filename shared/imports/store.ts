import { Readable } from 'node:stream';
import { GetObjectCommand, NoSuchKey, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import * as v from 'valibot';
import type { AuditItem } from '../audit/record.ts';
import type { Table } from '../aws/dynamodb.ts';
import { isConditionFailed } from '../aws/errors.ts';
import { auditPart, transact } from '../devices/store.ts';
import { ImportJob, RowResult } from './job.ts';

/** How long an import and its report can be looked at. */
export const keptDays = 90;

/** Partition key of an import in the Directory table. */
export const importPartition = (importId: string): string => `IMPORT#${importId}`;

const sortKey = 'IMPORT';

/** Where imports are kept: the list and its report in S3, the checkpoint in the Directory table, the work in SQS. */
export interface ImportResources {
  readonly directory: Table;
  readonly s3: S3Client;
  readonly bucket: string;
  readonly sqs: SQSClient;
  readonly queueUrl: string;
}

/** Imports in S3, DynamoDB and SQS. */
export class ImportStore {
  readonly #resources: ImportResources;

  constructor(resources: ImportResources) {
    this.#resources = resources;
  }

  /** Stores a new import: the list first, then the record with its audit record, last the order to begin. */
  async create(job: ImportJob, list: Uint8Array, mediaType: string, audit: AuditItem): Promise<void> {
    const { directory, s3, bucket } = this.#resources;
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: sourceKey(job.id), Body: list, ContentType: mediaType }));
    await transact(directory, [
      {
        Put: {
          TableName: directory.name,
          Item: itemOf(job),
          ConditionExpression: 'attribute_not_exists(pk)',
        },
      },
      auditPart(directory, audit),
    ]);
    await this.order(job.id);
  }

  /** Asks a worker to carry the import on. */
  async order(importId: string): Promise<void> {
    const { sqs, queueUrl } = this.#resources;
    await sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: JSON.stringify({ importId }) }));
  }

  /** Reads an import consistently: 1 read unit. */
  async get(importId: string): Promise<ImportJob | undefined> {
    const { directory } = this.#resources;
    const answer = await directory.client.send(
      new GetCommand({
        TableName: directory.name,
        Key: { pk: importPartition(importId), sk: sortKey },
        ConsistentRead: true,
      }),
    );
    return answer.Item === undefined ? undefined : v.parse(ImportJob, answer.Item);
  }

  /** Stores the import as it is now; false when another worker was faster. */
  async save(before: ImportJob, after: ImportJob): Promise<boolean> {
    const { directory } = this.#resources;
    try {
      await directory.client.send(
        new PutCommand({
          TableName: directory.name,
          Item: itemOf(after),
          ConditionExpression: 'chunks = :chunks AND #state = :state',
          ExpressionAttributeNames: { '#state': 'state' },
          ExpressionAttributeValues: { ':chunks': before.chunks, ':state': before.state },
        }),
      );
      return true;
    } catch (error) {
      if (isConditionFailed(error)) return false;
      throw error;
    }
  }

  /** The uploaded list as a stream. */
  async open(importId: string): Promise<Readable> {
    const { s3, bucket } = this.#resources;
    const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: sourceKey(importId) }));
    if (!(answer.Body instanceof Readable)) throw new Error('S3 answered without a body');
    return answer.Body;
  }

  /** Stores a part of the report. */
  async saveReport(importId: string, number: number, results: readonly RowResult[]): Promise<void> {
    const { s3, bucket } = this.#resources;
    await s3.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: reportKey(importId, number),
        Body: JSON.stringify(results),
        ContentType: 'application/json',
      }),
    );
  }

  /** A part of the report; undefined when it is not written (yet). */
  async readReport(importId: string, number: number): Promise<RowResult[] | undefined> {
    const { s3, bucket } = this.#resources;
    try {
      const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: reportKey(importId, number) }));
      const text = await answer.Body?.transformToString('utf8');
      return v.parse(v.array(RowResult), JSON.parse(text ?? '[]'));
    } catch (error) {
      if (error instanceof NoSuchKey) return undefined;
      throw error;
    }
  }
}

function itemOf(job: ImportJob) {
  return {
    pk: importPartition(job.id),
    sk: sortKey,
    ttl: Math.ceil(Date.parse(job.createdAt) / 1000) + keptDays * 86_400,
    ...job,
  };
}

function sourceKey(importId: string): string {
  return `${importId}/list`;
}

function reportKey(importId: string, number: number): string {
  return `${importId}/report/${String(number).padStart(6, '0')}.json`;
}
