import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Duration, Stack } from 'aws-cdk-lib';
import type { ISecurityGroup, IVpc } from 'aws-cdk-lib/aws-ec2';
import { ManagedPolicy, type PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  ApplicationLogLevel,
  Architecture,
  CfnEventInvokeConfig,
  CfnPermission,
  Code,
  Function as LambdaFunction,
  LoggingFormat,
  RecursiveLoop,
  Runtime,
  SystemLogLevel,
  Tracing,
} from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acknowledge, acknowledgeWildcards } from './acknowledge.ts';
import { allow } from './allow.ts';
import { type LogKeeping, logGroup } from './logs.ts';

/** What all functions of a deployment have in common. */
export interface FunctionDefaults {
  /** Setting `wardline:name`: functions are named `<prefix>-<name>`. */
  readonly prefix: string;
  /** The folder with one bundle for each function (`infra/bundle.ts`). */
  readonly bundles: string;
  readonly logs: LogKeeping;
  /** Setting `wardline:reserveConcurrency`. */
  readonly reserveConcurrency: boolean;
  /** Present in the VPC profile. */
  readonly network?: { readonly vpc: IVpc; readonly securityGroup: ISecurityGroup };
}

/** How a function is called, which decides where a failed call goes. */
export type Invocation =
  /** The caller waits and is told of the failure. */
  | { readonly kind: 'synchronous' }
  /** An event source mapping polls for it and has its own failure destination or redrive policy. */
  | { readonly kind: 'polled' }
  /** Lambda queues the event: it is tried three times within `maxAge`, then sent to `failures`. */
  | { readonly kind: 'asynchronous'; readonly failures: IQueue; readonly maxAge: Duration };

/** A stack names a function that does not exist. */
export class MissingFunction extends Error {
  constructor(name: string) {
    super(`Function "${name}" has no bundle: functions/${name}/handler.ts does not exist.`);
    this.name = 'MissingFunction';
  }
}

/** One function: `name` is its folder below `functions/`. */
export interface WardlineFunctionProps extends FunctionDefaults {
  readonly name: string;
  readonly description: string;
  readonly invocation: Invocation;
  /** Also the limit of what this function can do to everything behind it. */
  readonly reservedConcurrency: number;
  /** @default 256 MB */
  readonly memoryMegabytes?: number;
  readonly timeout: Duration;
  readonly environment?: Readonly<Record<string, string>>;
  /** What it may do, beyond writing its own log and traces. Nothing is ever added behind these. */
  readonly statements: readonly PolicyStatement[];
  /** Resources in `statements` that hold a wildcard: ARN -> why it cannot be narrower. */
  readonly wildcards?: Readonly<Record<string, string>>;
  /** Why it stays outside the VPC even in the VPC profile. */
  readonly outsideVpc?: string;
  /**
   * It sends messages to the queue that it reads, and its rules bring that to an end. Lambda takes the 17th call that comes
   * of the same message for a loop that nobody meant, and drops the message, unless it is told.
   * https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
   */
  readonly callsItself?: true;
}

/**
 * A Lambda function the way Wardline has them: a role of its own that holds exactly the statements given, an encrypted
 * log group with a retention, reserved concurrency, tracing, and a place for failed events.
 */
export class WardlineFunction extends Construct {
  readonly name: string;
  readonly function: LambdaFunction;
  /** How many of the account's concurrent executions are kept for it alone. */
  readonly reserved: number;

