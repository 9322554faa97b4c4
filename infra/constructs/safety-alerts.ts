import { CfnOutput, Duration, Stack } from 'aws-cdk-lib';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Settings } from '../settings.ts';
import type { DataStack } from '../stacks/data.ts';
import { acknowledge } from './acknowledge.ts';
import { allow } from './allow.ts';
import { consumeStream, readStream } from './event-sources.ts';
import { FunctionSchedule } from './function-schedule.ts';
import { failureQueue } from './queue.ts';
import { indexAccess, tableAccess } from './table-access.ts';
import { type FunctionDefaults, WardlineFunction } from './wardline-function.ts';

/** What the alerts are made from. */
export interface SafetyAlertsProps {
  readonly settings: Settings;
  readonly data: DataStack;
  readonly functions: FunctionDefaults;
}

/**
 * What people must hear of at once: the brake, break-glass, requests for approval, limits that were reached. Functions
 * write an alert into the Directory table together with what it tells of; from its stream it is sent to a topic.
 */
export class SafetyAlerts extends Construct {
  readonly topic: Topic;
  readonly sender: WardlineFunction;
  readonly reviews: WardlineFunction;
  /** Alerts that could not be sent within a day. */
  readonly failures: Queue;

  constructor(scope: Construct, id: string, { settings, data, functions }: SafetyAlertsProps) {
    super(scope, id);
    this.topic = new Topic(this, 'Topic', {
      topicName: `${settings.name}-safety-alerts`,
      displayName: 'Wardline safety alerts',
      masterKey: data.operationsKey,
      enforceSSL: true,
    });
    if (settings.alarmEmail !== undefined) {
      const subscription = this.topic.addSubscription(new EmailSubscription(settings.alarmEmail));
      acknowledge(subscription, {
        'Serverless-SNSRedrivePolicy':
          'SNS keeps no dead letters of e-mail; every alert stays in the Directory table for 30 days and in the log.',
      });
    }
    const streamArn = data.directory.tableStreamArn;
    if (streamArn === undefined) throw new Error('The Directory table has no stream');
    this.failures = failureQueue(this, 'AlertFailures', `${settings.name}-alert-failures`, data.operationsKey);
    this.sender = new WardlineFunction(this, 'SendAlerts', {
      ...functions,
      name: 'send-alerts',
      description: 'Sends safety alerts to their topic',
      invocation: { kind: 'polled' },
      reservedConcurrency: 5,
      timeout: Duration.seconds(30),
      environment: { ALERTS_TOPIC: this.topic.topicArn },
      statements: [...consumeStream(streamArn, this.failures), allow(['sns:Publish'], [this.topic.topicArn])],
    });
    readStream(this.sender, {
      streamArn,
      batchSize: 10,
      patterns: [{ eventName: ['INSERT'], dynamodb: { Keys: { sk: { S: ['ALERT'] } } } }],
      maxAge: Duration.hours(24),
      failures: this.failures,
    });
    this.reviews = new WardlineFunction(this, 'WatchReviews', {
      ...functions,
      name: 'watch-reviews',
      description: 'Raises alerts for emergencies that nobody reviewed in time',
      invocation: { kind: 'asynchronous', failures: this.failures, maxAge: Duration.minutes(30) },
      reservedConcurrency: 1,
      timeout: Duration.minutes(1),
      environment: { DIRECTORY_TABLE: data.directory.tableName },
      statements: [indexAccess(data.directory, 'byKind'), tableAccess(data.directory, ['PutItem'])],
    });
    new FunctionSchedule(this, 'WatchReviewsSchedule', {
      name: `${settings.name}-watch-reviews`,
      description: 'Looks for overdue reviews',
      function: this.reviews,
      expression: 'rate(1 hour)',
      failures: this.failures,
    });
    new CfnOutput(Stack.of(this), 'SafetyAlertTopic', { value: this.topic.topicArn });
  }
}
