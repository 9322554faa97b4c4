import { GetObjectCommand, NoSuchKey, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';

/** Named texts: a bucket, or a map in tests. */
export interface Objects {
  /** Writes an object, in the place of an earlier one. */
  put(key: string, content: string): Promise<void>;
  /** The content, undefined when there is no such object. */
  read(key: string): Promise<string | undefined>;
}

/** JSON objects in an S3 bucket. */
export const s3Objects = (client: S3Client, bucket: string): Objects => ({
  async put(key, content) {
    await client.send(
      new PutObjectCommand({ Bucket: bucket, Key: key, Body: content, ContentType: 'application/json' }),
    );
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
});
