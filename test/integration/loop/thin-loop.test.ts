import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { iot, mqtt } from 'aws-iot-device-sdk-v2';
import { curlCheckIn, type EnrolledDevice, enroll, makeRequest, simpleEnroll } from '../../support/est-client.ts';
import { type LocalCloud, startLocalCloud } from '../../support/local-cloud.ts';

/**
 * The main job on real input: openssl, curl and the unmodified AWS IoT Device SDK against `npm start -- --empty`,
 * through every layer that `cdk deploy` would create. The README's tour is this test, told to a person.
 */
let cloud: LocalCloud;
let administrator: string;
let enrollmentToken: string;

beforeAll(async () => {
  cloud = await startLocalCloud();
  administrator = await cloud.token('ada.admin', { mfa: true });
  const site = await cloud.api('POST', '/v1/sites', {
    token: administrator,
    body: { name: 'St. Anna', timeZone: 'America/New_York' },
  });
  expect(site.status).toBe(201);
  const token = await cloud.api('POST', '/v1/enrollment-tokens', {
    token: administrator,
    body: { siteId: (site.body as { id: string }).id, class: 'infusion-pump', platform: 'iomt', uses: 10 },
  });
  expect(token.status).toBe(201);
  enrollmentToken = (token.body as { token: string }).token;
}, 120_000);

afterAll(async () => {
  await cloud?.stop();
});

describe('enrolment over EST with openssl and curl', () => {
  test('a token and a CSR give a certificate of the device CA, whose CN is the device id', async () => {
    const device = await enroll(cloud, enrollmentToken, 'PUMP-0001');
    expect(device.id).toMatch(/^d-[0-9a-z]{24}$/);
    const read = await cloud.api('GET', `/v1/devices/${device.id}`, { token: administrator });
    expect(read.status).toBe(200);
    expect(read.body).toMatchObject({
      id: device.id,
      serial: 'PUMP-0001',
      lifecycle: 'enrolled',
      class: 'infusion-pump',
    });
  });

  test('a wrong token is refused with the Basic challenge', async () => {
    const { csrFile } = await makeRequest(cloud.scratch, 'PUMP-0002');
    const answer = await simpleEnroll(cloud, 'wle_this-is-not-a-token', csrFile);
    expect(answer.status).toBe(401);
  });

  test('a serial that is enrolled already is refused', async () => {
    await enroll(cloud, enrollmentToken, 'PUMP-0003');
    const { csrFile } = await makeRequest(cloud.scratch, 'PUMP-0003');
    const answer = await simpleEnroll(cloud, enrollmentToken, csrFile);
    expect(answer.status).toBe(403);
    expect(answer.body).toContain('already enrolled');
  });
});