  constructor(scope: Construct, id: string, props: WardlineFunctionProps) {
    super(scope, id);
    this.name = props.name;
    this.reserved = props.reserveConcurrency ? props.reservedConcurrency : 0;
    const { invocation } = props;
    const folder = join(props.bundles, props.name);
    if (!existsSync(join(folder, 'index.mjs'))) {
      throw new MissingFunction(props.name);
    }
    const network = props.outsideVpc === undefined ? props.network : undefined;
    const logs = logGroup(this, 'Logs', `/aws/lambda/${props.prefix}-${props.name}`, props.logs);
    const own = [
      allow(['logs:CreateLogStream', 'logs:PutLogEvents'], [logs.logGroupArn]),
      // X-Ray knows no resources for these two actions.
      allow(['xray:PutTraceSegments', 'xray:PutTelemetryRecords'], ['*']),
      ...(invocation.kind === 'asynchronous' ? [allow(['sqs:SendMessage'], [invocation.failures.queueArn])] : []),
      ...(network === undefined ? [] : [allow(networkInterfaceActions, ['*'])]),
    ];
    const policy = new ManagedPolicy(this, 'Policy', {
      description: `What the function ${props.name} may do`,
      statements: [...props.statements, ...own],
    });
    const role = new Role(this, 'Role', {
      description: `Role of the function ${props.name}`,
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      managedPolicies: [policy],
    });
    this.function = new LambdaFunction(this, 'Function', {
      functionName: `${props.prefix}-${props.name}`,
      description: props.description,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      handler: 'index.handler',
      code: Code.fromAsset(folder),
      memorySize: props.memoryMegabytes ?? 256,
      timeout: props.timeout,
      ...(props.reserveConcurrency ? { reservedConcurrentExecutions: props.reservedConcurrency } : {}),
      ...(props.callsItself ? { recursiveLoop: RecursiveLoop.ALLOW } : {}),
      tracing: Tracing.ACTIVE,
      logGroup: logs,
      // Without the platform's three lines an invocation, which would cost more than a check-in's DynamoDB.
      loggingFormat: LoggingFormat.JSON,
      systemLogLevelV2: SystemLogLevel.WARN,
      applicationLogLevelV2: ApplicationLogLevel.INFO,
      // No grant of a library call may widen the role unseen.
      role: role.withoutPolicyUpdates(),
      environment: {
        POWERTOOLS_SERVICE_NAME: props.name,
        POWERTOOLS_METRICS_NAMESPACE: 'Wardline',
        POWERTOOLS_LOG_LEVEL: 'INFO',
        ...props.environment,
      },
      ...(network === undefined
        ? {}
        : {
            vpc: network.vpc,
            securityGroups: [network.securityGroup],
            vpcSubnets: { subnets: network.vpc.isolatedSubnets },
          }),
    });
    if (invocation.kind === 'asynchronous') {
      new CfnEventInvokeConfig(this, 'Retries', {
        functionName: this.function.functionName,
        qualifier: '$LATEST',
        maximumRetryAttempts: 2,
        maximumEventAgeInSeconds: invocation.maxAge.toSeconds(),
        destinationConfig: { onFailure: { destination: invocation.failures.queueArn } },
      });
    }
    acknowledge(this.function, {
      'HIPAA.Security-LambdaDLQ': failureReasons[invocation.kind],
      'Serverless-LambdaDLQ': failureReasons[invocation.kind],
      ...(props.reserveConcurrency
        ? {}
        : {
            'HIPAA.Security-LambdaConcurrency':
              'Setting wardline:reserveConcurrency is off: the quota of the account is too small for reservations.',
          }),
      ...(network === undefined
        ? {
            'HIPAA.Security-LambdaInsideVPC':
              props.outsideVpc ??
              'Calls only AWS services over TLS with SigV4; a VPC adds cost and no control beyond IAM. Setting wardline:vpc puts it inside.',
          }
        : {}),
    });
    acknowledge(policy, {
      'AwsSolutions-IAM5[Resource::*]':
        'X-Ray segments, and the network interfaces of a VPC function, know no resource-level permissions.',
    });
    acknowledgeWildcards(policy, props.wildcards ?? {});
  }

  /** The function's ARN. */
  get arn(): string {
    return this.function.functionArn;
  }

  /**
   * Lets an AWS service call this function on behalf of one resource of this account.
   *
   * @returns the permission, for what must not be made before it is there
   */
  permit(id: string, service: string, sourceArn: string): CfnPermission {
    return new CfnPermission(this, id, {
      action: 'lambda:InvokeFunction',
      functionName: this.arn,
      principal: service,
      sourceArn,
      sourceAccount: Stack.of(this).account,
    });
  }
}

const failureReasons = {
  synchronous: 'Called synchronously: the caller is told of the failure, Lambda queues nothing.',
  polled:
    'Called by an event source mapping: its failure destination or the redrive policy of its queue keeps what fails.',
  asynchronous:
    'Failed events go to the on-failure destination, which unlike a dead-letter queue also holds the error.',
} as const;

/** What Lambda itself needs to attach a function to a VPC (AWSLambdaVPCAccessExecutionRole). */
const networkInterfaceActions = [
  'ec2:CreateNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:DeleteNetworkInterface',
  'ec2:AssignPrivateIpAddresses',
  'ec2:UnassignPrivateIpAddresses',
];
