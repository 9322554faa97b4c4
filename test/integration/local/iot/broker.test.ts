import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connect } from 'mqtt';
import { DEVICE_POLICY, type Harness, makeIdentity, OPEN_POLICY, received, startIot } from './harness.ts';

const PRESENCE_QUEUE = 'arn:aws:sqs:us-east-1:000000000000:presence';

/** Presence events of one client, in order. */
function events(iot: Harness, clientId: string): Record<string, unknown>[] {
  return iot.deliveries
    .filter(({ targetArn }) => targetArn === PRESENCE_QUEUE)
    .map(({ message }) => JSON.parse(String(message)) as Record<string, unknown>)
    .filter((event) => event['clientId'] === clientId);
}

describe('Message broker', () => {
  let iot: Harness;

  beforeAll(async () => {
    iot = await startIot();
    await iot.resource('AWS::IoT::Policy', 'Device', { PolicyName: 'device', PolicyDocument: DEVICE_POLICY });
    await iot.resource('AWS::IoT::Policy', 'Open', { PolicyName: 'open', PolicyDocument: OPEN_POLICY });
    await iot.resource('AWS::IoT::TopicRule', 'Presence', {
      RuleName: 'presence',
      TopicRulePayload: {
        AwsIotSqlVersion: '2016-03-23',
        Sql: "SELECT * FROM '$aws/events/presence/+/+'",
        Actions: [
          { Sqs: { QueueUrl: 'https://sqs/000000000000/presence', RoleArn: 'arn:aws:iam::000000000000:role/rule' } },
        ],
      },
    });
    await iot.resource('AWS::IoT::TopicRule', 'CheckIn', {
      RuleName: 'wardline_checkin',
      TopicRulePayload: {
        AwsIotSqlVersion: '2016-03-23',
        Sql: "SELECT encode(*, 'base64') AS payload, clientid() AS clientId, topic(2) AS thing, principal() AS principal FROM 'wardline/+/checkin'",
        Actions: [{ Lambda: { FunctionArn: 'arn:aws:lambda:us-east-1:000000000000:function:check-in' } }],
      },
    });
  });
  afterAll(() => iot.stop());

  test('a device publishes and receives on its own topics', async () => {
    const identity = await iot.device({ thing: 'd-own', policies: ['device'] });
    const client = await iot.connect(identity, { clientId: 'd-own' });
    const messages = received(client);
    const [granted] = await client.subscribeAsync('wardline/d-own/checkin/accepted', { qos: 1 });
    expect(granted?.qos).toBe(1);

    await client.publishAsync('wardline/d-own/checkin', 'not json {', { qos: 1 });
    expect(iot.invocations.at(-1)).toEqual({
      functionArn: 'arn:aws:lambda:us-east-1:000000000000:function:check-in',
      payload: {
        payload: Buffer.from('not json {').toString('base64'),
        clientId: 'd-own',
        thing: 'd-own',
        principal: identity.id,
      },
    });
    expect(iot.checks).toContain(
      'invoke by iot.amazonaws.com arn:aws:lambda:us-east-1:000000000000:function:check-in for arn:aws:iot:us-east-1:000000000000:rule/wardline_checkin',
    );

    await iot.call('data', 'POST', '/topics/wardline%2Fd-own%2Fcheckin%2Faccepted?qos=1', { body: { ok: true } });
    await iot.eventually('the reply arrives', () => messages.length === 1);
    expect(messages[0]).toEqual({ topic: 'wardline/d-own/checkin/accepted', payload: '{"ok":true}', qos: 1 });
  });

  test('Basic Ingest reaches the named rule alone, with its prefix taken off', async () => {
    const identity = await iot.device({ thing: 'd-ingest', policies: ['device'] });
    const client = await iot.connect(identity, { clientId: 'd-ingest' });
    const before = iot.invocations.length;
    await client.publishAsync('$aws/rules/wardline_checkin/wardline/d-ingest/checkin', '{}', { qos: 1 });
    expect(iot.invocations.slice(before).map(({ payload }) => payload)).toEqual([
      {
        payload: Buffer.from('{}').toString('base64'),
        clientId: 'd-ingest',
        thing: 'd-ingest',
        principal: identity.id,
      },
    ]);
  });

  test('nobody connects under the id of another device', async () => {
    const identity = await iot.device({ thing: 'd-honest', policies: ['device'] });
    await iot.device({ thing: 'd-victim', policies: ['device'] });
    await expect(iot.connect(identity, { clientId: 'd-victim' })).rejects.toMatchObject({ code: 7 });
    await expect(iot.connect(identity, { clientId: '' })).rejects.toMatchObject({ code: 7 });
    expect(iot.warnings).toContain(
      'MQTT: CONNECT of "d-victim" refused: no policy of its certificate allows it; the certificate is that of d-honest',
    );
  });

  test('a certificate that is not registered does not get past TLS, nor does a client without one', async () => {
    const stranger = await makeIdentity('CN=d-own');
    await expect(iot.connect(stranger, { clientId: 'd-own' })).rejects.toThrow();
    await expect(iot.connect(undefined, { clientId: 'd-own' })).rejects.toThrow();
    await iot.eventually('both told', () =>
      ['is not registered', 'it sent no certificate'].every((why) => iot.warnings.some((line) => line.includes(why))),
    );
  });

  test('an expired certificate is refused', async () => {
    const identity = await iot.device({ thing: 'd-old', policies: ['device'], days: -0.01 });
    await expect(iot.connect(identity, { clientId: 'd-old' })).rejects.toThrow();
  });

  test('a foreign topic: the publisher is cut off, the subscriber gets 0x80', async () => {
    const identity = await iot.device({ thing: 'd-nosy', policies: ['device'] });
    const client = await iot.connect(identity, { clientId: 'd-nosy' });
    for (const filter of [
      'wardline/d-own/wake',
      'wardline/+/wake',
      '#',
      'wardline/d-nosy/#x',
      '$share/g/wardline/d-nosy/wake',
    ]) {
      const code = await client.subscribeAsync(filter).then(
        () => 'granted',
        (error: unknown) => error,
      );
      expect(code).not.toBe('granted');
    }
    const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
    client.publish('wardline/d-own/checkin', '{}');
    await closed;
    await iot.eventually('told why', () => events(iot, 'd-nosy').length === 2);
    expect(events(iot, 'd-nosy')[1]).toMatchObject({
      disconnectReason: 'FORBIDDEN_ACCESS',
      clientInitiatedDisconnect: false,
    });
    expect(iot.warnings).toEqual(
      expect.arrayContaining([
        'MQTT: SUBSCRIBE of "d-nosy" to "#" refused: no policy of its certificate allows it',
        'MQTT: "d-nosy" was disconnected: it may not publish to "wardline/d-own/checkin"',
      ]),
    );
  });

  test('more than 128 KB, QoS 2 and too many levels cut the connection', async () => {
    const identity = await iot.device({ thing: 'd-large', policies: ['open'] });
    const attempt = async (topic: string, payload: string, qos: 0 | 1 | 2): Promise<void> => {
      const client = await iot.connect(identity, { clientId: 'd-large' });
      const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
      client.publish(topic, payload, { qos }, () => undefined);
      await closed;
    };
    await attempt('a', 'x'.repeat(128 * 1024 + 1), 1);
    await attempt('a', 'x', 2);
    await attempt('1/2/3/4/5/6/7/8/9', 'x', 1);
    await attempt('$made/up', 'x', 1);
    const client = await iot.connect(identity, { clientId: 'd-large' });
    await client.publishAsync('a', 'x'.repeat(128 * 1024), { qos: 1 });
  });

  test('revoking the certificate cuts the device off at once, and for good', async () => {
    const identity = await iot.device({ thing: 'd-revoked', policies: ['device'] });
    const client = await iot.connect(identity, { clientId: 'd-revoked' });
    const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
    await iot.call('control', 'PUT', `/certificates/${identity.id}?newStatus=REVOKED`);
    await closed;
    await iot.eventually('told why', () => events(iot, 'd-revoked').length === 2);
    expect(events(iot, 'd-revoked')[1]).toMatchObject({ eventType: 'disconnected', disconnectReason: 'AUTH_ERROR' });
    await expect(iot.connect(identity, { clientId: 'd-revoked' })).rejects.toThrow();
  });

  test('a policy that is detached counts for the next packet', async () => {
    const identity = await iot.device({ thing: 'd-changed', policies: ['device'] });
    const client = await iot.connect(identity, { clientId: 'd-changed' });
    await client.publishAsync('wardline/d-changed/checkin', '{}', { qos: 1 });
    await iot.call('control', 'POST', '/target-policies/device', {
      body: { target: `arn:aws:iot:us-east-1:000000000000:cert/${identity.id}` },
    });
    const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
    client.publish('wardline/d-changed/checkin', '{}');
    await closed;
  });

  test('the second connection of a client id ends the first', async () => {
    const identity = await iot.device({ thing: 'd-twice', policies: ['device'] });
    const first = await iot.connect(identity, { clientId: 'd-twice' });
    const closed = new Promise<void>((resolve) => first.once('close', () => resolve()));
    const second = await iot.connect(identity, { clientId: 'd-twice' });
    await closed;
    await iot.eventually('three events', () => events(iot, 'd-twice').length === 3);
    const [one, two, three] = events(iot, 'd-twice');
    expect(one).toMatchObject({ eventType: 'connected', versionNumber: 0 });
    expect(two).toMatchObject({ eventType: 'disconnected', versionNumber: 0, disconnectReason: 'DUPLICATE_CLIENTID' });
    expect(three).toMatchObject({ eventType: 'connected', versionNumber: 1 });
    await second.publishAsync('wardline/d-twice/checkin', '{}', { qos: 1 });
  });

  test('presence events carry what AWS puts into them', async () => {
    const identity = await iot.device({ thing: 'd-presence', policies: ['device'] });
    const client = await iot.connect(identity, { clientId: 'd-presence' });
    await client.endAsync();
    await iot.eventually('both events', () => events(iot, 'd-presence').length === 2);
    const [connected, disconnected] = events(iot, 'd-presence');
    expect(connected).toEqual({
      clientId: 'd-presence',
      thingName: 'd-presence',
      timestamp: expect.any(Number),
      eventType: 'connected',
      sessionIdentifier: expect.any(String),
      principalIdentifier: identity.id,
      ipAddress: '127.0.0.1',
      versionNumber: 0,
    });
    expect(disconnected).toEqual({
      clientId: 'd-presence',
      thingName: 'd-presence',
      timestamp: expect.any(Number),
      eventType: 'disconnected',
      sessionIdentifier: connected?.['sessionIdentifier'],
      principalIdentifier: identity.id,
      clientInitiatedDisconnect: true,
      disconnectReason: 'CLIENT_INITIATED_DISCONNECT',
      versionNumber: 0,
    });
    expect(iot.checks).toContain(`sqs:SendMessage ${PRESENCE_QUEUE}`);
  });

  test('the version of presence events grows, and begins anew after an hour away', async () => {
    const identity = await iot.device({ thing: 'd-version', policies: ['device'] });
    for (const pause of [0, 30 * 60_000, 60 * 60_000 + 1]) {
      iot.advance(pause);
      const client = await iot.connect(identity, { clientId: 'd-version' });
      await client.endAsync();
      await iot.eventually('gone', () => iot.iot.broker.connection('d-version') === undefined);
    }
    expect(events(iot, 'd-version').map(({ versionNumber }) => versionNumber)).toEqual([0, 0, 1, 1, 0, 0]);
  });

  test('a client that speaks before CONNECT, or nonsense, is dropped and harms nobody', async () => {
    const identity = await iot.device({ thing: 'd-noise', policies: ['device'] });
    for (const noise of [
      Buffer.from([0x30, 0x02, 0x00, 0x00]),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.alloc(100, 0xff),
    ]) {
      await new Promise<void>((resolve) => {
        const socket = tls.connect(
          {
            host: '127.0.0.1',
            port: iot.port,
            ca: iot.caPem,
            cert: identity.certificatePem,
            key: identity.privateKeyPem,
            servername: 'localhost',
          },
          () => socket.write(noise),
        );
        socket.on('error', () => undefined);
        socket.once('close', () => resolve());
        socket.resume();
      });
    }
    await iot.connect(identity, { clientId: 'd-noise' });
  });

  test('a kept session gets what it missed, once, and ends after an hour', async () => {
    const identity = await iot.device({ thing: 'd-session', policies: ['device'] });
    const kept = { clientId: 'd-session', clean: false } as const;
    const topic = 'wardline/d-session/checkin/accepted';
    const publish = (n: number) =>
      iot.call('data', 'POST', `/topics/${encodeURIComponent(topic)}?qos=1`, { body: { n } });
    const first = await iot.connect(identity, kept);
    await first.subscribeAsync(topic, { qos: 1 });
    await first.endAsync();
    await iot.eventually('gone', () => iot.iot.broker.connection('d-session') === undefined);
    await publish(1);
    await publish(2);

    const messages: string[] = [];
    const second = connect(`mqtts://localhost:${iot.port}`, {
      ca: iot.caPem,
      cert: identity.certificatePem,
      key: identity.privateKeyPem,
      protocolVersion: 4,
      reconnectPeriod: 0,
      ...kept,
    });
    second.on('message', (_topic, payload) => messages.push(payload.toString()));
    await new Promise<void>((resolve) => second.once('connect', () => resolve()));
    await publish(3);
    await second.publishAsync('wardline/d-session/checkin', 'last', { qos: 1 });
    await iot.eventually('all three', () => messages.length >= 3);
    expect(messages.toSorted()).toEqual(['{"n":1}', '{"n":2}', '{"n":3}']);
    await second.endAsync();
    await iot.eventually('gone', () => iot.iot.broker.connection('d-session') === undefined);
    expect(iot.iot.broker.hasSession('d-session')).toBe(true);
    iot.advance(60 * 60_000 + 1);
    expect(iot.iot.broker.hasSession('d-session')).toBe(false);
  });

  test('the will of a device that vanishes is published, within its policy', async () => {
    const watcher = await iot.connect(await iot.device({ thing: 'd-watch', policies: ['open'] }), {
      clientId: 'd-watch',
    });
    const messages = received(watcher);
    await watcher.subscribeAsync('#', { qos: 1 });
    const identity = await iot.device({ thing: 'd-will', policies: ['device'] });
    const allowed = await iot.connect(identity, {
      clientId: 'd-will',
      will: { topic: 'wardline/d-will/checkin', payload: Buffer.from('gone'), qos: 1, retain: false },
    });
    allowed.stream.destroy();
    await iot.eventually('the will', () => messages.some(({ payload }) => payload === 'gone'));
    const forbidden = await iot.connect(identity, {
      clientId: 'd-will',
      will: { topic: 'wardline/d-own/checkin', payload: Buffer.from('forged'), qos: 1, retain: false },
    });
    forbidden.stream.destroy();
    await iot.eventually('gone', () => events(iot, 'd-will').length === 4);
    await watcher.publishAsync('last', 'last', { qos: 1 });
    await iot.eventually('the last', () => messages.some(({ payload }) => payload === 'last'));
    expect(messages.map(({ payload }) => payload)).not.toContain('forged');
    expect(messages.some(({ topic }) => topic.startsWith('$'))).toBe(false);
  });
});
