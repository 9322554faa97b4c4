import { Alarm, ComparisonOperator, type IMetric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';

/** The runbooks: each is a section of `docs/operations.md` whose heading is this anchor. */
export type Runbook =
  | 'check-in-errors'
  | 'command-age'
  | 'dead-letters'
  | 'stream-lag'
  | 'queue-lag'
  | 'wake-up-checks'
  | 'function-errors'
  | 'function-throttles'
  | 'api-client-errors'
  | 'api-server-errors'
  | 'table-throttles'
  | 'rule-failures'
  | 'reviews-overdue'
  | 'audit-tampered'
  | 'audit-days-open'
  | 'forwards-left'
  | 'rollout-machines'
  | 'rollout-tick-silent';

/** An alarm and what to do about it. */
export interface RunbookAlarmProps {
  readonly name: string;
  /** What it means, one sentence. */
  readonly meaning: string;
  readonly runbook: Runbook;
  readonly metric: IMetric;
  /** Alarm when the metric is greater than this. */
  readonly above: number;
  /** How many periods of the metric must be above. @default 1 */
  readonly periods?: number;
  /** Out of how many. @default `periods` */
  readonly outOf?: number;
  /** Alarm when the metric is not greater than `above`, or says nothing: for what must happen again and again. */
  readonly silence?: true;
  readonly topic: ITopic;
}

/** An alarm that tells on-call what it means and where its runbook is, when it begins and when it ends. */
export class RunbookAlarm extends Alarm {
  constructor(scope: Construct, id: string, props: RunbookAlarmProps) {
    const periods = props.periods ?? 1;
    super(scope, id, {
      alarmName: props.name,
      alarmDescription: `${props.meaning} Runbook: docs/operations.md#${props.runbook}`,
      metric: props.metric,
      threshold: props.above,
      comparisonOperator: props.silence
        ? ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD
        : ComparisonOperator.GREATER_THAN_THRESHOLD,
      datapointsToAlarm: periods,
      evaluationPeriods: props.outOf ?? periods,
      // No traffic is no failure, unless silence is what the alarm is about.
      treatMissingData: props.silence ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
    });
    const action = new SnsAction(props.topic);
    this.addAlarmAction(action);
    this.addOkAction(action);
  }
}
