import { GetObjectCommand, NoSuchKey, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { Truststore } from '../enrollment/authority.ts';

/** A truststore in a versioned S3 bucket, where API Gateway reads it. */
export function s3Truststore(client: S3Client, bucket: string, key: string): Truststore {
  const version = (id: string | undefined): string => {
    if (id === undefined) throw new Error(`The bucket ${bucket} is not versioned`);
    return id;
  };
  return {
    async read() {
      try {
        const { Body, VersionId } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
        return { pem: (await Body?.transformToString()) ?? '', version: version(VersionId) };
      } catch (error) {
        if (error instanceof NoSuchKey) return undefined;
        throw error;
      }
    },
    async write(pem) {
      const { VersionId } = await client.send(
        new PutObjectCommand({ Bucket: bucket, Key: key, Body: pem, ContentType: 'application/x-pem-file' }),
      );
      return version(VersionId);
    },
  };
}
