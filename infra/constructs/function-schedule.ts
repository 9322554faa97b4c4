import { Stack } from 'aws-cdk-lib';
import { ManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { allow } from './allow.ts';
import type { WardlineFunction } from './wardline-function.ts';

/** When a function is called. */
export interface FunctionScheduleProps {
  readonly name: string;
  readonly description: string;
  readonly function: WardlineFunction;
  /** `rate(...)` or `cron(...)`, in UTC. */
  readonly expression: string;
  /** Keeps calls that could not be handed to Lambda within an hour. */
  readonly failures: IQueue;
}

/** Calls a function at set times, through a role that can do nothing else. */
export class FunctionSchedule extends Construct {
  /** Calls this function, and may do nothing else: one-shot schedules of the same function have it too. */
  readonly role: Role;

  constructor(scope: Construct, id: string, props: FunctionScheduleProps) {
    super(scope, id);
    const policy = new ManagedPolicy(this, 'Policy', {
      description: `What the schedule ${props.name} may do`,
      statements: [
        allow(['lambda:InvokeFunction'], [props.function.arn]),
        allow(['sqs:SendMessage'], [props.failures.queueArn]),
      ],
    });
    this.role = new Role(this, 'Role', {
      description: `Role of the schedule ${props.name}`,
      assumedBy: new ServicePrincipal('scheduler.amazonaws.com', {
        conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } },
      }),
      managedPolicies: [policy],
    });
    new CfnSchedule(this, 'Schedule', {
      name: props.name,
      description: props.description,
      scheduleExpression: props.expression,
      scheduleExpressionTimezone: 'UTC',
      flexibleTimeWindow: { mode: 'OFF' },
      state: 'ENABLED',
      target: {
        arn: props.function.arn,
        roleArn: this.role.roleArn,
        retryPolicy: { maximumEventAgeInSeconds: 3_600, maximumRetryAttempts: 10 },
        deadLetterConfig: { arn: props.failures.queueArn },
      },
    });
  }
}
