import { App, Stack } from 'aws-cdk-lib';
import { AttributeType, TableEncryptionV2, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { ManagedPolicy } from 'aws-cdk-lib/aws-iam';
import { CfnPolicy, CfnTopicRule } from 'aws-cdk-lib/aws-iot';
import { Key } from 'aws-cdk-lib/aws-kms';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import { AwsSolutionsChecks } from 'cdk-nag';
import { rules, WardlineChecks } from '../../infra/checks/wardline-checks.ts';
import { acknowledge, acknowledgeWildcards } from '../../infra/constructs/acknowledge.ts';
import { allow } from '../../infra/constructs/allow.ts';

/** What our checks find in a stack that `fill` fills. */
function findings(fill: (stack: Stack) => void): string[] {
  // CDK cannot tell how a table's replicas are encrypted where the region is open.
  const stack = new Stack(new App(), 'Sample', { env: { region: 'us-east-1' } });
  fill(stack);
  return new WardlineChecks().validateScope(stack).violations.map((violation) => violation.ruleName);
}

const own = 'arn:aws:iot:us-east-1:1:topic/wardline/$' + '{iot:Connection.Thing.ThingName}/checkin';

function policy(action: string | string[], resource: string | string[]) {
  return (stack: Stack) =>
    new CfnPolicy(stack, 'Policy', {
      policyDocument: {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: action, Resource: resource }],
      },
    });
}

describe('AWS IoT policies', () => {
  test('a resource with the thing variable passes', () => {
    expect(findings(policy('iot:Publish', own))).toEqual([]);
  });

  test.each([
    ['every action', 'iot:*', own, ['Wardline-IoTPolicyWildcard[Action::iot:*]']],
    [
      'any resource',
      'iot:Publish',
      '*',
      ['Wardline-IoTPolicyWildcard[Resource::*]', 'Wardline-IoTPolicyThingVariable'],
    ],
    [
      'a pattern behind the variable',
      'iot:Publish',
      [own, `${own}/*`],
      [`Wardline-IoTPolicyWildcard[Resource::${own}/*]`],
    ],
    [
      'a wildcard of MQTT',
      'iot:Subscribe',
      own.replace('topic/', 'topicfilter/').replace('checkin', '#'),
      [`Wardline-IoTPolicyWildcard[Resource::${own.replace('topic/', 'topicfilter/').replace('checkin', '#')}]`],
    ],
    [
      'a topic that all share',
      'iot:Receive',
      'arn:aws:iot:us-east-1:1:topic/wardline/all',
      ['Wardline-IoTPolicyThingVariable'],
    ],
  ])('%s is found', (_name, action, resource, expected) => {
    expect(findings(policy(action, resource))).toEqual(expected);
  });

  test('what is denied may be a pattern', () => {
    const denied = (stack: Stack) =>
      new CfnPolicy(stack, 'Policy', {
        policyDocument: {
          Statement: [
            { Effect: 'Deny', Action: 'iot:*', Resource: '*' },
            { Effect: 'Allow', Action: 'iot:Publish', Resource: own },
          ],
        },
      });
    expect(findings(denied)).toEqual([]);
  });
});

test('a topic rule without an error action is found', () => {
  const rule = (errorAction: object) => (stack: Stack) =>
    new CfnTopicRule(stack, 'Rule', {
      topicRulePayload: { sql: "SELECT * FROM 'a'", actions: [{ lambda: {} }], ...errorAction },
    });
  expect(findings(rule({}))).toEqual(['Wardline-TopicRuleErrorAction']);
  expect(findings(rule({ errorAction: { sqs: { queueUrl: 'u', roleArn: 'r' } } }))).toEqual([]);
});

describe('tables', () => {
  const partitionKey = { name: 'pk', type: AttributeType.STRING };

  test('a table without recovery, protection and key of our own is found three times', () => {
    expect(findings((stack) => new TableV2(stack, 'Table', { partitionKey }))).toEqual([
      'Wardline-TableRecovery',
      'Wardline-TableDeletionProtection',
      'Wardline-TableCustomerKey',
    ]);
  });

  test('a table with all three passes', () => {
    const whole = (stack: Stack) =>
      new TableV2(stack, 'Table', {
        partitionKey,
        deletionProtection: true,
        pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
        encryption: TableEncryptionV2.customerManagedKey(new Key(stack, 'Key')),
      });
    expect(findings(whole)).toEqual([]);
  });

  test('a replica without protection is found', () => {
    const stack = new Stack(new App(), 'Sample', { env: { region: 'us-east-1' } });
    new TableV2(stack, 'Table', {
      partitionKey,
      deletionProtection: true,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      replicas: [{ region: 'us-west-2', deletionProtection: false }],
    });
    const found = new WardlineChecks().validateScope(stack).violations.map((violation) => violation.ruleName);
    expect(found).toContain('Wardline-TableDeletionProtection');
    expect(found).not.toContain('Wardline-TableRecovery');
  });
});

test('a schedule without a dead-letter queue is found', () => {
  const schedule = (target: object) => (stack: Stack) =>
    new CfnSchedule(stack, 'Schedule', {
      flexibleTimeWindow: { mode: 'OFF' },
      scheduleExpression: 'rate(1 hour)',
      target: { arn: 'a', roleArn: 'r', ...target },
    });
  expect(findings(schedule({}))).toEqual(['Wardline-ScheduleDeadLetters']);
  expect(findings(schedule({ deadLetterConfig: { arn: 'q' } }))).toEqual([]);
});

test('an acknowledgement takes away the one finding that it names', () => {
  const acknowledged = (stack: Stack) =>
    acknowledge(policy('iot:*', '*')(stack), {
      'Wardline-IoTPolicyWildcard[Action::iot:*]': 'a sample',
      'Wardline-IoTPolicyThingVariable': 'a sample',
    });
  expect(findings(acknowledged)).toEqual(['Wardline-IoTPolicyWildcard[Resource::*]']);
});

test('wildcards are acknowledged in the form that cdk-nag prints, with pseudo parameters and imports', () => {
  const stack = new Stack(new App(), 'Sample');
  const key = new Key(stack, 'Key');
  const arns = [`arn:${stack.partition}:iot:${stack.region}:${stack.account}:client/d-*`, `${key.keyArn}/*`];
  const sample = new ManagedPolicy(stack, 'Policy', { statements: [allow(['iot:Publish'], arns)] });
  const found = () => new AwsSolutionsChecks().validateScope(sample).violations.length;
  expect(found()).toBe(2);
  acknowledgeWildcards(sample, Object.fromEntries(arns.map((arn) => [arn, 'a sample'])));
  expect(found()).toBe(0);
});

test('every rule says what it found and why it matters', () => {
  for (const rule of rules)
    expect([rule.id, rule.info.length > 20, rule.explanation.length > 20]).toEqual([rule.id, true, true]);
});
