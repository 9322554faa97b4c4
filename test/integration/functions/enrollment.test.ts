import { execFile } from 'node:child_process';
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  AttachPolicyCommand,
  CreateKeysAndCertificateCommand,
  DescribeCertificateCommand,
  IoTClient,
  ListThingPrincipalsV2Command,
} from '@aws-sdk/client-iot';
import { jest } from '@jest/globals';
import { connect, type MqttClient } from 'mqtt';
import { type RunningCloud, startLocalCloud } from '../../../local/start.ts';
import { deviceIdOf } from '../../../shared/devices/device.ts';
import { pemOf } from '../../../shared/enrollment/pem.ts';
import { nameOf } from '../../../shared/enrollment/subject.ts';
import { deviceKeys, requestDer } from '../../support/pki.ts';

// For a machine that does other things besides; the tests wait for events, not for time to pass.
jest.setTimeout(120_000);

const run = promisify(execFile);

interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}
interface Identity {
  readonly certificate: string;
  readonly key: string;
}

const pemKey = (keys: Keys) => keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const csr = (serial: string, keys: Keys, commonName = 'device') => requestDer(keys, nameOf(commonName, serial));
const fingerprint = (pem: string) => new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();

/** Enrolment, renewal and revocation through every layer of the local cloud: fronts, functions, roles, tables, broker. */
describe('the life of a certificate', () => {
  let folder: string;
  let cloud: RunningCloud;
  let ca: string;
  let administrator: string;
  let siteId: string;
  let iot: IoTClient;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'wardline-enrollment-'));
    cloud = await startLocalCloud({ port: 0, folder });
    ca = readFileSync(cloud.urls.ca, 'utf8');
    administrator = await tokenOf('ada.admin');
    siteId = (await api<{ id: string }>('POST', '/sites', { name: 'Linden Park Hospital', timeZone: 'Europe/Vienna' }))
      .id;
    iot = new IoTClient({ endpoint: cloud.urls.awsEndpoint, region: cloud.region, credentials: cloud.credentials });
  }, 120_000);
  afterAll(async () => {
    iot?.destroy();
    await cloud?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A fresh sign-in with a second factor. */
  async function tokenOf(user: string): Promise<string> {
    const token = await fetch(`${cloud.urls.issuer}/local/token`, {
      method: 'POST',
      body: new URLSearchParams({ user, mfa: 'yes' }),
    });
    return ((await token.json()) as { access_token: string }).access_token;
  }

  async function api<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${cloud.urls.api}/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${administrator}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  const newToken = async (limits: object = {}) =>
    (await api<{ token: string }>('POST', '/enrollment-tokens', { siteId, ...limits })).token;
  const device = (id: string) => api<Record<string, unknown>>('GET', `/devices/${id}`);
  const register = (serial: string) =>
    api('POST', '/devices', { serial, platform: 'iomt', class: 'infusion-pump', ownership: 'organization', siteId });

  /** An HTTPS request with the local CA, and a client certificate if there is an identity. */
  function send(
    url: string,
    options: { method?: string; headers?: Record<string, string>; body?: string; identity?: Identity },
  ): Promise<{ status: number; headers: Record<string, unknown>; body: string }> {
    const { identity, body, ...rest } = options;
    const agent = new Agent({
      ca,
      keepAlive: false,
      ...(identity === undefined ? {} : { cert: identity.certificate, key: identity.key }),
    });
    return new Promise((done, fail) => {
      const outgoing = request(url, { ...rest, agent }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          done({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        );
      });
      outgoing.on('error', fail);
      outgoing.end(body);
    });
  }

  const est = (operation: string, der: Uint8Array, extra: { token?: string; identity?: Identity } = {}) =>
    send(`${extra.identity === undefined ? cloud.urls.enroll : cloud.urls.device}/.well-known/est/${operation}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/pkcs10',
        ...(extra.token === undefined
          ? {}
          : { authorization: `Basic ${Buffer.from(`d:${extra.token}`).toString('base64')}` }),
      },
      body: Buffer.from(der).toString('base64'),
      ...(extra.identity === undefined ? {} : { identity: extra.identity }),
    });

  async function certificateOf(answer: { status: number; body: string }): Promise<string> {
    if (answer.status !== 200) throw new Error(`EST answered ${answer.status}: ${answer.body}`);
    const child = run('openssl', ['pkcs7', '-inform', 'DER', '-print_certs']);
    child.child.stdin?.end(Buffer.from(answer.body, 'base64'));
    const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec((await child).stdout)?.[0];
    if (pem === undefined) throw new Error('no certificate in the answer');
    return pem;
  }

  async function enrol(serial: string, keys: Keys = deviceKeys()): Promise<Identity> {
    const answer = await est('simpleenroll', csr(serial, keys), { token: await newToken() });
    return { certificate: await certificateOf(answer), key: pemKey(keys) };
  }

  const checkIn = (identity: Identity) =>
    send(`${cloud.urls.device}/v1/checkin`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ at: new Date().toISOString() }),
      identity,
    });

  /** Rejects when the broker closes the connection before it has accepted it. */
  const openConnection = (identity: Identity, clientId: string): Promise<MqttClient> =>
    new Promise((done, fail) => {
      const client = connect(cloud.urls.mqtt, {
        clientId,
        ca,
        cert: identity.certificate,
        key: identity.key,
        protocolVersion: 4,
        reconnectPeriod: 0,
        ALPNProtocols: ['x-amzn-mqtt-ca'],
      });
      client.once('connect', () => done(client));
      client.on('error', fail);
      client.once('close', () => fail(new Error('The broker closed the connection')));
    });

  /** Asks until the answer is yes; the events that lead there are the cloud's own. */
  async function eventually(what: string, ask: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + 60_000;
    while (!(await ask())) {
      if (Date.now() > end) throw new Error(`never happened: ${what}`);
      await pause(50);
    }
  }

  const statusOf = async (pem: string) => {
    const answer = await iot.send(new DescribeCertificateCommand({ certificateId: fingerprint(pem) }));
    return answer.certificateDescription?.status;
  };

  test('EST: cacerts verifies what simpleenroll gives, and the thing has the certificate exclusively', async () => {
    const authority = await certificateOf(await send(`${cloud.urls.enroll}/.well-known/est/cacerts`, {}));
    const { certificate } = await enrol('LIFE-1');
    const issued = new X509Certificate(certificate);
    expect(issued.verify(new X509Certificate(authority).publicKey)).toBe(true);
    expect(issued.subject).toBe(`CN=${deviceIdOf('LIFE-1')}\nserialNumber=LIFE-1`);
    const { thingPrincipalObjects } = await iot.send(
      new ListThingPrincipalsV2Command({ thingName: deviceIdOf('LIFE-1') }),
    );
    expect(thingPrincipalObjects).toEqual([
      { principal: expect.stringContaining(fingerprint(certificate)), thingPrincipalType: 'EXCLUSIVE_THING' },
    ]);
  });

  test('EST: refusals in its own words, each in the audit trail, and the same request again is no refusal', async () => {
    const keys = deviceKeys();
    const token = await newToken({ uses: 1 });
    const body = csr('LIFE-2', keys);
    const missing = await est('simpleenroll', body);
    expect(missing.status).toBe(401);
    expect(missing.headers['www-authenticate']).toMatch(/^Basic /);
    expect((await est('simpleenroll', body, { token: `wle_${'A'.repeat(43)}` })).status).toBe(401);
    expect((await est('simpleenroll', body.slice(0, -1), { token })).status).toBe(400);
    const first = await est('simpleenroll', body, { token });
    const second = await est('simpleenroll', body, { token });
    expect([first.status, second.status, second.body === first.body]).toEqual([200, 200, true]);
    const usedUp = await est('simpleenroll', csr('LIFE-3', deviceKeys()), { token });
    expect([usedUp.status, usedUp.body]).toEqual([403, expect.stringContaining('as often as it allows')]);
    const stolen = await est('simpleenroll', csr('LIFE-2', deviceKeys()), { token: await newToken() });
    expect([stolen.status, stolen.body]).toEqual([403, expect.stringContaining('already enrolled')]);
    const trail = JSON.stringify(await api('GET', `/devices/${deviceIdOf('LIFE-2')}/audit`));
    expect(trail).toContain('already-enrolled');
    expect(trail).not.toContain(token);
  });

  test.each(
    [
      ['dynamodb', 'TransactWriteItems'],
      ['iot', 'RegisterCertificateWithoutCA'],
      ['iot', 'CreateThing'],
      ['iot', 'AttachThingPrincipal'],
      ['iot', 'AttachPolicy'],
    ].flatMap(([service = '', operation = '']) =>
      (['before', 'after'] as const).map((when) => ({ service, operation, when })),
    ),
  )('the function killed $when $operation: the same request enrols, with one use of the token', async (fault) => {
    const serial = `KILL-${fault.operation}-${fault.when}`;
    const keys = deviceKeys();
    const body = csr(serial, keys);
    const token = await newToken({ uses: 1 });
    cloud.faults.set([{ ...fault, function: '*device-enroll*', error: 'kill', times: 1 }]);
    expect((await est('simpleenroll', body, { token })).status).toBeGreaterThanOrEqual(500);
    cloud.faults.set([]);
    const identity = {
      certificate: await certificateOf(await est('simpleenroll', body, { token })),
      key: pemKey(keys),
    };
    const client = await openConnection(identity, deviceIdOf(serial));
    await client.endAsync();
    expect((await checkIn(identity)).status).toBe(200);
    expect((await est('simpleenroll', csr('KILL-OTHER', deviceKeys()), { token })).status).toBe(403);
  });

  test('renewal: the old certificate works until the new one is used, then it is switched off', async () => {
    const id = deviceIdOf('LIFE-4');
    const old = await enrol('LIFE-4');
    const keys = deviceKeys();
    const next: Identity = {
      certificate: await certificateOf(await est('simplereenroll', csr('LIFE-4', keys, id), { identity: old })),
      key: pemKey(keys),
    };
    expect((await checkIn(old)).status).toBe(200);
    expect(await statusOf(old.certificate)).toBe('ACTIVE');
    const client = await openConnection(next, id);
    await client.endAsync();
    expect((await checkIn(next)).status).toBe(200);
    expect((await checkIn(old)).status).not.toBe(200);
    await eventually('the old certificate is inactive', async () => (await statusOf(old.certificate)) === 'INACTIVE');
    await expect(openConnection(old, id)).rejects.toThrow();
    expect((await checkIn(next)).status).toBe(200);
    const stranger = await est('simplereenroll', csr('LIFE-5', deviceKeys()), { identity: next });
    expect(stranger.status).toBe(403);
  });

  test('revocation cuts a connected device off, at once and for good', async () => {
    const id = deviceIdOf('LIFE-6');
    const identity = await enrol('LIFE-6');
    const client = await openConnection(identity, id);
    const closed = new Promise<void>((done) => client.once('close', () => done()));
    const asked = await api<{ id: string; hash: string }>('POST', `/devices/${id}/revoke`, { reason: 'lost' });
    // Two people, and for a pump the second is biomedical engineering.
    const biomed = await tokenOf('bea.biomed');
    const approved = await fetch(`${cloud.urls.api}/v1/approvals/${asked.id}/approve`, {
      method: 'POST',
      headers: { authorization: `Bearer ${biomed}`, 'content-type': 'application/json' },
      body: JSON.stringify({ hash: asked.hash }),
    });
    expect([approved.status, await approved.text()]).toEqual([200, expect.stringContaining('"approved"')]);
    await closed;
    await expect(openConnection(identity, id)).rejects.toThrow();
    expect((await checkIn(identity)).status).not.toBe(200);
    expect(await statusOf(identity.certificate)).toBe('REVOKED');
    const again = await est('simpleenroll', csr('LIFE-6', deviceKeys()), { token: await newToken() });
    expect([again.status, again.body]).toEqual([403, expect.stringContaining('revoked')]);
    await register('LIFE-6');
    const returned = await enrol('LIFE-6');
    expect((await checkIn(returned)).status).toBe(200);
  });

  describe('fleet provisioning by claim', () => {
    let claim: Identity;

    beforeAll(async () => {
      const made = await iot.send(new CreateKeysAndCertificateCommand({ setAsActive: true }));
      await iot.send(new AttachPolicyCommand({ policyName: 'wardline-claim', target: made.certificateArn }));
      claim = { certificate: made.certificatePem ?? '', key: made.keyPair?.PrivateKey ?? '' };
    });

    async function ask(topic: string, message: unknown): Promise<{ accepted: boolean; body: Record<string, string> }> {
      const client = await openConnection(
        claim,
        `claim-${generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x}`,
      );
      const answer = new Promise<{ accepted: boolean; body: Record<string, string> }>((done) =>
        client.on('message', (at, payload) =>
          done({ accepted: at.endsWith('/accepted'), body: JSON.parse(payload.toString()) as Record<string, string> }),
        ),
      );
      await client.subscribeAsync([`${topic}/accepted`, `${topic}/rejected`], { qos: 1 });
      await client.publishAsync(topic, JSON.stringify(message), { qos: 1 });
      const result = await answer;
      await client.endAsync();
      return result;
    }

    async function provision(serial: string, parameters: Record<string, string> = {}) {
      const keys = deviceKeys();
      const created = await ask('$aws/certificates/create-from-csr/json', {
        certificateSigningRequest: pemOf('CERTIFICATE REQUEST', csr(serial, keys)),
      });
      if (!created.accepted) return { created };
      const provisioned = await ask('$aws/provisioning-templates/wardline-claim/provision/json', {
        certificateOwnershipToken: created.body['certificateOwnershipToken'],
        parameters: { SerialNumber: serial, ...parameters },
      });
      return {
        created,
        provisioned,
        identity: { certificate: created.body['certificatePem'] ?? '', key: pemKey(keys) },
      };
    }

    test('a pre-registered device gets its identity, and it works at both fronts', async () => {
      await register('CLAIM-1');
      const { provisioned, identity } = await provision('CLAIM-1');
      const id = deviceIdOf('CLAIM-1');
      expect(provisioned).toMatchObject({ accepted: true, body: { thingName: id } });
      if (identity === undefined) throw new Error('no identity');
      expect(await device(id)).toMatchObject({ lifecycle: 'enrolled', class: 'infusion-pump' });
      const client = await openConnection(identity, id);
      await client.endAsync();
      expect((await checkIn(identity)).status).toBe(200);
      const thief = await provision('CLAIM-1');
      expect(thief.created.accepted).toBe(false);
    });

    test('an unknown device needs a token; its certificate opens nothing before', async () => {
      const refused = await provision('CLAIM-2');
      expect(refused.provisioned?.accepted).toBe(false);
      if (refused.identity === undefined) throw new Error('no certificate');
      expect((await checkIn(refused.identity)).status).not.toBe(200);
      await expect(openConnection(refused.identity, deviceIdOf('CLAIM-2'))).rejects.toThrow();
      const admitted = await provision('CLAIM-2', { Token: await newToken() });
      expect(admitted.provisioned?.accepted).toBe(true);
    });
  });
});
