import type { AwsService, Json, Part, ResourceRequest, ResourceType } from '../../cloud.ts';
import { Fields, type JsonObject } from '../fields.ts';
import { lateService } from '../protocol/late.ts';
import { type Bucket, ObjectStore } from './objects.ts';
import { s3Service } from './service.ts';

const DAYS_PER_YEAR = 365;

const defaultRetention = (fields: Fields, logicalId: string): Bucket['defaultRetention'] => {
  const rule = fields
    .optionalObject('ObjectLockConfiguration')
    ?.optionalObject('Rule')
    ?.optionalObject('DefaultRetention');
  if (rule === undefined) return undefined;
  const mode = rule.text('Mode');
  if (mode !== 'COMPLIANCE' && mode !== 'GOVERNANCE')
    throw new Error(`${logicalId}: the retention mode ${mode} is not known`);
  return { mode, days: rule.optionalNumber('Days') ?? rule.number('Years') * DAYS_PER_YEAR };
};

const keyName = (fields: Fields): string | undefined =>
  fields
    .optionalObject('BucketEncryption')
    ?.objects('ServerSideEncryptionConfiguration')
    .map((rule) => rule.optionalObject('ServerSideEncryptionByDefault'))
    .find((rule) => rule?.text('SSEAlgorithm').startsWith('aws:kms') === true)
    ?.optionalText('KMSMasterKeyID');

/** A bucket as its resource has it. */
export const bucketOf = (resource: ResourceRequest, name: string): Bucket => {
  const fields = new Fields(resource.properties as JsonObject);
  const retention = defaultRetention(fields, resource.logicalId);
  const objectLock = fields.flag('ObjectLockEnabled') || retention !== undefined;
  const key = keyName(fields);
  return {
    name,
    // Object lock needs versions, so AWS turns them on with it.
    versioned: fields.optionalObject('VersioningConfiguration')?.optionalText('Status') === 'Enabled' || objectLock,
    objectLock,
    ...(retention === undefined ? {} : { defaultRetention: retention }),
    ...(key === undefined ? {} : { keyName: key }),
  };
};

const PRIVATE = 'nothing of the local cloud can be reached from another machine';

const bucketResource: ResourceType = {
  type: 'AWS::S3::Bucket',
  honoured: [
    'BucketName',
    'VersioningConfiguration.Status',
    'ObjectLockEnabled',
    'ObjectLockConfiguration',
    'BucketEncryption.ServerSideEncryptionConfiguration.ServerSideEncryptionByDefault',
  ],
  leftOut: {
    'BucketEncryption.ServerSideEncryptionConfiguration.BucketKeyEnabled':
      'the permission on the key is checked at every call',
    'BucketEncryption.ServerSideEncryptionConfiguration.BlockedEncryptionTypes':
      'encryption with a key of the caller is not emulated at all',
    LifecycleConfiguration: 'objects stay; nobody waits for months here',
    LoggingConfiguration: 'the trace shows every call',
    OwnershipControls: 'there is one account, and ACLs are not emulated',
    PublicAccessBlockConfiguration: PRIVATE,
    AccessControl: PRIVATE,
    CorsConfiguration: 'browsers do not reach the local S3',
    ReplicationConfiguration: 'there is one region here',
    IntelligentTieringConfigurations: 'there is one storage class here',
    InventoryConfigurations: 'there are no inventory reports here',
    MetricsConfigurations: 'there is no CloudWatch here',
    Tags: 'tags change nothing here',
  },
  create(resource, cloud) {
    const fields = new Fields(resource.properties as JsonObject);
    const name =
      fields.optionalText('BucketName') ??
      cloud
        .physicalName(resource)
        .toLowerCase()
        .replace(/[^a-z0-9.-]/g, '-')
        .slice(0, 63);
    new ObjectStore(cloud.store, cloud.clock).putBucket(bucketOf(resource, name));
    return {
      ref: name,
      attributes: {
        Arn: `arn:aws:s3:::${name}`,
        DomainName: `${name}.s3.amazonaws.com`,
        RegionalDomainName: `${name}.s3.${cloud.region}.amazonaws.com`,
        DualStackDomainName: `${name}.s3.dualstack.${cloud.region}.amazonaws.com`,
      },
    };
  },
};

const bucketPolicyResource: ResourceType = {
  type: 'AWS::S3::BucketPolicy',
  honoured: ['Bucket', 'PolicyDocument'],
  leftOut: {},
  create(resource, cloud) {
    const bucket = new Fields(resource.properties as JsonObject).text('Bucket');
    const document: Json | undefined = resource.properties['PolicyDocument'];
    cloud.resourcePolicy(`arn:aws:s3:::${bucket}`, document ?? {});
    return { ref: bucket };
  },
};

/** S3: buckets with versions and object lock, kept in the cloud's store. */
export const s3Part = (): Part => {
  let service: AwsService | undefined;
  return {
    name: 's3',
    services: [lateService(['s3'], () => service)],
    resources: [bucketResource, bucketPolicyResource],
    attach(cloud) {
      service = s3Service(cloud);
    },
  };
};
