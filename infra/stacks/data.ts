import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import {
  AttributeType,
  Billing,
  ProjectionType,
  StreamViewType,
  TableEncryptionV2,
  TableV2,
} from 'aws-cdk-lib/aws-dynamodb';
import { AnyPrincipal, Effect, PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Key, KeySpec, KeyUsage } from 'aws-cdk-lib/aws-kms';
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectLockRetention, ObjectOwnership } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { acknowledge } from '../constructs/acknowledge.ts';
import { DataKey } from '../constructs/data-key.ts';
import { asBucket } from '../constructs/exact-types.ts';
import type { Settings } from '../settings.ts';

/** What the Data stack is made from. */
export interface DataStackProps extends StackProps {
  readonly settings: Settings;
}

/**
 * Everything that must outlive a deployment: tables, keys, the audit bucket. Nothing here runs code, so that the
 * stacks that do can be replaced without touching data. Every resource is kept when the stack is deleted.
 */
export class DataStack extends Stack {
  /** One partition for each device; see `docs/tables.md`. */
  readonly devices: TableV2;
  /** Sites, care units, enrolment tokens, imports, rollouts. */
  readonly directory: TableV2;
  /** Audit records, locked against change and deletion for `retention.auditYears`. */
  readonly audit: Bucket;
  /** The certificate that device certificates must chain to, where API Gateway reads it. */
  readonly truststore: Bucket;
  /** ARN patterns of the objects in `audit`, by what they are. */
  readonly auditObjects: { readonly chains: string; readonly digests: string; readonly keys: string };
  /** Uploaded device lists and the reports about them. */
  readonly imports: Bucket;
  /** ARN pattern of the objects in `imports`, in the form in which other stacks refer to it. */
  readonly importObjects: string;
  /** Plans of rollouts: which device comes when. */
  readonly rollouts: Bucket;
  /** ARN pattern of the plans in `rollouts`, in the form in which other stacks refer to it. */
  readonly planObjects: string;
  /** Signs device certificates; the private key never leaves KMS. */
  readonly deviceAuthorityKey: Key;
  /** Signs what each day of the audit archive holds; verifying needs its public key alone. */
  readonly auditDigestKey: Key;
  /** Encrypts logs, queues and alarm messages. */
  readonly operationsKey: Key;

