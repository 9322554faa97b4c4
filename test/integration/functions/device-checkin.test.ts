import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics } from '@aws-lambda-powertools/metrics';
import { IoTDataPlaneClient, PublishCommand } from '@aws-sdk/client-iot-data-plane';
import { jest } from '@jest/globals';
import { mockClient } from 'aws-sdk-client-mock';
import { checkInJournal } from '../../../functions/device-checkin/journal.ts';
import type { Means } from '../../../functions/device-checkin/means.ts';
import { type HttpsCheckIn, serveHttps } from '../../../functions/device-checkin/over-https.ts';
import { isMqttCheckIn, type MqttCheckIn, serveMqtt } from '../../../functions/device-checkin/over-mqtt.ts';
import { iotPublisher } from '../../../shared/aws/iot-publisher.ts';
import { type Device, deviceIdOf } from '../../../shared/devices/device.ts';
import { enrolUnregistered, getDevice, transact } from '../../../shared/devices/store.ts';
import { issueDeviceCertificate } from '../../../shared/enrollment/certificate.ts';
import { parseCertificateRequest } from '../../../shared/enrollment/csr.ts';
import { enrol, queue, start } from '../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../support/devices-table.ts';
import { injectFaults } from '../../support/faults.ts';
import { gateMeans, officePhone, openOffice } from '../../support/gates.ts';
import { requestFor, testAuthority } from '../../support/pki.ts';

const iot = mockClient(IoTDataPlaneClient);
const lines: string[] = [];
let devices: DevicesTable;
let means: Means;

beforeAll(async () => {
  devices = await startDevicesTable();
  await openOffice(devices);
  means = {
    table: devices.table,
    surroundings: { now: () => start, random: () => 0, ...gateMeans(devices.directory, () => start) },
    publish: iotPublisher(new IoTDataPlaneClient({ region: 'us-east-1' })),
    journal: checkInJournal(new Logger(), new Metrics({ namespace: 'Wardline' })),
  };
}, 90_000);
afterAll(() => devices[Symbol.asyncDispose]());

beforeEach(() => {
  iot.reset();
  iot.on(PublishCommand).resolves({});
  lines.length = 0;
  // Powertools has a console of its own on these streams.
  for (const stream of [process.stdout, process.stderr]) {
    jest.spyOn(stream, 'write').mockImplementation((line) => {
      lines.push(String(line));
      return true;
    });
  }
});
afterEach(() => {
  means.journal.flush();
  jest.restoreAllMocks();
});

const published = () =>
  iot.commandCalls(PublishCommand).map(({ args }) => {
    const { topic, payload, qos } = args[0].input;
    return { topic, qos, message: JSON.parse(Buffer.from(payload as Uint8Array).toString()) };
  });

const overMqtt = (
  device: Pick<Device, 'id' | 'certificate'>,
  body: unknown,
  more: Partial<MqttCheckIn> = {},
): MqttCheckIn => ({
  payload: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)).toString('base64'),
  clientId: device.id,
  thing: device.id,
  principal: device.certificate ?? '',
  receivedAt: start,
  ...more,
});

const now = new Date(start).toISOString();

