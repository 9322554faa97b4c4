import { Stack } from 'aws-cdk-lib';
import { ManagedPolicy, type PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import type { Definition } from '../state-machines/parts.ts';
import { acknowledge, acknowledgeWildcards } from './acknowledge.ts';
import { allow } from './allow.ts';
import { type LogKeeping, logGroup } from './logs.ts';

/** A state machine of Step Functions, type STANDARD. */
export interface StandardMachineProps {
  readonly name: string;
  readonly definition: Definition;
  /** What stands in the place of `${Name}` in the definition; `${Partition}` is known by itself. */
  readonly substitutions: Readonly<Record<string, string>>;
  readonly logs: LogKeeping;
  /** What it may do, beyond logs and traces. */
  readonly statements: readonly PolicyStatement[];
  /** Resources in `statements` that hold a wildcard: ARN -> why it cannot be narrower. */
  readonly wildcards?: Readonly<Record<string, string>>;
}

/** A state machine with a role of its own, traces, and a log of all its steps without their data: that holds tokens. */
export class StandardMachine extends Construct {
  readonly machine: CfnStateMachine;

  constructor(scope: Construct, id: string, props: StandardMachineProps) {
    super(scope, id);
    // With this prefix CloudWatch Logs needs no entry of a resource policy for each log group, of which there are few.
    const logs = logGroup(this, 'Logs', `/aws/vendedlogs/states/${props.name}`, props.logs);
    const policy = new ManagedPolicy(this, 'Policy', {
      description: `What the state machine ${props.name} may do`,
      statements: [...props.statements, allow(logDeliveryActions, ['*']), allow(traceActions, ['*'])],
    });
    const role = new Role(this, 'Role', {
      description: `Role of the state machine ${props.name}`,
      assumedBy: new ServicePrincipal('states.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
      managedPolicies: [policy],
    });
    this.machine = new CfnStateMachine(this, 'Machine', {
      stateMachineName: props.name,
      stateMachineType: 'STANDARD',
      roleArn: role.roleArn,
      definitionString: JSON.stringify(props.definition),
      definitionSubstitutions: { ...props.substitutions, Partition: Stack.of(this).partition },
      tracingConfiguration: { enabled: true },
      loggingConfiguration: {
        level: 'ALL',
        includeExecutionData: false,
        destinations: [{ cloudWatchLogsLogGroup: { logGroupArn: logs.logGroupArn } }],
      },
    });
    this.machine.node.addDependency(policy);
    acknowledge(policy, {
      'AwsSolutions-IAM5[Resource::*]': 'The delivery of logs, and X-Ray, know no resource-level permissions.',
    });
    acknowledgeWildcards(policy, props.wildcards ?? {});
  }
}

/** https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html */
const logDeliveryActions = [
  'logs:CreateLogDelivery',
  'logs:GetLogDelivery',
  'logs:UpdateLogDelivery',
  'logs:DeleteLogDelivery',
  'logs:ListLogDeliveries',
  'logs:PutResourcePolicy',
  'logs:DescribeResourcePolicies',
  'logs:DescribeLogGroups',
];

/** https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html */
const traceActions = [
  'xray:PutTraceSegments',
  'xray:PutTelemetryRecords',
  'xray:GetSamplingRules',
  'xray:GetSamplingTargets',
];