describe('the loop over MQTT with the AWS IoT Device SDK', () => {
  test('a pump in use keeps its restart waiting, gets it when it is idle, reports it, and the API shows its life', async () => {
    const device = await enroll(cloud, enrollmentToken, 'PUMP-0100');
    await using client = await Client.connect(cloud, device);
    const accepted = await client.inbox(`wardline/${device.id}/checkin/accepted`);
    const wakes = await client.inbox(`wardline/${device.id}/wake`);
    const now = () => new Date().toISOString();

    await client.publish(`wardline/${device.id}/checkin`, {
      clientToken: 'first',
      at: now(),
      clinical: { state: 'in-use', at: now() },
    });
    expect(await accepted.next()).toMatchObject({ clientToken: 'first', commands: [] });

    const asked = Date.now();
    const queued = await cloud.api('POST', `/v1/devices/${device.id}/commands`, {
      token: administrator,
      body: { type: 'restart', reason: 'tour' },
    });
    expect(queued.status).toBe(201);
    const { id } = queued.body as { id: string };
    const command = () => cloud.api('GET', `/v1/devices/${device.id}/commands/${id}`, { token: administrator });
    const deferred = (await command()).body as Command;
    expect(deferred).toMatchObject({
      status: 'deferred',
      decisions: expect.arrayContaining([
        expect.objectContaining({ gate: 'interlock', effect: 'defer', ruleId: 'R11' }),
      ]),
    });
    const deferral = deferred.history.find(({ status }) => status === 'deferred');
    expect(deferral).toMatchObject({ source: 'interlock', reason: 'The device says that it is in use.' });
    expect(Date.parse(deferral?.until ?? '')).toBeGreaterThan(asked);

    await wakes.next();
    await client.publish(`$aws/rules/wardline_checkin/wardline/${device.id}/checkin`, {
      clientToken: 'second',
      at: now(),
      clinical: { state: 'in-use', at: now() },
    });
    expect(await accepted.next()).toMatchObject({ clientToken: 'second', commands: [] });

    await client.publish(`$aws/rules/wardline_checkin/wardline/${device.id}/checkin`, {
      clientToken: 'third',
      at: now(),
      clinical: { state: 'idle', at: now() },
    });
    expect(await accepted.next()).toMatchObject({ clientToken: 'third', commands: [{ id, type: 'restart' }] });

    await client.publish(`wardline/${device.id}/checkin`, {
      clientToken: 'fourth',
      at: now(),
      results: [{ commandId: id, status: 'acknowledged' }],
    });
    expect(await accepted.next()).toMatchObject({ clientToken: 'fourth', commands: [] });

    const life = await command();
    expect(life.status).toBe(200);
    const { status, history, decisions } = life.body as Command;
    expect(status).toBe('acknowledged');
    expect(history.map((change) => change.status)).toEqual(['queued', 'deferred', 'delivered', 'acknowledged']);
    for (const change of history) {
      expect(Date.parse(change.at)).not.toBeNaN();
      expect(change.source).not.toBe('');
    }
    const last = decisions.filter(({ gate }) => gate === 'interlock').at(-1);
    expect(last).toMatchObject({ effect: 'allow', ruleId: 'R1' });
    expect(last?.inputs[0]).toMatchObject({ signal: 'device-state', value: 'idle', source: 'device' });
    expect(last?.inputs[0]?.ageSeconds).toBeLessThanOrEqual(60);
  });

  test('an idle pump in an occupied bed waits, and is woken when the EHR says that the bed is free', async () => {
    const device = await enroll(cloud, enrollmentToken, 'PUMP-0110');
    await using client = await Client.connect(cloud, device);
    const accepted = await client.inbox(`wardline/${device.id}/checkin/accepted`);
    const wakes = await client.inbox(`wardline/${device.id}/wake`);
    const now = () => new Date().toISOString();
    const idle = () => ({ at: now(), clinical: { state: 'idle', at: now() } });
    const ehr = await cloud.token('ehr.integration');
    const says = (state: string) =>
      cloud.api('PUT', `/v1/devices/${device.id}/signals/ehr-occupancy`, { token: ehr, body: { state, at: now() } });

    expect(await says('occupied')).toMatchObject({ status: 200, body: { state: 'occupied' } });
    const queued = await cloud.api('POST', `/v1/devices/${device.id}/commands`, {
      token: administrator,
      body: { type: 'restart' },
    });
    expect(queued.body).toMatchObject({ status: 'deferred' });
    await wakes.next();
    await client.publish(`wardline/${device.id}/checkin`, idle());
    expect(await accepted.next()).toMatchObject({ commands: [] });

    expect(await says('free')).toMatchObject({ status: 200, body: { state: 'free' } });
    await wakes.next();
    await client.publish(`wardline/${device.id}/checkin`, idle());
    expect(await accepted.next()).toMatchObject({ commands: [{ type: 'restart' }] });

    const shadow = await cloud.api('POST', '/v1/interlock/shadow', {
      token: administrator,
      body: { settings: { deviceStateSeconds: 600 } },
    });
    expect(shadow).toMatchObject({ status: 200, body: { settings: { deviceStateSeconds: 600 }, items: [] } });
    expect((shadow.body as { decided: number }).decided).toBeGreaterThanOrEqual(2);
    const { limits } = (await cloud.api('GET', '/v1/limits', { token: administrator })).body as { limits: object };
    const one = { count: 1, percent: 100 };
    const stricter = { ...limits, restart: { network: { count: 1 }, site: one, unit: one } };
    const tried = await cloud.api('POST', '/v1/limits/shadow', { token: administrator, body: { limits: stricter } });
    expect(tried).toMatchObject({ status: 200, body: { limits: stricter, undecidable: 0 } });
    const { items } = tried.body as { items: { type: string; would: { effect: string } }[] };
    expect(items).toContainEqual(expect.objectContaining({ type: 'restart', gate: 'limiter' }));
  });

  test('malformed JSON is answered on rejected', async () => {
    const device = await enroll(cloud, enrollmentToken, 'PUMP-0101');
    await using client = await Client.connect(cloud, device);
    const rejected = await client.inbox(`wardline/${device.id}/checkin/rejected`);
    await client.publish(`wardline/${device.id}/checkin`, '{"at": ');
    expect(await rejected.next()).toMatchObject({ status: 400 });
  });
});

