import {
  ActionAfterCompletion,
  ConflictException,
  CreateScheduleCommand,
  FlexibleTimeWindowMode,
  type SchedulerClient,
  UpdateScheduleCommand,
} from '@aws-sdk/client-scheduler';

/** A call of a function at one moment. */
export interface OneShot {
  /** The same name again moves the call. */
  readonly name: string;
  readonly description: string;
  /** Wall-clock time like `2027-03-14T22:00:00`, in `zone`. */
  readonly at: string;
  /** IANA zone. */
  readonly zone: string;
  /** The event of the function. */
  readonly input: object;
}

/** Has a function called once, at a time to come. */
export type ScheduleOnce = (call: OneShot) => Promise<void>;

/** Where one-shot schedules are made, and what they call. All but the group are ARNs. */
export interface OneShotTarget {
  readonly group: string;
  readonly functionArn: string;
  /** The role with which Scheduler calls it. */
  readonly roleArn: string;
  /** Keeps calls that could not be handed over. */
  readonly deadLetterArn: string;
}

/** One-shot schedules of EventBridge Scheduler, which vanish once they have fired. */
export const oneShotScheduler =
  (client: SchedulerClient, target: OneShotTarget): ScheduleOnce =>
  async ({ name, description, at, zone, input }) => {
    const schedule = {
      Name: name,
      GroupName: target.group,
      Description: description,
      ScheduleExpression: `at(${at})`,
      ScheduleExpressionTimezone: zone,
      FlexibleTimeWindow: { Mode: FlexibleTimeWindowMode.OFF },
      ActionAfterCompletion: ActionAfterCompletion.DELETE,
      Target: {
        Arn: target.functionArn,
        RoleArn: target.roleArn,
        Input: JSON.stringify(input),
        RetryPolicy: { MaximumEventAgeInSeconds: 3_600, MaximumRetryAttempts: 10 },
        DeadLetterConfig: { Arn: target.deadLetterArn },
      },
    };
    try {
      await client.send(new CreateScheduleCommand(schedule));
    } catch (error) {
      if (!(error instanceof ConflictException)) throw error;
      await client.send(new UpdateScheduleCommand(schedule));
    }
  };
