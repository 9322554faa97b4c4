import { describe, expect, test } from '@jest/globals';
import { DEVICE_POLICY, type Harness, startIot } from './harness.ts';

async function template(iot: Harness): Promise<void> {
  await iot.resource('AWS::IoT::Policy', 'Device', { PolicyName: 'device', PolicyDocument: DEVICE_POLICY });
  await iot.resource('AWS::IoT::TopicRule', 'Presence', {
    RuleName: 'presence',
    TopicRulePayload: {
      AwsIotSqlVersion: '2016-03-23',
      Sql: "SELECT eventType, versionNumber, disconnectReason FROM '$aws/events/presence/+/+'",
      Actions: [{ Sqs: { QueueUrl: 'https://sqs/0/presence', RoleArn: 'arn:aws:iam::000000000000:role/rule' } }],
    },
  });
}

describe('Restart with the same data', () => {
  test('devices connect as before, revoked ones do not, and who was cut off is told', async () => {
    const first = await startIot();
    await template(first);
    const kept = await first.device({ thing: 'd-kept', policies: ['device'] });
    const revoked = await first.device({ thing: 'd-gone', policies: ['device'] });
    await first.call('control', 'PUT', `/certificates/${revoked.id}?newStatus=REVOKED`);
    await first.connect(kept, { clientId: 'd-kept' });
    await first.eventually('connected', () => first.deliveries.length === 1);
    await first.stop();
    expect(first.deliveries).toHaveLength(1);

    const second = await startIot({ store: first.store, resources: template });
    await second.eventually('the disconnection', () => second.deliveries.length === 1);
    expect(JSON.parse(String(second.deliveries[0]?.message))).toEqual({
      eventType: 'disconnected',
      versionNumber: 0,
      disconnectReason: 'SERVER_INITIATED_DISCONNECT',
    });
    const client = await second.connect(kept, { clientId: 'd-kept' });
    await client.publishAsync('wardline/d-kept/checkin', '{}', { qos: 1 });
    expect(JSON.parse(String(second.deliveries[1]?.message))).toMatchObject({
      eventType: 'connected',
      versionNumber: 1,
    });
    await expect(second.connect(revoked, { clientId: 'd-gone' })).rejects.toThrow();
    expect([...second.iot.registry.thingsOf(kept.id)]).toEqual([['d-kept', 'EXCLUSIVE_THING']]);
    await second.stop();
  });
});
