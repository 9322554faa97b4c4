import type { Json } from '../../../../local/cloud.ts';
import { Roles } from '../../../../local/iam/roles.ts';

const role = 'arn:aws:iam::000000000000:role/Checkin';
const key = 'arn:aws:kms:us-east-1:000000000000:key/k';
const principal = { roleArn: role, functionName: 'checkin' };
const trust: Json = {
  Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'lambda.amazonaws.com' } }],
};

function roles(...statements: Json[]): Roles {
  const result = new Roles('000000000000', 'us-east-1');
  result.define(role, trust);
  result.attach('Checkin', { Statement: statements });
  return result;
}

test('what a role is allowed passes, anything else is denied with the reason', () => {
  const given = roles({ Effect: 'Allow', Action: 'sqs:SendMessage', Resource: '*' });

  expect(() => given.authorize(principal, { action: 'sqs:SendMessage', resource: 'arn:q' })).not.toThrow();
  expect(() => given.authorize(principal, { action: 'sqs:DeleteMessage', resource: 'arn:q' })).toThrow(
    'User: arn:aws:sts::000000000000:assumed-role/Checkin/checkin is not authorized to perform: sqs:DeleteMessage on resource: arn:q because no identity-based policy allows the sqs:DeleteMessage action',
  );
});

test('a policy that comes later counts, also for a call that was decided before', () => {
  const given = roles();
  const permission = { action: 'sqs:SendMessage', resource: 'arn:q' };
  expect(() => given.authorize(principal, permission)).toThrow('not authorized');

  given.attach(role, { Statement: { Effect: 'Allow', Action: 'sqs:*', Resource: '*' } });

  expect(() => given.authorize(principal, permission)).not.toThrow();
});

test('conditions are looked at for every call, never remembered', () => {
  const given = roles({
    Effect: 'Allow',
    Action: 'iot:Publish',
    Resource: '*',
    Condition: { StringLike: { 'iot:Topic': 'a/*' } },
  });
  const permission = (topic: string) => ({ action: 'iot:Publish', resource: 'arn:t', context: { 'iot:topic': topic } });

  expect(() => given.authorize(principal, permission('a/1'))).not.toThrow();
  expect(() => given.authorize(principal, permission('b/1'))).toThrow('not authorized');
});

describe('key policies', () => {
  const throughSqs = {
    Effect: 'Allow',
    Principal: { AWS: '*' },
    Action: 'kms:GenerateDataKey*',
    Resource: '*',
    Condition: {
      StringEquals: { 'kms:CallerAccount': '000000000000', 'kms:ViaService': 'sqs.us-east-1.amazonaws.com' },
    },
  };
  const delegated = {
    Effect: 'Allow',
    Principal: { AWS: 'arn:aws:iam::000000000000:root' },
    Action: 'kms:*',
    Resource: '*',
  };
  const direct = { action: 'kms:GenerateDataKey', resource: key };
  const viaSqs = { ...direct, context: { 'kms:viaservice': 'sqs.us-east-1.amazonaws.com' } };

  test('through the service that the key policy names nobody needs a permission of their own', () => {
    const given = roles();
    given.attachToResource(key, { Statement: [throughSqs, delegated] });

    expect(() => given.authorize(principal, viaSqs)).not.toThrow();
    expect(() => given.authorize(principal, direct)).toThrow('not authorized');
  });

  test('a permission of the role counts only when the key policy leaves it to roles', () => {
    const given = roles({ Effect: 'Allow', Action: 'kms:*', Resource: key });
    given.attachToResource(key, { Statement: [throughSqs] });
    expect(() => given.authorize(principal, direct)).toThrow('not authorized');

    given.attachToResource(key, { Statement: [delegated] });
    expect(() => given.authorize(principal, direct)).not.toThrow();
  });

  test('a deny in the policy of a resource wins', () => {
    const given = roles({ Effect: 'Allow', Action: '*', Resource: '*' });
    given.attachToResource('arn:aws:s3:::audit', {
      Statement: [{ Effect: 'Deny', Principal: '*', Action: 's3:DeleteObject', Resource: '*' }],
    });

    expect(() =>
      given.authorize(principal, { action: 's3:DeleteObject', resource: 'arn:aws:s3:::audit/2026/1' }),
    ).toThrow('explicit deny');
    expect(() =>
      given.authorize(principal, { action: 's3:GetObject', resource: 'arn:aws:s3:::audit/2026/1' }),
    ).not.toThrow();
  });
});

test('a role must trust the service that takes it', () => {
  const given = roles();

  expect(() => given.assertTrusts(role, 'lambda.amazonaws.com')).not.toThrow();
  expect(() => given.assertTrusts(role, 'iot.amazonaws.com')).toThrow('cannot be assumed');
});

test('the root may do everything', () => {
  const given = roles();

  expect(() => given.authorize(given.root, { action: 'dynamodb:DeleteTable', resource: '*' })).not.toThrow();
});