  constructor(scope: Construct, id: string, props: DataStackProps) {
    super(scope, id, props);
    const { name, retention, replicaRegions } = props.settings;

    const dataKey = new DataKey(this, 'DataKey', {
      alias: `alias/${name}-data`,
      description: 'Devices and Directory tables, imports, plans of rollouts',
      throughServices: ['dynamodb', 's3'],
    });
    const auditKey = new DataKey(this, 'AuditKey', {
      alias: `alias/${name}-audit`,
      description: 'Audit records',
      throughServices: ['s3'],
    });
    this.operationsKey = new DataKey(this, 'OperationsKey', {
      alias: `alias/${name}-operations`,
      description: 'Logs, queues and alarm messages',
      throughServices: ['sqs', 'sns'],
      servicePrincipals: ['cloudwatch.amazonaws.com'],
      logs: true,
    });
    this.deviceAuthorityKey = new Key(this, 'DeviceAuthorityKey', {
      alias: `alias/${name}-device-authority`,
      description: 'Certificate authority of the devices',
      keySpec: KeySpec.ECC_NIST_P256,
      keyUsage: KeyUsage.SIGN_VERIFY,
      pendingWindow: Duration.days(30),
      removalPolicy: RemovalPolicy.RETAIN,
    });

    this.auditDigestKey = new Key(this, 'AuditDigestKey', {
      alias: `alias/${name}-audit-digest`,
      description: 'Signs the daily digests of the audit archive',
      keySpec: KeySpec.ECC_NIST_P256,
      keyUsage: KeyUsage.SIGN_VERIFY,
      pendingWindow: Duration.days(30),
      removalPolicy: RemovalPolicy.RETAIN,
    });

    const table = {
      partitionKey: { name: 'pk', type: AttributeType.STRING },
      sortKey: { name: 'sk', type: AttributeType.STRING },
      billing: Billing.onDemand(),
      dynamoStream: StreamViewType.NEW_AND_OLD_IMAGES,
      timeToLiveAttribute: 'ttl',
      deletionProtection: true,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true, recoveryPeriodInDays: 35 },
      removalPolicy: RemovalPolicy.RETAIN,
      encryption: TableEncryptionV2.customerManagedKey(
        dataKey,
        Object.fromEntries(replicaRegions.map(({ region, keyArn }) => [region, keyArn])),
      ),
      replicas: replicaRegions.map(({ region }) => ({ region, deletionProtection: true })),
    };
    this.devices = new TableV2(this, 'Devices', {
      ...table,
      resourcePolicy: denyDeletion(),
      globalSecondaryIndexes: [
        {
          indexName: 'bySite',
          partitionKey: { name: 'gsi1pk', type: AttributeType.STRING },
          sortKey: { name: 'gsi1sk', type: AttributeType.STRING },
          projectionType: ProjectionType.INCLUDE,
          // Only what seldom changes: an index entry that follows every check-in would double the cost of a heartbeat.
          nonKeyAttributes: deviceListAttributes,
        },
        {
          indexName: 'byRollout',
          partitionKey: { name: 'gsi2pk', type: AttributeType.STRING },
          sortKey: { name: 'gsi2sk', type: AttributeType.STRING },
          // Lists of executions, and the choice of who comes next, need all of them.
          projectionType: ProjectionType.ALL,
        },
      ],
    });
    this.directory = new TableV2(this, 'Directory', {
      ...table,
      resourcePolicy: denyDeletion(),
      globalSecondaryIndexes: [
        {
          indexName: 'byKind',
          partitionKey: { name: 'gsi1pk', type: AttributeType.STRING },
          sortKey: { name: 'gsi1sk', type: AttributeType.STRING },
          projectionType: ProjectionType.ALL,
        },
      ],
    });

    const bucket = {
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      versioned: true,
      removalPolicy: RemovalPolicy.RETAIN,
    };
    const accessLogs = new Bucket(this, 'AccessLogs', {
      ...bucket,
      encryption: BucketEncryption.S3_MANAGED,
      lifecycleRules: [{ expiration: Duration.days(retention.logDays), noncurrentVersionExpiration: Duration.days(7) }],
    });
    this.audit = new Bucket(this, 'Audit', {
      ...bucket,
      encryption: BucketEncryption.KMS,
      encryptionKey: auditKey,
      bucketKeyEnabled: true,
      objectLockEnabled: true,
      objectLockDefaultRetention:
        retention.auditMode === 'compliance'
          ? ObjectLockRetention.compliance(Duration.days(daysOfYears(retention.auditYears)))
          : ObjectLockRetention.governance(Duration.days(daysOfYears(retention.auditYears))),
      serverAccessLogsBucket: asBucket(accessLogs),
      serverAccessLogsPrefix: 'audit/',
    });
    for (const statement of writeOnce(this.audit)) this.audit.addToResourcePolicy(statement);
    const auditArn = this.exportValue(this.audit.bucketArn);
    this.auditObjects = {
      chains: `${auditArn}/chains/*`,
      digests: `${auditArn}/digests/*`,
      keys: `${auditArn}/keys/*`,
    };
    this.truststore = new Bucket(this, 'Truststore', {
      ...bucket,
      encryption: BucketEncryption.S3_MANAGED,
      serverAccessLogsBucket: asBucket(accessLogs),
      serverAccessLogsPrefix: 'truststore/',
    });
    this.imports = new Bucket(this, 'Imports', {
      ...bucket,
      encryption: BucketEncryption.KMS,
      encryptionKey: dataKey,
      bucketKeyEnabled: true,
      serverAccessLogsBucket: asBucket(accessLogs),
      serverAccessLogsPrefix: 'imports/',
      lifecycleRules: [
        {
          expiration: Duration.days(retention.importDays),
          noncurrentVersionExpiration: Duration.days(1),
          abortIncompleteMultipartUploadAfter: Duration.days(1),
        },
      ],
    });
    this.importObjects = `${this.exportValue(this.imports.bucketArn)}/*`;
    this.rollouts = new Bucket(this, 'Rollouts', {
      ...bucket,
      encryption: BucketEncryption.KMS,
      encryptionKey: dataKey,
      bucketKeyEnabled: true,
      serverAccessLogsBucket: asBucket(accessLogs),
      serverAccessLogsPrefix: 'rollouts/',
      lifecycleRules: [
        {
          expiration: Duration.days(planDays),
          noncurrentVersionExpiration: Duration.days(1),
          abortIncompleteMultipartUploadAfter: Duration.days(1),
        },
      ],
    });
    this.planObjects = `${this.exportValue(this.rollouts.bucketArn)}/plans/*`;

