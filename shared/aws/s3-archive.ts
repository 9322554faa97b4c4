import { setTimeout as sleep } from 'node:timers/promises';
import {
  GetObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  PutObjectCommand,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import type { Archive } from '../audit/archive/archive.ts';

/** An archive in an S3 bucket whose Object Lock keeps every object by default. */
export function s3Archive(client: S3Client, bucket: string): Archive {
  return {
    async create(key, content) {
      for (let conflicts = 0; ; conflicts += 1) {
        try {
          await client.send(
            new PutObjectCommand({
              Bucket: bucket,
              Key: key,
              Body: content,
              // Whoever is first wins: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
              IfNoneMatch: '*',
              ContentType: mediaTypeOf(key),
            }),
          );
          return true;
        } catch (error) {
          if (!(error instanceof S3ServiceException)) throw error;
          if (error.name === 'PreconditionFailed') return false;
          // Another write of this key was under way: S3 does not say how it ended.
          if (error.name !== 'ConditionalRequestConflict' || conflicts >= 5) throw error;
          await sleep(Math.random() * 50 * 2 ** conflicts);
        }
      }
    },
    async read(key) {
      try {
        const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
        return await Body?.transformToString();
      } catch (error) {
        if (error instanceof NoSuchKey) return undefined;
        throw error;
      }
    },
    async list(prefix, after, limit) {
      const { Contents = [] } = await client.send(
        new ListObjectsV2Command({
          Bucket: bucket,
          Prefix: prefix,
          MaxKeys: limit,
          ...(after === undefined ? {} : { StartAfter: after }),
        }),
      );
      return Contents.flatMap(({ Key, Size }) => (Key === undefined ? [] : [{ key: Key, size: Size ?? 0 }]));
    },
  };
}

function mediaTypeOf(key: string): string {
  if (key.endsWith('.jsonl')) return 'application/jsonl';
  return key.endsWith('.json') ? 'application/json' : 'application/x-pem-file';
}