describe('over MQTT', () => {
  test('the reply is published to accepted, with the command and the client token', async () => {
    const device = await enrol(devices.table, officePhone('MQTT-1'));
    const { command } = await queue(devices.table, device, { type: 'lock', parameters: { message: 'Call 555' } });
    await serveMqtt(overMqtt(device, { at: now, clientToken: 'abc' }), means);
    expect(published()).toEqual([
      {
        topic: `wardline/${device.id}/checkin/accepted`,
        qos: 0,
        message: {
          clientToken: 'abc',
          serverTime: now,
          nextCheckInSeconds: 43_200,
          commands: [
            { id: command.id, type: 'lock', parameters: { message: 'Call 555' }, expiresAt: command.expiresAt },
          ],
          desiredVersion: 0,
        },
      },
    ]);
  });

  test.each([
    ['no JSON', '{"at"', 400, '/problems/invalid-request'],
    ['a member of the wrong type', { at: now, results: 'none' }, 400, '/problems/invalid-request'],
    ['too large', { at: now, inventory: { text: 'x'.repeat(200_000) } }, 413, '/problems/too-large'],
  ])('%s is answered on rejected', async (_name, body, status, type) => {
    const device = await enrol(devices.table, officePhone(`MQTT-BAD-${status}-${_name.length}`));
    await serveMqtt(overMqtt(device, body), means);
    expect(published()).toMatchObject([{ topic: `wardline/${device.id}/checkin/rejected`, message: { type, status } }]);
    if (status === 413)
      expect(published()[0]?.message).toMatchObject({ limitBytes: 131_072, detail: expect.stringContaining('131072') });
  });

  test('however much is wrong with a message, the refusal is small enough to be published', async () => {
    const device = await enrol(devices.table, officePhone('MQTT-MANY'));
    const body = `{"at":"${now}","results":[${'1,'.repeat(60_000)}1]}`;
    await serveMqtt(overMqtt(device, body), means);
    const [answer] = published();
    expect(answer?.message).toMatchObject({ status: 400, detail: expect.stringContaining('60001 values') });
    expect(JSON.stringify(answer?.message).length).toBeLessThan(10_000);
  });

  test('another device is refused, whatever it claims; the answer goes to whoever published', async () => {
    const device = await enrol(devices.table, officePhone('MQTT-2'));
    const thief = await enrol(devices.table, officePhone('MQTT-3'));
    await serveMqtt(overMqtt(device, { at: now }, { clientId: thief.id, principal: thief.certificate ?? '' }), means);
    await serveMqtt(overMqtt(device, { at: now, clientToken: 't' }, { principal: thief.certificate ?? '' }), means);
    expect(published()).toMatchObject([
      { topic: `wardline/${thief.id}/checkin/rejected`, message: { status: 403 } },
      {
        topic: `wardline/${device.id}/checkin/rejected`,
        message: { status: 403, reason: 'foreign-certificate', clientToken: 't' },
      },
    ]);
    expect((await getDevice(devices.table, device.id, { consistent: true }))?.lastSeenAt).toBeUndefined();
  });

  test('a reply that cannot be published fails the event, and the repeated event hands the command out again', async () => {
    const device = await enrol(devices.table, officePhone('MQTT-4'));
    const { command } = await queue(devices.table, device, { type: 'locate' });
    iot
      .on(PublishCommand)
      .rejectsOnce(Object.assign(new Error('no'), { name: 'InternalFailureException' }))
      .resolves({});
    await expect(serveMqtt(overMqtt(device, { at: now }), means)).rejects.toMatchObject({
      name: 'InternalFailureException',
    });
    await serveMqtt(overMqtt(device, { at: now }), means);
    expect(published().at(-1)?.message.commands).toMatchObject([{ id: command.id }]);
  });

  test('a check-in that brings nothing new leaves no line in the log', async () => {
    const device = await enrol(devices.table, officePhone('MQTT-5'));
    await serveMqtt(overMqtt(device, { at: now }), means);
    means.journal.flush();
    expect(lines).toEqual([]);
    await queue(devices.table, device, { type: 'locate' });
    await serveMqtt(overMqtt(device, { at: now }), means);
    means.journal.flush();
    expect(lines.join('\n')).toContain('CommandAge');
  });
});

