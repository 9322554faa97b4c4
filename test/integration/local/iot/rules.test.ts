import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Json } from '../../../../local/cloud.ts';
import { type Harness, OPEN_POLICY, received, startIot } from './harness.ts';

const RULE_ROLE = 'arn:aws:iam::000000000000:role/rule';
const sqs = (name: string): Json => ({ Sqs: { QueueUrl: `https://sqs/000000000000/${name}`, RoleArn: RULE_ROLE } });
const queue = (name: string) => `arn:aws:sqs:us-east-1:000000000000:${name}`;

describe('Topic rules', () => {
  let iot: Harness;
  beforeEach(async () => {
    iot = await startIot();
    await iot.resource('AWS::IoT::Policy', 'Open', { PolicyName: 'open', PolicyDocument: OPEN_POLICY });
  });
  afterEach(() => iot.stop());

  const rule = (name: string, sql: string, actions: Json[], more: Record<string, Json> = {}) =>
    iot.resource('AWS::IoT::TopicRule', name, {
      RuleName: name,
      TopicRulePayload: { AwsIotSqlVersion: '2016-03-23', Sql: sql, Actions: actions, ...more },
    });
  const publish = (topic: string, payload: string | Buffer) =>
    iot.iot.rules.handle({ topic, payload: Buffer.from(payload), clientId: 'c', principal: 'p' });

  test('WHERE, aliases and several rules for one message', async () => {
    await rule(
      'hot',
      "SELECT temperature AS t, topic(2) AS room FROM 'rooms/+' WHERE temperature > 30 AND NOT broken",
      [sqs('hot')],
    );
    await rule('all', "SELECT *, clientid() AS by FROM 'rooms/#'", [sqs('all')]);
    await rule('off', "SELECT * FROM '#'", [sqs('off')], { RuleDisabled: true });
    await publish('rooms/1', '{"temperature":31,"broken":false}');
    await publish('rooms/2', '{"temperature":29,"broken":false}');
    await publish('other', '{}');
    expect(iot.deliveries).toEqual([
      { targetArn: queue('hot'), message: '{"t":31,"room":"1"}' },
      { targetArn: queue('all'), message: '{"temperature":31,"broken":false,"by":"c"}' },
      { targetArn: queue('all'), message: '{"temperature":29,"broken":false,"by":"c"}' },
    ]);
  });

  test('a payload that is not JSON goes through whole', async () => {
    await rule('raw', "SELECT * FROM 'raw'", [
      { Sqs: { QueueUrl: 'https://sqs/1/raw', RoleArn: RULE_ROLE, UseBase64: true } },
    ]);
    await publish('raw', Buffer.from([0xff, 0x00]));
    expect(iot.deliveries).toEqual([{ targetArn: queue('raw'), message: '/wA=' }]);
  });

  test('SNS and republish, each with its role', async () => {
    await rule('alert', "SELECT * FROM 'alert'", [
      { Sns: { TargetArn: 'arn:aws:sns:us-east-1:000000000000:alerts', RoleArn: RULE_ROLE, MessageFormat: 'RAW' } },
      { Republish: { Topic: `copies/$\{topic()}/$\{clientid()}`, RoleArn: RULE_ROLE, Qos: 1 } },
    ]);
    const client = await iot.connect(await iot.device({ thing: 'd-1', policies: ['open'] }), { clientId: 'd-1' });
    const messages = received(client);
    await client.subscribeAsync('copies/#', { qos: 1 });
    await client.publishAsync('alert', '{"a":1}', { qos: 1 });
    await iot.eventually('the copy', () => messages.length === 1);
    expect(messages[0]).toEqual({ topic: 'copies/alert/d-1', payload: '{"a":1}', qos: 1 });
    expect(iot.deliveries).toEqual([{ targetArn: 'arn:aws:sns:us-east-1:000000000000:alerts', message: '{"a":1}' }]);
    expect(iot.checks).toContain('sns:Publish arn:aws:sns:us-east-1:000000000000:alerts');
    expect(iot.checks).toContain('iot:Publish arn:aws:iot:us-east-1:000000000000:topic/copies/alert/d-1');
  });

  test('what an action may not do goes to the error action, in AWS form', async () => {
    const functionArn = 'arn:aws:lambda:us-east-1:000000000000:function:f';
    await rule('guarded', "SELECT * FROM 'in'", [{ Lambda: { FunctionArn: functionArn } }], {
      ErrorAction: sqs('failed'),
    });
    iot.denied.add('invoke by iot.amazonaws.com');
    await publish('in', '{"x":1}');
    expect(iot.invocations).toEqual([]);
    expect(JSON.parse(String(iot.deliveries[0]?.message))).toEqual({
      ruleName: 'guarded',
      topic: 'in',
      cloudwatchTraceId: expect.any(String),
      clientId: 'c',
      base64OriginalPayload: Buffer.from('{"x":1}').toString('base64'),
      failures: [
        {
          failedAction: 'LambdaAction',
          failedResource: functionArn,
          errorMessage: 'not authorized to perform invoke by iot.amazonaws.com',
        },
      ],
    });
    iot.denied.add('sqs:SendMessage');
    await publish('in', '{}');
    expect(iot.warnings.at(-1)).toContain('its error action failed too');
  });

  test('a rule that is not understood stops the start', async () => {
    const refused = async (sql: string, problem: string, actions: Json[] = [sqs('q')], more = {}) =>
      expect(rule('bad', sql, actions, more)).rejects.toThrow(problem);
    await refused("SELECT CASE a WHEN 1 THEN 2 END FROM 'x'", 'Topic rule bad: CASE is not emulated');
    await refused("SELECT aws_lambda('x') AS y FROM 'x'", 'Function aws_lambda is not emulated');
    await refused("SELECT encode(*, 'hex') AS y FROM 'x'", "only 'base64'");
    await refused("SELECT topic(2) FROM 'x'", 'needs a name');
    await refused('SELECT * FROM x', 'topic filter in quotes');
    await refused("SELECT * FROM 'x' LIMIT 1", '"LIMIT" is not emulated');
    await refused("SELECT * FROM 'x'", 'S3 of an action is not emulated', [{ S3: {} }]);
    await refused("SELECT * FROM 'x'", 'BatchMode of Lambda is not emulated', [
      { Lambda: { FunctionArn: 'f', BatchMode: true } },
    ]);
    await refused("SELECT * FROM 'x'", 'AwsIotSqlVersion', [], { AwsIotSqlVersion: '2015-10-08' });
  });

  test('a payload nested deeper than the stack harms nobody', async () => {
    await rule('deep', "SELECT * FROM 'deep' WHERE a <> b", [sqs('deep')]);
    await rule('copy', "SELECT a FROM 'deep'", [sqs('copy')]);
    const nested = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
    await publish('deep', `{"a":${nested},"b":${nested}}`);
    expect(iot.warnings.length).toBeGreaterThan(0);
    await publish('deep', '{"a":1,"b":2}');
    expect(iot.deliveries.slice(-2)).toEqual([
      { targetArn: queue('deep'), message: '{"a":1,"b":2}' },
      { targetArn: queue('copy'), message: '{"a":1}' },
    ]);
  });

  test('an unknown Basic Ingest rule is said, and loses nothing else', async () => {
    await publish('$aws/rules/nobody/x', '{}');
    expect(iot.warnings).toEqual(['Basic Ingest: there is no topic rule nobody']);
  });
});
