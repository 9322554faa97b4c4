import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MqttClient } from 'mqtt';
import { DEVICE_POLICY, type Harness, type Identity, startIot } from '../../../integration/local/iot/harness.ts';

const DEVICES = 1000;

let iot: Harness;
const identities: Identity[] = [];
const clients: MqttClient[] = [];

beforeAll(async () => {
  iot = await startIot();
  await iot.resource('AWS::IoT::Policy', 'Device', { PolicyName: 'device', PolicyDocument: DEVICE_POLICY });
  await iot.resource('AWS::IoT::TopicRule', 'CheckIn', {
    RuleName: 'wardline_checkin',
    TopicRulePayload: {
      AwsIotSqlVersion: '2016-03-23',
      Sql: "SELECT encode(*, 'base64') AS payload, clientid() AS clientId, topic(2) AS thing FROM 'wardline/+/checkin'",
      Actions: [{ Lambda: { FunctionArn: 'arn:aws:lambda:us-east-1:000000000000:function:check-in' } }],
    },
  });
  for (let n = 0; n < DEVICES; n += 1) identities.push(await iot.device({ thing: `d-${n}`, policies: ['device'] }));
}, 300_000);
afterAll(() => iot.stop(), 300_000);

async function inBatches(size: number, run: (n: number) => Promise<unknown>): Promise<void> {
  for (let start = 0; start < DEVICES; start += size) {
    await Promise.all(Array.from({ length: Math.min(size, DEVICES - start) }, (_, n) => run(start + n)));
  }
}

test('1,000 devices connect, check in and are woken, as fast as a fleet needs', async () => {
  const connecting = performance.now();
  await inBatches(50, async (n) => {
    const identity = identities[n];
    if (identity === undefined) throw new Error(`No device ${n}`);
    const client = await iot.connect(identity, { clientId: `d-${n}` });
    clients[n] = client;
    await client.subscribeAsync([`wardline/d-${n}/checkin/accepted`, `wardline/d-${n}/wake`], { qos: 1 });
  });
  const connected = performance.now() - connecting;

  const payload = JSON.stringify({ at: new Date(0).toISOString(), posture: 'x'.repeat(800) });
  const checkingIn = performance.now();
  for (let round = 0; round < 5; round += 1) {
    await inBatches(
      200,
      (n) => clients[n]?.publishAsync(`wardline/d-${n}/checkin`, payload, { qos: 1 }) ?? Promise.resolve(),
    );
  }
  const checkIns = (5 * DEVICES) / ((performance.now() - checkingIn) / 1000);
  expect(iot.invocations).toHaveLength(5 * DEVICES);

  const latencies: number[] = [];
  await inBatches(50, async (n) => {
    const started = performance.now();
    await iot.call('data', 'POST', `/connections/d-${n}/messages?topic=wardline%2Fd-${n}%2Fwake&confirmation=true`, {
      body: { v: 1, n },
    });
    latencies.push(performance.now() - started);
  });
  latencies.sort((left, right) => left - right);
  const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? Number.POSITIVE_INFINITY;
  console.log(
    `connected in ${Math.round(connected)} ms, ${Math.round(checkIns)} check-ins/s, wake-up p99 ${Math.round(p99)} ms`,
  );
  // What a thousand devices need that check in every 10 seconds, clients included; what is printed is what this machine does.
  expect(connected).toBeLessThan(120_000);
  expect(checkIns).toBeGreaterThan(100);
  expect(latencies[Math.floor(latencies.length / 2)]).toBeLessThan(1_000);
}, 300_000);