describe('over HTTPS', () => {
  const event = (pem: string | undefined, body: string, more: Partial<HttpsCheckIn> = {}): HttpsCheckIn =>
    ({
      version: '2.0',
      routeKey: 'POST /v1/checkin',
      rawPath: '/v1/checkin',
      rawQueryString: '',
      headers: { 'content-type': 'application/json' },
      body,
      isBase64Encoded: false,
      requestContext: {
        requestId: 'request-4711',
        timeEpoch: start,
        ...(pem === undefined ? {} : { authentication: { clientCert: { clientCertPem: pem } } }),
      },
      ...more,
    }) as unknown as HttpsCheckIn;

  async function enrolled(serial: string): Promise<{ device: Device; pem: string }> {
    const authority = await testAuthority(start);
    const request = parseCertificateRequest(requestFor(serial));
    const certificate = await issueDeviceCertificate({
      id: deviceIdOf(serial),
      request,
      authorityPem: authority.certificate.pem,
      days: 30,
      now: start,
      sign: authority.sign,
    });
    const pinned = { fingerprint: certificate.fingerprint, expiresAt: new Date(certificate.expiresAt) };
    await transact(devices.table, enrolUnregistered(devices.table, officePhone(serial), pinned, new Date(start)));
    const device = await getDevice(devices.table, deviceIdOf(serial), { consistent: true });
    if (device === undefined) throw new Error('not enrolled');
    return { device, pem: certificate.pem };
  }

  test('the identity is the client certificate; the reply is the response', async () => {
    const { device, pem } = await enrolled('HTTPS-1');
    const { command } = await queue(devices.table, device, { type: 'locate' });
    const answer = await serveHttps(event(pem, JSON.stringify({ at: now, clientToken: 'x' })), means);
    expect(answer).toMatchObject({ statusCode: 200, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(String(answer.body))).toMatchObject({
      clientToken: 'x',
      nextCheckInSeconds: 900,
      commands: [{ id: command.id }],
    });
    expect((await getDevice(devices.table, device.id, { consistent: true }))?.channel).toBe('https');
  });

  test('a body in base64, as the gateway may hand it over, is the same', async () => {
    const { pem } = await enrolled('HTTPS-2');
    const body = Buffer.from(JSON.stringify({ at: now })).toString('base64');
    expect(await serveHttps(event(pem, body, { isBase64Encoded: true }), means)).toMatchObject({ statusCode: 200 });
  });

  test.each([
    ['no JSON', 'nonsense', 400],
    ['200 kB', JSON.stringify({ at: now, inventory: { text: 'x'.repeat(200_000) } }), 413],
    ['a wrong member', JSON.stringify({ at: now, posture: 7 }), 400],
  ])('%s is answered as problem+json', async (name, body, status) => {
    const { pem } = await enrolled(`HTTPS-BAD-${name}`);
    const answer = await serveHttps(event(pem, body), means);
    expect(answer).toMatchObject({ statusCode: status, headers: { 'content-type': 'application/problem+json' } });
    const problem = JSON.parse(String(answer.body));
    expect(problem.status).toBe(status);
    if (status === 413) expect(problem.detail).toContain('131072');
  });

  test('without a certificate, or with one that is not pinned: 403', async () => {
    const { device } = await enrolled('HTTPS-3');
    const { pem: foreign } = await enrolled('HTTPS-4');
    const body = JSON.stringify({ at: now });
    expect(await serveHttps(event(undefined, body), means)).toMatchObject({ statusCode: 403 });
    expect(await serveHttps(event('not a certificate', body), means)).toMatchObject({ statusCode: 403 });
    expect(await serveHttps(event(foreign, body), means)).toMatchObject({ statusCode: 200 });
    const authority = await testAuthority(start);
    const forged = await issueDeviceCertificate({
      id: device.id,
      request: parseCertificateRequest(requestFor('HTTPS-3')),
      authorityPem: authority.certificate.pem,
      days: 30,
      now: start,
      sign: authority.sign,
    });
    const answer = await serveHttps(event(forged.pem, body), means);
    expect(answer.statusCode).toBe(403);
    expect(JSON.parse(String(answer.body))).toMatchObject({ reason: 'foreign-certificate' });
  });

  test('a table that is too busy: 503 with Retry-After, and nothing about our inside', async () => {
    const { pem } = await enrolled('HTTPS-5');
    const stop = injectFaults(devices.table, () => 'throttled');
    try {
      const answer = await serveHttps(event(pem, JSON.stringify({ at: now, clientToken: 'again' })), means);
      expect(answer).toMatchObject({ statusCode: 503, headers: { 'retry-after': expect.any(String) } });
      expect(JSON.parse(String(answer.body))).toMatchObject({ clientToken: 'again' });
      expect(answer.body).not.toMatch(/dynamodb|\.ts/i);
    } finally {
      stop();
    }
  });

  test('every refusal names its request, and the log knows it by that name', async () => {
    const { pem } = await enrolled('HTTPS-6');
    const refused = await serveHttps(event(pem, 'nonsense'), means);
    const stop = injectFaults(devices.table, () => 'killed-before');
    const failed = await serveHttps(event(pem, JSON.stringify({ at: now })), means).finally(stop);
    expect([refused.statusCode, failed.statusCode]).toEqual([400, 500]);
    for (const answer of [refused, failed]) {
      expect(JSON.parse(String(answer.body))).toMatchObject({ instance: 'urn:wardline:request:request-4711' });
    }
    const log = lines.join('');
    for (const message of ['check-in refused', 'check-in failed'])
      expect(log).toMatch(new RegExp(`"message":\\s*"${message}"[^}]*"requestId":\\s*"request-4711"`));
  });

  test('an HTTP event is not taken for one of the topic rule', () => {
    expect(isMqttCheckIn(event(undefined, '{"thing":1,"payload":2}'))).toBe(false);
  });
});
