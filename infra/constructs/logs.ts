import { RemovalPolicy } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';

/** How logs are kept, the same for all log groups of a deployment. */
export interface LogKeeping {
  readonly key: IKey;
  readonly days: number;
}

/**
 * An encrypted log group with a retention. It goes with its stack: a name that stays behind would block the next
 * deployment, and what must outlive the stack is the audit trail, which is not a log.
 */
export function logGroup(scope: Construct, id: string, name: string, keeping: LogKeeping): LogGroup {
  return new LogGroup(scope, id, {
    logGroupName: name,
    encryptionKey: keeping.key,
    retention: keeping.days,
    removalPolicy: RemovalPolicy.DESTROY,
  });
}
