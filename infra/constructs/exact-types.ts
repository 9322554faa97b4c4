import type { IVpc, Vpc } from 'aws-cdk-lib/aws-ec2';
import type { Bucket, IBucket } from 'aws-cdk-lib/aws-s3';

// Some CDK classes declare an optional member as `member?: T | undefined` where their interface has `member?: T`, which
// exact optional property types tell apart. There is no other difference.

/** A bucket as the interface that other constructs take. */
export function asBucket(bucket: Bucket): IBucket {
  return bucket as IBucket;
}

/** A VPC as the interface that other constructs take. */
export function asVpc(vpc: Vpc): IVpc {
  return vpc as IVpc;
}
