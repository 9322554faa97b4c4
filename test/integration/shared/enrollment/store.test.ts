import { QueryCommand } from '@aws-sdk/lib-dynamodb';
import { jest } from '@jest/globals';
import { auditRecord } from '../../../../shared/audit/record.ts';
import type { Table } from '../../../../shared/aws/dynamodb.ts';
import { deviceIdOf } from '../../../../shared/devices/device.ts';
import { devicePartition } from '../../../../shared/devices/keys.ts';
import { getDevice, putExpectedDevice, revokeDevice } from '../../../../shared/devices/store.ts';
import { parseCertificateRequest } from '../../../../shared/enrollment/csr.ts';
import { enrollDevice } from '../../../../shared/enrollment/enroll.ts';
import { type EstMeans, simpleEnroll, simpleReenroll } from '../../../../shared/enrollment/est-server.ts';
import { decideProvisioning, issueForClaim } from '../../../../shared/enrollment/provision.ts';
import {
  enrollmentStore,
  findToken,
  getToken,
  listTokens,
  putToken,
  revokeToken,
  tokenPartition,
} from '../../../../shared/enrollment/store.ts';
import { newToken, type TokenLimits, tokenHash } from '../../../../shared/enrollment/token.ts';
import { MemoryRegistrar } from '../../../support/memory-enrollment.ts';
import { deviceKeys, requestFor, type TestAuthority, testAuthority } from '../../../support/pki.ts';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.ts';

const start = Date.parse('2030-01-02T03:04:05Z');
const basic = (secret: string) => `Basic ${Buffer.from(`:${secret}`).toString('base64')}`;

// Generous, for a machine that does other things besides; none of the tests waits for time to pass.
jest.setTimeout(120_000);

