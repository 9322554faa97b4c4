import { Stack } from 'aws-cdk-lib';
import { ManagedPolicy, type PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnTopicRule } from 'aws-cdk-lib/aws-iot';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { acknowledgeWildcards } from './acknowledge.ts';
import { allow } from './allow.ts';
import type { WardlineFunction } from './wardline-function.ts';

/** What the topic rules deliver to. */
export interface DeviceMessagesProps {
  readonly checkIn: WardlineFunction;
  readonly presence: IQueue;
  /** Keeps what a rule could not deliver. */
  readonly failures: IQueue;
}

/**
 * The topic rules: check-ins to their function, presence events to a queue. Their names are part of the protocol
 * (a device may publish to `$aws/rules/wardline_checkin/...`), so they do not follow the deployment's name.
 */
export class DeviceMessages extends Construct {
  constructor(scope: Construct, id: string, props: DeviceMessagesProps) {
    super(scope, id);
    const role = serviceRole(this, 'RuleRole', 'Topic rules: deliver presence events and what could not be delivered', [
      allow(['sqs:SendMessage'], [props.presence.queueArn, props.failures.queueArn]),
    ]);
    const errorAction = { sqs: { queueUrl: props.failures.queueUrl, roleArn: role.roleArn, useBase64: false } };

    const checkInRule = new CfnTopicRule(this, 'CheckInRule', {
      ruleName: 'wardline_checkin',
      topicRulePayload: {
        description: 'Check-ins. The payload stays raw, so that malformed JSON is answered like any other mistake.',
        awsIotSqlVersion: '2016-03-23',
        sql:
          "SELECT encode(*, 'base64') AS payload, clientid() AS clientId, topic(2) AS thing, principal() AS principal, " +
          "timestamp() AS receivedAt FROM 'wardline/+/checkin'",
        actions: [{ lambda: { functionArn: props.checkIn.arn } }],
        errorAction,
        ruleDisabled: false,
      },
    });
    props.checkIn.permit('CheckInRule', 'iot.amazonaws.com', checkInRule.attrArn);

    new CfnTopicRule(this, 'PresenceRule', {
      ruleName: 'wardline_presence',
      topicRulePayload: {
        description: 'A device connected or disconnected.',
        awsIotSqlVersion: '2016-03-23',
        sql: "SELECT * FROM '$aws/events/presence/+/+'",
        actions: [{ sqs: { queueUrl: props.presence.queueUrl, roleArn: role.roleArn, useBase64: false } }],
        errorAction,
        ruleDisabled: false,
      },
    });
  }
}

/** A role for AWS IoT acting in this account, with exactly these statements. */
export function serviceRole(
  scope: Construct,
  id: string,
  description: string,
  statements: readonly PolicyStatement[],
  wildcards: Readonly<Record<string, string>> = {},
): Role {
  const policy = new ManagedPolicy(scope, `${id}Policy`, { description, statements: [...statements] });
  acknowledgeWildcards(policy, wildcards);
  return new Role(scope, id, {
    description,
    assumedBy: new ServicePrincipal('iot.amazonaws.com', {
      conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } },
    }),
    managedPolicies: [policy],
  });
}
