import {
  DeleteConnectionCommand,
  GetConnectionCommand,
  GetRetainedMessageCommand,
  IoTDataPlaneClient,
  PublishCommand,
  SendDirectMessageCommand,
} from '@aws-sdk/client-iot-data-plane';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Endpoint, serveEndpoint } from './endpoint.ts';
import { DEVICE_POLICY, type Harness, OPEN_POLICY, received, startIot } from './harness.ts';

describe('Data plane, asked by the AWS SDK', () => {
  let iot: Harness;
  let endpoint: Endpoint;
  let sdk: IoTDataPlaneClient;

  beforeAll(async () => {
    iot = await startIot();
    endpoint = await serveEndpoint(iot.iot);
    sdk = new IoTDataPlaneClient(endpoint.client);
    await iot.resource('AWS::IoT::Policy', 'Device', { PolicyName: 'device', PolicyDocument: DEVICE_POLICY });
    await iot.resource('AWS::IoT::Policy', 'Open', { PolicyName: 'open', PolicyDocument: OPEN_POLICY });
  });
  afterAll(async () => {
    sdk.destroy();
    await endpoint.stop();
    await iot.stop();
  });

  test('Publish reaches subscribers at the QoS of both sides', async () => {
    const client = await iot.connect(await iot.device({ thing: 'd-publish', policies: ['open'] }), {
      clientId: 'd-publish',
    });
    const messages = received(client);
    await client.subscribeAsync({ 'a/one': { qos: 1 }, 'a/zero': { qos: 0 } });
    for (const topic of ['a/one', 'a/zero'])
      await sdk.send(new PublishCommand({ topic, qos: 1, payload: Buffer.from(topic), contentType: 'text/plain' }));
    await iot.eventually('both', () => messages.length === 2);
    expect(messages.toSorted((a, b) => a.topic.localeCompare(b.topic))).toEqual([
      { topic: 'a/one', payload: 'a/one', qos: 1 },
      { topic: 'a/zero', payload: 'a/zero', qos: 0 },
    ]);
    for (const topic of ['a/+', '', '$SYS/x', 'x'.repeat(300)]) {
      await expect(sdk.send(new PublishCommand({ topic, payload: Buffer.from('x') }))).rejects.toThrow();
    }
    await expect(sdk.send(new PublishCommand({ topic: 'a', payload: Buffer.alloc(131_073) }))).rejects.toMatchObject({
      name: 'RequestEntityTooLargeException',
    });
  });

  test('a retained message waits for subscribers and can be read', async () => {
    await sdk.send(new PublishCommand({ topic: 'kept', qos: 1, retain: true, payload: Buffer.from('here') }));
    const client = await iot.connect(await iot.device({ thing: 'd-retained', policies: ['open'] }), {
      clientId: 'd-retained',
    });
    const messages = received(client);
    await client.subscribeAsync('kept');
    await iot.eventually('it comes', () => messages.length === 1);
    const { payload } = await sdk.send(new GetRetainedMessageCommand({ topic: 'kept' }));
    expect(Buffer.from(payload ?? []).toString()).toBe('here');
    await expect(sdk.send(new GetRetainedMessageCommand({ topic: 'none' }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
  });

  test('SendDirectMessage needs no subscription, and confirmation means PUBACK', async () => {
    const client = await iot.connect(await iot.device({ thing: 'd-direct', policies: ['device'] }), {
      clientId: 'd-direct',
    });
    const messages = received(client);
    const wake = { clientId: 'd-direct', topic: 'wardline/d-direct/wake', payload: Buffer.from('{"v":1,"n":7}') };
    await sdk.send(new SendDirectMessageCommand({ ...wake, confirmation: true, timeout: 5 }));
    expect(messages).toEqual([{ topic: wake.topic, payload: '{"v":1,"n":7}', qos: 1 }]);
    await sdk.send(new SendDirectMessageCommand(wake));
    await iot.eventually('the second', () => messages.length === 2);
    expect(messages[1]?.qos).toBe(0);
    await Promise.all(
      Array.from({ length: 50 }, () => sdk.send(new SendDirectMessageCommand({ ...wake, confirmation: true }))),
    );
    expect(messages.length).toBe(52);
  });

  test('a direct message of any size up to 128 KB arrives whole, between others', async () => {
    const client = await iot.connect(await iot.device({ thing: 'd-sizes', policies: ['open'] }), {
      clientId: 'd-sizes',
    });
    const messages = received(client);
    await client.subscribeAsync('wardline/d-sizes/#', { qos: 1 });
    const sizes = [0, 1, 99, 100, 127, 128, 16_355, 16_356, 131_072];
    await Promise.all(
      sizes.flatMap((size) => [
        sdk.send(
          new SendDirectMessageCommand({
            clientId: 'd-sizes',
            topic: 'direct',
            payload: Buffer.alloc(size, 'x'),
            confirmation: true,
          }),
        ),
        sdk.send(new PublishCommand({ topic: 'wardline/d-sizes/x', qos: 1, payload: Buffer.alloc(size, 'y') })),
      ]),
    );
    await iot.eventually('all', () => messages.length === 2 * sizes.length);
    const lengths = (topic: string) =>
      messages
        .filter((one) => one.topic === topic)
        .map(({ payload }) => payload.length)
        .toSorted((a, b) => a - b);
    expect(lengths('direct')).toEqual(sizes);
    expect(lengths('wardline/d-sizes/x')).toEqual(sizes);
  });

  test('SendDirectMessage fails where AWS fails', async () => {
    const identity = await iot.device({ thing: 'd-deaf', policies: ['device'] });
    const send = (clientId: string, topic: string, timeout = 1) =>
      sdk.send(
        new SendDirectMessageCommand({ clientId, topic, payload: Buffer.from('{}'), confirmation: true, timeout }),
      );
    await expect(send('d-deaf', 'wardline/d-deaf/wake')).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    const client = await iot.connect(identity, {
      clientId: 'd-deaf',
      customHandleAcks: (_topic, _message, _packet, _done) => undefined,
    });
    await expect(send('d-deaf', 'wardline/other/wake')).rejects.toMatchObject({ name: 'ForbiddenException' });
    await expect(send('d-deaf', '$aws/things/d-deaf')).rejects.toMatchObject({ name: 'InvalidRequestException' });
    await expect(send('d-deaf', 'wardline/d-deaf/wake', 16)).rejects.toMatchObject({ name: 'InvalidRequestException' });
    // A client that keeps its acknowledgement to itself.
    client.handleMessage = () => undefined;
    await expect(send('d-deaf', 'wardline/d-deaf/wake')).rejects.toMatchObject({ name: 'GatewayTimeoutException' });
  });

  test('a connection can be looked at and ended', async () => {
    const identity = await iot.device({ thing: 'd-ended', policies: ['device'] });
    await expect(sdk.send(new GetConnectionCommand({ clientId: 'd-ended' }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
    const client = await iot.connect(identity, { clientId: 'd-ended', clean: false, keepalive: 5 });
    await client.subscribeAsync('wardline/d-ended/wake', { qos: 1 });
    expect(
      await sdk.send(new GetConnectionCommand({ clientId: 'd-ended', includeSocketInformation: true })),
    ).toMatchObject({
      connected: true,
      thingName: 'd-ended',
      cleanSession: false,
      keepAliveDuration: 30,
      sourceIp: '127.0.0.1',
    });
    const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
    await sdk.send(new DeleteConnectionCommand({ clientId: 'd-ended' }));
    await closed;
    expect(await sdk.send(new GetConnectionCommand({ clientId: 'd-ended' }))).toMatchObject({
      connected: false,
      disconnectReason: 'API_INITIATED_DISCONNECT',
    });
    expect(iot.iot.broker.hasSession('d-ended')).toBe(true);
    await sdk.send(new DeleteConnectionCommand({ clientId: 'd-ended', cleanSession: true }));
    expect(iot.iot.broker.hasSession('d-ended')).toBe(false);
    await expect(sdk.send(new DeleteConnectionCommand({ clientId: 'd-ended' }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
  });
});