describe('enrolment in DynamoDB', () => {
  let database: TestDatabase;
  let devices: Table;
  let directory: Table;
  let authority: TestAuthority;
  let registrar: MemoryRegistrar;
  let means: EstMeans;
  let clock = start;

  beforeAll(async () => {
    database = await startTestDatabase();
    devices = await database.table('bySite');
    directory = await database.table('byKind');
    authority = await testAuthority(start);
  });
  afterAll(() => database.stop());

  beforeEach(() => {
    clock = start;
    registrar = new MemoryRegistrar();
    means = {
      store: enrollmentStore({ devices, directory }),
      registrar,
      sign: authority.sign,
      authorityPem: authority.certificate.pem,
      certificateDays: 30,
      now: () => clock,
    };
  });

  const tokenAudit = (hash: string, id: string) =>
    auditRecord(
      tokenPartition(hash),
      { actor: 'user:test', action: 'CreateEnrollmentToken', resource: `token/${id}`, outcome: 'allowed' },
      new Date(start),
    );

  const addToken = async (limits: Partial<TokenLimits> = {}): Promise<{ secret: string; hash: string; id: string }> => {
    const { token, secret } = newToken(limits, 'user:test', start);
    const hash = tokenHash(secret);
    await putToken(directory, hash, token, tokenAudit(hash, token.id));
    return { secret, hash, id: token.id };
  };

  const expectDevice = (serial: string, siteId?: string) =>
    putExpectedDevice(
      devices,
      { serial, platform: 'linux', class: 'workstation', ownership: 'organization', ...(siteId ? { siteId } : {}) },
      (id) =>
        auditRecord(
          devicePartition(id),
          { actor: 'user:test', action: 'CreateDevice', resource: `device/${id}`, outcome: 'allowed' },
          new Date(start),
        ),
      new Date(start),
    );

  const auditOf = async (table: Table, pk: string) => {
    const { Items = [] } = await table.client.send(
      new QueryCommand({
        TableName: table.name,
        KeyConditionExpression: 'pk = :pk AND begins_with(sk, :audit)',
        ExpressionAttributeValues: { ':pk': pk, ':audit': 'AUDIT#' },
      }),
    );
    return Items;
  };

  const enrol = (secret: string, body: string) => simpleEnroll({ authorization: basic(secret), body }, means);

  test('an unknown device: record, place, pin, token use and audit', async () => {
    const { secret, hash, id: tokenId } = await addToken({ siteId: 's-1', unitId: 'u-1', class: 'tablet' });
    const outcome = await enrol(secret, requestFor('NEW-1'));
    expect(outcome.answer.statusCode).toBe(200);
    const id = deviceIdOf('NEW-1');
    const device = await getDevice(devices, id, { consistent: true });
    expect(device).toMatchObject({ lifecycle: 'enrolled', siteId: 's-1', unitId: 'u-1', class: 'tablet', version: 1 });
    expect(await means.store.certificate(device?.certificate ?? '')).toMatchObject({
      deviceId: id,
      tokenId,
      issuedAt: new Date(start).toISOString(),
      pem: expect.stringMatching(/^-----BEGIN CERTIFICATE-----/),
    });
    expect((await getToken(directory, hash))?.used).toBe(1);
    expect(await auditOf(devices, devicePartition(id))).toMatchObject([
      { action: 'EnrollDevice', outcome: 'allowed', siteId: 's-1', after: { method: 'est', tokenId } },
    ]);
    const { Items } = await devices.client.send(
      new QueryCommand({
        TableName: devices.name,
        IndexName: 'bySite',
        KeyConditionExpression: 'gsi1pk = :site',
        ExpressionAttributeValues: { ':site': 'SITE#s-1' },
      }),
    );
    expect(Items).toMatchObject([{ pk: devicePartition(id), gsi1sk: `u-1#${id}` }]);
  });

  test('a pre-registered device keeps what it is; the token fills in the site', async () => {
    await expectDevice('PRE-1');
    const { secret } = await addToken({ siteId: 's-9', allowUnknown: false });
    expect((await enrol(secret, requestFor('PRE-1'))).answer.statusCode).toBe(200);
    expect(await getDevice(devices, deviceIdOf('PRE-1'), { consistent: true })).toMatchObject({
      lifecycle: 'enrolled',
      class: 'workstation',
      platform: 'linux',
      siteId: 's-9',
      version: 2,
    });
  });

  test('200 devices at once with a token for one: exactly one enrols, and nothing is half-written', async () => {
    const { secret, hash } = await addToken({ uses: 1 });
    const bodies = Array.from({ length: 200 }, (_, n) => requestFor(`RACE-${n}`));
    const ask = async (body: string): Promise<number> => {
      // A device that is told that it is busy asks again, as the answer says.
      for (;;) {
        const { answer } = await enrol(secret, body);
        if (answer.statusCode !== 503) return answer.statusCode;
      }
    };
    const statuses = await Promise.all(bodies.map(ask));
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 403)).toHaveLength(199);
    expect((await getToken(directory, hash))?.used).toBe(1);
    expect(registrar.registered).toHaveLength(1);
    const heads = await Promise.all(
      bodies.map((_, n) => getDevice(devices, deviceIdOf(`RACE-${n}`), { consistent: true })),
    );
    expect(heads.filter((head) => head !== undefined)).toHaveLength(1);
  });

  test('the same device 20 times at once: one certificate for all answers', async () => {
    const { secret, hash } = await addToken({ uses: 1 });
    const body = requestFor('AGAIN-1');
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => enrol(secret, body)));
    const bodies = new Set(outcomes.map(({ answer }) => answer.body));
    expect(outcomes.map(({ answer }) => answer.statusCode)).toEqual(Array(20).fill(200));
    expect(bodies.size).toBe(1);
    expect((await getToken(directory, hash))?.used).toBe(1);
  });

  test('30 devices at once with a token for 20: twenty enrol', async () => {
    const { secret, hash } = await addToken({ uses: 20 });
    const ask = async (n: number): Promise<number> => {
      const body = requestFor(`MANY-${n}`);
      for (;;) {
        const { answer } = await enrol(secret, body);
        if (answer.statusCode !== 503) return answer.statusCode;
      }
    };
    const statuses = await Promise.all(Array.from({ length: 30 }, (_, n) => ask(n)));
    expect(statuses.filter((status) => status === 200)).toHaveLength(20);
    expect((await getToken(directory, hash))?.used).toBe(20);
  });

  test('a token that expired or was withdrawn between the decision and the write is not used', async () => {
    for (const spoil of ['expire', 'withdraw'] as const) {
      const { secret, hash, id } = await addToken({ expiresAt: new Date(start + 1000).toISOString() });
      const store = enrollmentStore({ devices, directory });
      let once = true;
      means = {
        ...means,
        store: {
          ...store,
          async enroll(change) {
            if (once && spoil === 'withdraw') await revokeToken(directory, hash, start, tokenAudit(hash, id));
            once = false;
            return store.enroll(spoil === 'expire' ? { ...change, at: start + 2000 } : change);
          },
        },
        now: () => (once ? start : start + 2000),
      };
      expect((await enrol(secret, requestFor(`LATE-${spoil}`))).answer.statusCode).toBe(403);
      expect(await getDevice(devices, deviceIdOf(`LATE-${spoil}`), { consistent: true })).toBeUndefined();
      expect((await getToken(directory, hash))?.used).toBe(0);
    }
  });

  test('refusals are recorded: with the device, with the token, or with the strangers of the day', async () => {
    await expectDevice('REF-1', 's-1');
    clock += 1000;
    const foreign = await addToken({ siteId: 's-2' });
    expect((await enrol(foreign.secret, requestFor('REF-1'))).answer.statusCode).toBe(403);
    expect(await auditOf(devices, devicePartition(deviceIdOf('REF-1')))).toMatchObject([
      { action: 'CreateDevice' },
      {
        action: 'EnrollDevice',
        outcome: 'refused',
        reason: 'wrong-site',
        siteId: 's-1',
        before: { tokenId: foreign.id },
      },
    ]);
    const narrow = await addToken({ allowUnknown: false, siteId: 's-2' });
    await enrol(narrow.secret, requestFor('REF-2'));
    expect(await auditOf(directory, tokenPartition(narrow.hash))).toMatchObject([
      { action: 'CreateEnrollmentToken' },
      { outcome: 'refused', reason: 'not-pre-registered', siteId: 's-2', resource: `token/${narrow.id}` },
    ]);
    await enrol(`wle_${'A'.repeat(43)}`, requestFor('REF-3'));
    expect(await auditOf(directory, 'ENROLLMENT#2030-01-02')).toMatchObject([{ reason: 'token-unknown' }]);
  });

  test('renewal: the next certificate waits; a revoked device gets none', async () => {
    const { secret } = await addToken();
    const id = deviceIdOf('RENEW-1');
    const request = parseCertificateRequest(requestFor('RENEW-1'));
    const enrolled = await enrollDevice(tokenHash(secret), request, means);
    if (enrolled.outcome !== 'issued') throw new Error(enrolled.reason);
    const clientCertificate = enrolled.certificate.pem;
    const body = requestFor('RENEW-1', deviceKeys(), id);
    const renewals = await Promise.all(
      Array.from({ length: 5 }, () => simpleReenroll({ clientCertificate, body }, means)),
    );
    expect(renewals.map(({ answer }) => answer.statusCode)).toEqual(Array(5).fill(200));
    expect(new Set(renewals.map(({ answer }) => answer.body)).size).toBe(1);
    const again = await simpleReenroll({ clientCertificate, body }, means);
    expect(again.answer.statusCode).toBe(200);
    const device = await getDevice(devices, id, { consistent: true });
    expect(device).toMatchObject({ certificate: enrolled.certificate.fingerprint, lifecycle: 'enrolled' });
    expect(again.log['certificate']).toBe(device?.nextCertificate);
    await revokeDevice(devices, id, 'any', (before) =>
      auditRecord(
        devicePartition(before.id),
        { actor: 'user:test', action: 'RevokeDevice', resource: `device/${id}`, outcome: 'allowed' },
        new Date(start),
      ),
    );
    clock += 1000;
    const refused = await simpleReenroll({ clientCertificate, body }, means);
    expect(refused.answer.statusCode).toBe(403);
    const trail = await auditOf(devices, devicePartition(id));
    expect(trail.at(-1)).toMatchObject({ action: 'RenewCertificate', outcome: 'refused', reason: 'device-revoked' });
  });

  describe('fleet provisioning', () => {
    const claim = async (serial: string, parameters: Record<string, string> = {}, keys = deviceKeys()) => {
      const certificate = await issueForClaim(parseCertificateRequest(requestFor(serial, keys)), means);
      const ask = () =>
        decideProvisioning(
          { certificatePem: certificate.pem, parameters: { SerialNumber: serial, ...parameters } },
          means,
        );
      return { certificate, ask };
    };

    test('a pre-registered device needs no token; asking again with the same certificate is allowed', async () => {
      await expectDevice('CLAIM-1', 's-1');
      const { certificate, ask } = await claim('claim-1');
      const allowed = { outcome: 'allowed', deviceId: deviceIdOf('CLAIM-1'), fingerprint: certificate.fingerprint };
      expect(await ask()).toEqual(allowed);
      expect(await ask()).toEqual(allowed);
      expect(await getDevice(devices, deviceIdOf('CLAIM-1'), { consistent: true })).toMatchObject({
        lifecycle: 'enrolled',
        certificate: certificate.fingerprint,
      });
      expect(await auditOf(devices, devicePartition(deviceIdOf('CLAIM-1')))).toHaveLength(2);
    });

    test('the same key with a new certificate, after provisioning broke off: the new one waits as a renewed one does', async () => {
      await expectDevice('CLAIM-2');
      const keys = deviceKeys();
      const first = await claim('CLAIM-2', {}, keys);
      await first.ask();
      const second = await claim('CLAIM-2', {}, keys);
      expect(await second.ask()).toMatchObject({ outcome: 'allowed' });
      expect(await getDevice(devices, deviceIdOf('CLAIM-2'), { consistent: true })).toMatchObject({
        certificate: first.certificate.fingerprint,
        nextCertificate: second.certificate.fingerprint,
      });
      await expect(claim('CLAIM-2')).rejects.toThrow(/enrolled with another key/);
    });

    test('a stranger needs a token that admits them', async () => {
      expect(await (await claim('CLAIM-3')).ask()).toEqual({ outcome: 'refused', reason: 'not-pre-registered' });
      const narrow = await addToken({ allowUnknown: false });
      const refused = await claim('CLAIM-3', { Token: narrow.secret });
      expect(await refused.ask()).toEqual({ outcome: 'refused', reason: 'not-pre-registered' });
      const unknown = await claim('CLAIM-3', { Token: 'wle_unknown' });
      expect(await unknown.ask()).toEqual({ outcome: 'refused', reason: 'token-unknown' });
      const { secret, hash } = await addToken();
      expect(await (await claim('CLAIM-3', { Token: secret })).ask()).toMatchObject({ outcome: 'allowed' });
      expect((await getToken(directory, hash))?.used).toBe(1);
    });

    test('another serial than in the certificate, and a certificate of another CA, are refused', async () => {
      await expectDevice('CLAIM-4');
      await expectDevice('CLAIM-5');
      const { certificate } = await claim('CLAIM-4');
      const ask = (pem: string, serial: unknown) =>
        decideProvisioning({ certificatePem: pem, parameters: { SerialNumber: serial } }, means);
      expect(await ask(certificate.pem, 'CLAIM-5')).toEqual({ outcome: 'refused', reason: 'serial-differs' });
      expect(await ask(certificate.pem, 42)).toEqual({ outcome: 'refused', reason: 'serial-differs' });
      const impostor = await testAuthority(start);
      means = { ...means, sign: impostor.sign, authorityPem: impostor.certificate.pem };
      const forged = await claim('CLAIM-4');
      means = { ...means, authorityPem: authority.certificate.pem };
      expect(await ask(forged.certificate.pem, 'CLAIM-4')).toEqual({
        outcome: 'refused',
        reason: 'foreign-certificate',
      });
    });

    test('no certificate in the name of a revoked device', async () => {
      await expectDevice('CLAIM-6');
      await revokeDevice(devices, deviceIdOf('CLAIM-6'), 'any', ({ id }) => tokenAudit('x', id));
      await expect(claim('CLAIM-6')).rejects.toThrow(/revoked/);
    });
  });

  describe('tokens', () => {
    test('are listed newest first, page by page, and found by id', async () => {
      const own = await database.table('byKind');
      const stored: string[] = [];
      for (let n = 0; n < 5; n += 1) {
        const { token, secret } = newToken({}, 'user:test', start + n * 1000);
        await putToken(own, tokenHash(secret), token, tokenAudit(tokenHash(secret), token.id));
        stored.unshift(token.id);
      }
      const first = await listTokens(own, 3);
      const second = await listTokens(own, 3, first.next);
      expect([...first.tokens, ...second.tokens].map(({ token }) => token.id)).toEqual(stored);
      expect(second.next).toBeUndefined();
      const [id = ''] = stored;
      expect((await findToken(own, id))?.token.id).toBe(id);
      expect(await findToken(own, 't-none')).toBeUndefined();
    });

    test('are withdrawn once, and never hold the secret', async () => {
      const { secret, hash, id } = await addToken();
      expect(await revokeToken(directory, hash, start, tokenAudit(hash, id))).toBe(true);
      expect(await revokeToken(directory, hash, start, tokenAudit(hash, id))).toBe(false);
      const stored = await getToken(directory, hash);
      expect(stored?.revokedAt).toBe(new Date(start).toISOString());
      expect(JSON.stringify(stored)).not.toContain(secret);
    });
  });
});