    acknowledge(accessLogs, {
      'HIPAA.Security-S3DefaultEncryptionKMS': 'S3 delivers access logs only to buckets with S3-managed encryption.',
      'HIPAA.Security-S3BucketReplicationEnabled': 'Access logs are operational data with a limited life.',
    });
    acknowledge(this.audit, {
      'HIPAA.Security-S3BucketReplicationEnabled':
        'Objects cannot be deleted or changed in place; replication to a log-archive account is set up from that account (docs/operations.md).',
    });
    acknowledge(this.truststore, {
      'HIPAA.Security-S3DefaultEncryptionKMS':
        'Holds one public CA certificate, which API Gateway must be able to read.',
      'HIPAA.Security-S3BucketReplicationEnabled':
        'Its one object is made anew from the key in KMS by every deployment.',
    });
    acknowledge(this.imports, {
      'HIPAA.Security-S3BucketReplicationEnabled':
        'Holds copies of files that their senders still have, for a limited time.',
    });
    acknowledge(this.rollouts, {
      'HIPAA.Security-S3BucketReplicationEnabled':
        'A plan is made anew from the tables by a request; its digest, which people approve, is in the Directory table.',
    });

    new CfnOutput(this, 'DevicesTable', { value: this.devices.tableName });
    new CfnOutput(this, 'DirectoryTable', { value: this.directory.tableName });
    new CfnOutput(this, 'AuditBucket', { value: this.audit.bucketName });
  }
}

/** What a list of devices is filtered by; what it shows is read from the devices of the page. */
const deviceListAttributes = ['platform', 'class', 'ownership', 'lifecycle', 'user', 'compliance'];

/** Days that a plan is kept: a rollout takes a year at most, and its executions are kept for 400 days after that. */
const planDays = 800;

/** Object Lock counts days; leap days are on the side of keeping. */
function daysOfYears(years: number): number {
  return years * 366;
}

/**
 * Object Lock keeps every version; these keep the newest version the only one. Nobody hides an object behind a delete
 * marker, and nobody puts another version over it: a write must carry `If-None-Match`.
 */
function writeOnce(bucket: Bucket): PolicyStatement[] {
  const deny = (sid: string, actions: string[], conditions: Record<string, Record<string, string>> = {}) =>
    new PolicyStatement({
      sid,
      effect: Effect.DENY,
      principals: [new AnyPrincipal()],
      actions,
      resources: [bucket.arnForObjects('*')],
      conditions,
    });
  return [
    deny('NobodyDeletes', ['s3:DeleteObject', 's3:DeleteObjectVersion', 's3:BypassGovernanceRetention']),
    deny('NobodyOverwrites', ['s3:PutObject'], { Null: { 's3:if-none-match': 'true' } }),
  ];
}

/** A table policy: whoever may administer DynamoDB still cannot delete the table before this policy is taken away. */
function denyDeletion(): PolicyDocument {
  return new PolicyDocument({
    statements: [
      new PolicyStatement({
        sid: 'NobodyDeletesTheTable',
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        actions: ['dynamodb:DeleteTable'],
        resources: ['*'],
      }),
    ],
  });
}
