import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { CfnScheduleGroup } from 'aws-cdk-lib/aws-scheduler';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { CfnStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { allow } from '../constructs/allow.ts';
import { consumeQueue, readQueue } from '../constructs/event-sources.ts';
import { FunctionSchedule } from '../constructs/function-schedule.ts';
import { deadLetterQueue, failureQueue, workQueue } from '../constructs/queue.ts';
import { StandardMachine } from '../constructs/standard-machine.ts';
import { indexAccess, tableAccess } from '../constructs/table-access.ts';
import { type FunctionDefaults, WardlineFunction } from '../constructs/wardline-function.ts';
import { rolloutConcurrency } from '../rollout-concurrency.ts';
import type { Settings } from '../settings.ts';
import { rolloutDefinition } from '../state-machines/rollout.ts';
import { siteRolloutDefinition } from '../state-machines/site-rollout.ts';
import type { DataStack } from './data.ts';

/** What rollouts are made from. */
export interface RolloutsStackProps extends StackProps {
  readonly settings: Settings;
  readonly data: DataStack;
  readonly functions: FunctionDefaults;
}

/**
 * What carries rollouts: the state machines, which decide when a wave may go on; the function that does their steps; the
 * planner; and what drives devices on, by their results (`rollout-progress`) and by the clock (`rollout-tick`).
 * The people's side is in the Management stack. `docs/rollouts.md` says how they play together.
 */
export class RolloutsStack extends Stack {
  readonly functions: readonly WardlineFunction[];
  /** A rollout as a whole; it starts one of `siteRollout` for each site. */
  readonly rollout: CfnStateMachine;
  readonly siteRollout: CfnStateMachine;
  /** Rollouts that are to be planned. */
  readonly plans: Queue;
  readonly planFailures: Queue;
  /** Results of devices and changes of their executions, handed on from the stream of the Devices table. */
  readonly changes: Queue;
  readonly changeFailures: Queue;
  /** Looks at rollouts that could not be made. */
  readonly tickFailures: Queue;

  constructor(scope: Construct, id: string, props: RolloutsStackProps) {
    super(scope, id, props);
    const { data, settings, functions: defaults } = props;
    const { name: prefix } = settings;
    const key = data.operationsKey;

    const tables = { DEVICES_TABLE: data.devices.tableName, DIRECTORY_TABLE: data.directory.tableName };
    const bucket = { ROLLOUTS_BUCKET: data.rollouts.bucketName };
    const interlock = { INTERLOCK: JSON.stringify(settings.interlock) };
    const eachPlan = { [data.planObjects]: 'The plan of each site is an object of its own.' };
    const readPlans = [
      allow(['s3:GetObject'], [data.planObjects]),
      // Without it S3 answers "access denied" for a plan that is not there.
      allow(['s3:ListBucket'], [data.rollouts.bucketArn]),
    ];

    this.planFailures = deadLetterQueue(this, 'PlanFailures', `${prefix}-rollout-plan-failures`, key);
    const planTimeout = Duration.minutes(15);
    this.plans = workQueue(this, 'PlanQueue', {
      name: `${prefix}-rollout-plans`,
      key,
      visibilityTimeout: Duration.seconds(planTimeout.toSeconds() * 6),
      attempts: 3,
      deadLetters: this.planFailures,
    });
    const planner = new WardlineFunction(this, 'PlanRollout', {
      ...defaults,
      name: 'plan-rollout',
      description: 'Decides which devices of a rollout come in which wave',
      invocation: { kind: 'polled' },
      reservedConcurrency: 2,
      memoryMegabytes: 1_769,
      timeout: planTimeout,
      environment: { ...tables, ...bucket },
      statements: [
        consumeQueue(this.plans),
        indexAccess(data.devices, 'bySite'),
        tableAccess(data.devices, ['BatchGetItem']),
        // Sites, units, the rollout and what its plan comes to.
        tableAccess(data.directory, ['GetItem', 'Query']),
        indexAccess(data.directory, 'byKind'),
        tableAccess(data.directory, ['PutItem', 'DeleteItem', 'ConditionCheckItem'], ofRollouts),
        allow(['s3:PutObject'], [data.planObjects]),
      ],
      wildcards: eachPlan,
    });
    readQueue(planner, this.plans, { size: 1, concurrency: 2 });

    // By name: the machines call the function that answers them, and CloudFormation makes one after the other.
    const machineArn = (name: string) =>
      `arn:${this.partition}:states:${this.region}:${this.account}:stateMachine:${name}`;
    const rolloutName = `${prefix}-rollout`;
    const siteName = `${prefix}-site-rollout`;
    const answers = allow(['states:SendTaskSuccess'], [machineArn(rolloutName), machineArn(siteName)]);

    // What drives rollouts writes commands, executions and what is counted of them, and nothing else of a device's items
    // that IAM could tell apart: it knows the first part of a key only.
    const engine = [
      tableAccess(data.devices, ['GetItem', 'BatchGetItem', 'Query', 'PutItem', 'UpdateItem'], ofDevices),
      tableAccess(data.devices, ['DeleteItem', 'ConditionCheckItem'], ofDevices),
      indexAccess(data.devices, 'byRollout'),
      indexAccess(data.devices, 'bySite'),
      // Places, brakes, limits; the rollout with its plan, counts and waits.
      tableAccess(data.directory, ['GetItem', 'BatchGetItem', 'Query']),
      tableAccess(data.directory, ['PutItem', 'UpdateItem', 'DeleteItem'], ofRollouts),
      answers,
    ];
    const connections = `arn:${this.partition}:iot:${this.region}:${this.account}:client/d-*`;
    const wakeUp = allow(['iot:SendDirectMessage'], [connections], { StringLike: { 'iot:Topic': 'wardline/*/wake' } });
    const wakesAny = { [connections]: 'Wakes whichever device may go on; the topic is limited by a condition.' };

    this.changeFailures = deadLetterQueue(this, 'ChangeFailures', `${prefix}-rollout-change-failures`, key);
    const progressTimeout = Duration.minutes(1);
    this.changes = workQueue(this, 'ChangeQueue', {
      name: `${prefix}-rollout-changes`,
      key,
      visibilityTimeout: Duration.seconds(progressTimeout.toSeconds() * 6),
      attempts: 10,
      deadLetters: this.changeFailures,
    });
    const progress = new WardlineFunction(this, 'RolloutProgress', {
      ...defaults,
      name: 'rollout-progress',
      description: 'Drives rollouts on by results of devices: counts, judges waves, asks the next devices',
      invocation: { kind: 'polled' },
      reservedConcurrency: rolloutConcurrency.progress,
      memoryMegabytes: 512,
      timeout: progressTimeout,
      environment: { ...tables, ...interlock },
      statements: [consumeQueue(this.changes), ...engine, wakeUp],
      wildcards: wakesAny,
    });
    readQueue(progress, this.changes, {
      size: 100,
      window: Duration.seconds(1),
      concurrency: rolloutConcurrency.progress,
    });

    this.tickFailures = failureQueue(this, 'TickFailures', `${prefix}-rollout-tick-failures`, key);
    const tick = new WardlineFunction(this, 'RolloutTick', {
      ...defaults,
      name: 'rollout-tick',
      description:
        'Drives rollouts on by the clock: deadlines, windows, bakes, and what a lost message would have brought',
      invocation: { kind: 'asynchronous', failures: this.tickFailures, maxAge: Duration.hours(1) },
      reservedConcurrency: rolloutConcurrency.tick,
      memoryMegabytes: 512,
      timeout: Duration.minutes(5),
      environment: { ...tables, ...bucket, ...interlock, ROLLOUT_MACHINE: machineArn(rolloutName) },
      statements: [
        ...engine,
        ...readPlans,
        wakeUp,
        // A start that ended between the table and the state machine.
        allow(['states:StartExecution'], [machineArn(rolloutName)]),
      ],
      wildcards: { ...wakesAny, ...eachPlan },
    });
    const eachMinute = new FunctionSchedule(this, 'RolloutTickSchedule', {
      name: `${prefix}-rollout-tick`,
      description: 'Looks at the rollouts that are under way',
      function: tick,
      expression: 'rate(1 minute)',
      failures: this.tickFailures,
    });

    const group = new CfnScheduleGroup(this, 'Openings', { name: `${prefix}-rollouts` });
    const openings = `arn:${this.partition}:scheduler:${this.region}:${this.account}:schedule/${prefix}-rollouts/ro-*`;
    const step = new WardlineFunction(this, 'RolloutStep', {
      ...defaults,
      name: 'rollout-step',
      description: 'The steps of the state machines of rollouts: windows, dispatch, waits, the way back',
      invocation: { kind: 'synchronous' },
      // As many sites dispatch at the same time; others are tried again by the state machine.
      reservedConcurrency: rolloutConcurrency.step,
      memoryMegabytes: 1_024,
      timeout: Duration.minutes(1),
      environment: {
        ...tables,
        ...bucket,
        ...interlock,
        SCHEDULE_GROUP: group.ref,
        SCHEDULE_ROLE: eachMinute.role.roleArn,
        TICK_FUNCTION: tick.arn,
        TICK_FAILURES: this.tickFailures.queueArn,
      },
      statements: [
        ...engine,
        ...readPlans,
        allow(['scheduler:CreateSchedule', 'scheduler:UpdateSchedule'], [openings]),
        allow(['iam:PassRole'], [eachMinute.role.roleArn], {
          StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' },
        }),
      ],
      wildcards: {
        ...eachPlan,
        [openings]: 'Each opening of a window is a schedule of its own, in a group of their own.',
      },
    });

    const callStep = allow(['lambda:InvokeFunction'], [step.arn]);
    const executionsOf = (name: string) =>
      `arn:${this.partition}:states:${this.region}:${this.account}:execution:${name}:*`;
    /** Starts executions of a machine and waits for their end, which Step Functions learns by a rule of its own. */
    const runs = (name: string) => [
      allow(['states:StartExecution'], [machineArn(name)]),
      allow(['states:DescribeExecution', 'states:StopExecution'], [executionsOf(name)]),
      allow(
        ['events:PutTargets', 'events:PutRule', 'events:DescribeRule'],
        [
          `arn:${this.partition}:events:${this.region}:${this.account}:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule`,
        ],
      ),
    ];
    const waitsForIts = { [executionsOf(siteName)]: 'Waits for executions that it starts; their names are made then.' };
    this.siteRollout = new StandardMachine(this, 'SiteRollout', {
      name: siteName,
      definition: siteRolloutDefinition,
      substitutions: { StepFunction: step.arn },
      logs: defaults.logs,
      statements: [callStep, ...runs(siteName)],
      wildcards: waitsForIts,
    }).machine;
    this.rollout = new StandardMachine(this, 'Rollout', {
      name: rolloutName,
      definition: rolloutDefinition,
      substitutions: { StepFunction: step.arn, SiteRollout: this.siteRollout.attrArn },
      logs: defaults.logs,
      statements: [callStep, ...runs(siteName), allow(['states:StartExecution'], [machineArn(rolloutName)])],
      wildcards: waitsForIts,
    }).machine;
    new CfnOutput(this, 'RolloutMachine', { value: this.rollout.attrArn });

    this.functions = [planner, progress, tick, step];
  }
}

/** Of the Devices table: what belongs to one device. No index of serial numbers or certificates. */
const ofDevices = { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': 'DEVICE#*' } };

/** Of the Directory table: rollouts, the list of active ones, spares, and alerts. No place, brake, limit or person. */
const ofRollouts = {
  'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['ROLLOUT#*', 'ROLLOUTS', 'SPARES#*', 'ALERT#*'] },
};
