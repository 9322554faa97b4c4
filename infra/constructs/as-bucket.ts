import type { Bucket, IBucket } from 'aws-cdk-lib/aws-s3';

/**
 * A bucket as the interface that other constructs take. The class declares `policy?: T | undefined` where the
 * interface has `policy?: T`, which exact optional property types tell apart; there is no other difference.
 */
export function asBucket(bucket: Bucket): IBucket {
  return bucket as IBucket;
}
