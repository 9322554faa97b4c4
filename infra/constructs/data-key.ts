import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { AnyPrincipal, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';

/** What a key is for. */
export interface DataKeyProps {
  readonly alias: string;
  readonly description: string;
  /**
   * AWS services through which anybody in this account may use the key, e.g. `dynamodb`. Whoever may read the table,
   * queue or bucket may then read what it holds; nobody can use the key directly.
   */
  readonly throughServices: readonly string[];
  /** AWS services that use the key themselves, for this account only, e.g. `cloudwatch.amazonaws.com`. */
  readonly servicePrincipals?: readonly string[];
  /** Let CloudWatch Logs encrypt the log groups of this account with it. @default false */
  readonly logs?: boolean;
}

/** A customer-managed key for one class of data, rotated every year, kept when the stack goes. */
export class DataKey extends Key {
  constructor(scope: Construct, id: string, props: DataKeyProps) {
    super(scope, id, {
      alias: props.alias,
      description: props.description,
      enableKeyRotation: true,
      rotationPeriod: Duration.days(365),
      pendingWindow: Duration.days(30),
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const { account, region, partition } = Stack.of(this);
    const use = ['kms:Encrypt', 'kms:Decrypt', 'kms:ReEncrypt*', 'kms:GenerateDataKey*', 'kms:DescribeKey'];
    this.addToResourcePolicy(
      new PolicyStatement({
        sid: 'ThroughServices',
        principals: [new AnyPrincipal()],
        actions: [...use, 'kms:CreateGrant'],
        resources: ['*'],
        conditions: {
          StringEquals: {
            'kms:CallerAccount': account,
            'kms:ViaService': props.throughServices.map((service) => `${service}.${region}.amazonaws.com`),
          },
        },
      }),
    );
    for (const service of props.servicePrincipals ?? []) {
      this.addToResourcePolicy(
        new PolicyStatement({
          principals: [new ServicePrincipal(service)],
          actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
          resources: ['*'],
          conditions: { StringEquals: { 'aws:SourceAccount': account } },
        }),
      );
    }
    if (props.logs) {
      this.addToResourcePolicy(
        new PolicyStatement({
          sid: 'CloudWatchLogs',
          principals: [new ServicePrincipal(`logs.${region}.amazonaws.com`)],
          actions: use,
          resources: ['*'],
          conditions: {
            ArnLike: { 'kms:EncryptionContext:aws:logs:arn': `arn:${partition}:logs:${region}:${account}:log-group:*` },
          },
        }),
      );
    }
  }
}