describe('the loop over HTTPS with curl', () => {
  test('the same check-in, identity from the client certificate alone', async () => {
    const device = await enroll(cloud, enrollmentToken, 'PUMP-0200');
    const queued = await cloud.api('POST', `/v1/devices/${device.id}/commands`, {
      token: administrator,
      body: { type: 'message', parameters: { text: 'Return to the hub' } },
    });
    const { id } = queued.body as { id: string };
    const first = await curlCheckIn(cloud, device, { at: new Date().toISOString() });
    expect(first.status).toBe(200);
    expect(first.body).toMatchObject({ commands: [{ id, type: 'message' }] });
    const second = await curlCheckIn(cloud, device, {
      at: new Date().toISOString(),
      results: [{ commandId: id, status: 'acknowledged' }],
    });
    expect(second.body).toMatchObject({ commands: [] });
  });

  test('without a client certificate the handshake fails', () => {
    const answer = spawnSync('curl', [
      '--silent',
      '--cacert',
      cloud.endpoints.ca,
      '--data',
      '{}',
      `${cloud.endpoints.device}/v1/checkin`,
    ]);
    expect(answer.status).not.toBe(0);
  });
});

describe('one device cannot be another', () => {
  test('neither by client id, nor by publishing, nor by subscribing', async () => {
    const [one, other] = [
      await enroll(cloud, enrollmentToken, 'PUMP-0300'),
      await enroll(cloud, enrollmentToken, 'PUMP-0301'),
    ];
    await expect(Client.connect(cloud, one, other.id)).rejects.toBeDefined();

    await using client = await Client.connect(cloud, one);
    const granted = await client.connection.subscribe(
      `wardline/${other.id}/wake`,
      mqtt.QoS.AtLeastOnce,
      () => undefined,
    );
    // AWS answers a denied subscription with SUBACK 0x80.
    expect(granted.error_code !== 0 || Number(granted.qos) === 0x80).toBe(true);

    await using observer = await Client.connect(cloud, other);
    const accepted = await observer.inbox(`wardline/${other.id}/checkin/accepted`);
    await Promise.race([
      client
        .publish(`wardline/${other.id}/checkin`, { clientToken: 'forged', at: new Date().toISOString() })
        .catch(() => undefined),
      client.interrupted,
    ]);
    // Whatever the forged message led to, it came before this: the first answer must be to the device's own check-in.
    await observer.publish(`wardline/${other.id}/checkin`, { clientToken: 'own', at: new Date().toISOString() });
    expect(await accepted.next()).toMatchObject({ clientToken: 'own' });
  });
});

/** What the API shows of a command, as far as it is looked at here. */
interface Command {
  readonly status: string;
  readonly history: readonly { status: string; at: string; source: string; reason?: string; until?: string }[];
  readonly decisions: readonly {
    gate: string;
    effect: string;
    inputs: readonly { signal: string; value: unknown; ageSeconds?: number }[];
  }[];
}

/** Messages of one topic, in order of arrival. */
class Inbox {
  readonly #messages: unknown[] = [];
  readonly #waiting: ((message: unknown) => void)[] = [];

  deliver(message: unknown): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#messages.push(message);
    else waiting(message);
  }

  next(): Promise<unknown> {
    if (this.#messages.length > 0) return Promise.resolve(this.#messages.shift());
    return new Promise((done) => this.#waiting.push(done));
  }
}

/** A thin shell around the AWS IoT Device SDK's MQTT 3.1.1 connection. */
class Client implements AsyncDisposable {
  readonly connection: mqtt.MqttClientConnection;
  /** Resolves when the broker closes the connection. */
  readonly interrupted: Promise<void>;

  private constructor(connection: mqtt.MqttClientConnection) {
    this.connection = connection;
    this.interrupted = new Promise((done) => connection.once('interrupt', () => done()));
  }

  static async connect(to: LocalCloud, device: EnrolledDevice, clientId: string = device.id): Promise<Client> {
    const url = new URL(to.endpoints.mqtt);
    const config = iot.AwsIotMqttConnectionConfigBuilder.new_mtls_builder(
      readFileSync(device.certificateFile, 'utf8'),
      readFileSync(device.keyFile, 'utf8'),
    )
      .with_certificate_authority(readFileSync(to.endpoints.ca, 'utf8'))
      .with_client_id(clientId)
      .with_endpoint(url.hostname)
      .with_port(Number(url.port))
      .with_clean_session(true)
      .build();
    const connection = new mqtt.MqttClient().new_connection(config);
    connection.on('error', () => undefined);
    await connection.connect();
    return new Client(connection);
  }

  async inbox(topic: string): Promise<Inbox> {
    const inbox = new Inbox();
    await this.connection.subscribe(topic, mqtt.QoS.AtLeastOnce, (_topic, payload) =>
      inbox.deliver(JSON.parse(new TextDecoder().decode(payload))),
    );
    return inbox;
  }

  async publish(topic: string, message: unknown): Promise<void> {
    await this.connection.publish(
      topic,
      typeof message === 'string' ? message : JSON.stringify(message),
      mqtt.QoS.AtLeastOnce,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection.disconnect().catch(() => undefined);
  }
}
