import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { deviceIdOf } from '../../../../shared/devices/device.ts';
import {
  caCertificates,
  type EstMeans,
  type EstOutcome,
  simpleEnroll,
  simpleReenroll,
} from '../../../../shared/enrollment/est-server.ts';
import { tokenHash } from '../../../../shared/enrollment/token.ts';
import { MemoryEnrollment, MemoryRegistrar } from '../../../support/memory-enrollment.ts';
import { deviceKeys, requestFor, type TestAuthority, testAuthority } from '../../../support/pki.ts';

const start = Date.parse('2030-01-02T03:04:05Z');
const basic = (secret: string) => `Basic ${Buffer.from(`anybody:${secret}`).toString('base64')}`;

/** The certificate in an EST answer, unpacked by openssl. */
function certificateIn({ answer }: EstOutcome): X509Certificate {
  const printed = execFileSync('openssl', ['pkcs7', '-inform', 'DER', '-print_certs'], {
    input: Buffer.from(answer.body, 'base64'),
  });
  return new X509Certificate(printed);
}

describe('EST server', () => {
  let authority: TestAuthority;
  let store: MemoryEnrollment;
  let registrar: MemoryRegistrar;
  let means: EstMeans;
  let clock: number;

  beforeAll(async () => {
    authority = await testAuthority(start);
  });
  beforeEach(() => {
    store = new MemoryEnrollment();
    registrar = new MemoryRegistrar();
    clock = start;
    means = {
      store,
      registrar,
      sign: authority.sign,
      authorityPem: authority.certificate.pem,
      certificateDays: 90,
      now: () => clock,
    };
  });

  test('cacerts gives the CA certificate to anybody', () => {
    const answer = caCertificates(authority.certificate.pem);
    expect(answer).toMatchObject({
      statusCode: 200,
      headers: { 'content-type': 'application/pkcs7-mime', 'content-transfer-encoding': 'base64' },
    });
    expect(certificateIn({ answer, log: {} }).subject).toBe('CN=Test device authority');
  });

  describe('simpleenroll', () => {
    test('gives an enrolled device its certificate: CN is the device id', async () => {
      const secret = store.addToken({ siteId: 's-1' }, start);
      const outcome = await simpleEnroll({ authorization: basic(secret), body: requestFor('pump-1') }, means);
      expect(outcome.answer.statusCode).toBe(200);
      expect(outcome.answer.headers).toEqual({
        'content-type': 'application/pkcs7-mime; smime-type=certs-only',
        'content-transfer-encoding': 'base64',
      });
      const id = deviceIdOf('PUMP-1');
      const certificate = certificateIn(outcome);
      expect(certificate.subject).toBe(`CN=${id}\nserialNumber=PUMP-1`);
      expect(store.devices.get(id)).toMatchObject({
        lifecycle: 'enrolled',
        siteId: 's-1',
        serial: 'PUMP-1',
        class: 'other',
        certificate: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      });
      expect(registrar.registered).toEqual([{ id, pem: certificate.toString() }]);
      expect(JSON.stringify(outcome.log)).not.toContain(secret);
    });

    test.each([
      ['no credentials', undefined],
      ['a bearer token', 'Bearer abc'],
      ['credentials without colon', `Basic ${Buffer.from('x').toString('base64')}`],
    ])('asks for credentials: %s', async (_name, authorization) => {
      const { answer } = await simpleEnroll({ authorization, body: requestFor('A1') }, means);
      expect(answer.statusCode).toBe(401);
      expect(answer.headers['www-authenticate']).toMatch(/^Basic realm="/);
      expect(store.refusals).toEqual([]);
    });

    test.each([['wle_'.padEnd(47, 'A')], ['password'], ['']])('an unknown token %p is 401, audited', async (secret) => {
      const { answer } = await simpleEnroll({ authorization: basic(secret), body: 'no matter' }, means);
      expect(answer.statusCode).toBe(401);
      expect(answer.headers['www-authenticate']).toMatch(/^Basic/);
      expect(store.refusals).toEqual([{ action: 'EnrollDevice', reason: 'token-unknown', at: start }]);
    });

    test('whatever credentials and body come, nothing is enrolled and nothing of them is said or logged', async () => {
      const secret = store.addToken({}, start);
      const credentials = fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: 'binary' }).map((text) => basic(text)),
        fc.constantFrom(
          basic(secret),
          `basic   ${basic(secret).slice(6)}  `,
          basic(`:${secret}`),
          basic(`${secret}\0`),
        ),
      );
      const body = fc.oneof(fc.string({ unit: 'binary' }), fc.uint8Array(), fc.base64String());
      await fc.assert(
        fc.asyncProperty(credentials, body, async (authorization, sent) => {
          const outcome = await simpleEnroll({ authorization, body: sent }, means);
          expect([400, 401]).toContain(outcome.answer.statusCode);
          expect(JSON.stringify(outcome)).not.toContain(secret);
          expect(JSON.stringify(store.refusals)).not.toContain(secret);
        }),
      );
      expect([store.devices.size, registrar.registered.length]).toEqual([0, 0]);
    });

    test('a wrong request is 400 with the reason, audited with the token, and uses nothing up', async () => {
      const secret = store.addToken({}, start);
      const { answer } = await simpleEnroll({ authorization: basic(secret), body: 'bm90IGEgcmVxdWVzdA==' }, means);
      expect(answer).toMatchObject({ statusCode: 400, headers: { 'content-type': 'text/plain; charset=utf-8' } });
      expect(answer.body).toMatch(/PKCS#10/);
      expect(store.refusals).toMatchObject([
        { reason: expect.stringMatching(/^invalid-request: /), token: { hash: tokenHash(secret) } },
      ]);
      expect(store.tokens.get(tokenHash(secret))?.used).toBe(0);
    });

    test('a refusal is 403 with the reason as text, audited', async () => {
      const secret = store.addToken({ allowUnknown: false }, start);
      const { answer } = await simpleEnroll({ authorization: basic(secret), body: requestFor('A1') }, means);
      expect(answer.statusCode).toBe(403);
      expect(answer.body).toBe(
        'No device with this serial number is pre-registered, and the token does not admit others.\n',
      );
      expect(store.refusals).toMatchObject([{ reason: 'not-pre-registered', deviceId: deviceIdOf('A1') }]);
      expect(registrar.registered).toEqual([]);
    });

    test('the same request again gives the very same certificate and uses the token once', async () => {
      const secret = store.addToken({ uses: 1 }, start);
      const request = { authorization: basic(secret), body: requestFor('A1') };
      const first = certificateIn(await simpleEnroll(request, means));
      clock += 60_000;
      const second = certificateIn(await simpleEnroll(request, means));
      expect(second.fingerprint256).toBe(first.fingerprint256);
      expect(store.tokens.get(tokenHash(secret))?.used).toBe(1);
    });

    test('the same token again for another device, and another key for the same device, are refused', async () => {
      const secret = store.addToken({ uses: 1 }, start);
      const authorization = basic(secret);
      await simpleEnroll({ authorization, body: requestFor('A1') }, means);
      const other = await simpleEnroll({ authorization, body: requestFor('B2') }, means);
      const thief = await simpleEnroll(
        { authorization: basic(store.addToken({}, start)), body: requestFor('A1') },
        means,
      );
      expect(other.answer).toMatchObject({ statusCode: 403, body: expect.stringMatching(/as often as it allows/) });
      expect(thief.answer).toMatchObject({ statusCode: 403, body: expect.stringMatching(/already enrolled/) });
    });

    test('a crash before AWS IoT Core knows the certificate: the same request completes it', async () => {
      const request = { authorization: basic(store.addToken({ uses: 1 }, start)), body: requestFor('A1') };
      registrar.before = () => {
        throw new Error('killed');
      };
      await expect(simpleEnroll(request, means)).rejects.toThrow('killed');
      registrar.before = () => undefined;
      const { answer } = await simpleEnroll(request, means);
      expect(answer.statusCode).toBe(200);
      expect(registrar.registered).toHaveLength(1);
      expect(store.certificates.size).toBe(1);
    });

    test('a device that is revoked while it enrols gets nothing, and its certificate is revoked', async () => {
      const id = deviceIdOf('A1');
      registrar.before = () => {
        const device = store.devices.get(id);
        if (device !== undefined) store.devices.set(id, { ...device, lifecycle: 'revoked' });
      };
      const { answer } = await simpleEnroll(
        { authorization: basic(store.addToken({}, start)), body: requestFor('A1') },
        means,
      );
      expect(answer.statusCode).toBe(403);
      expect([...registrar.states.values()]).toEqual(['revoked']);
    });

    test('200 at once with a token for one enrol exactly one', async () => {
      const authorization = basic(store.addToken({ uses: 1 }, start));
      const outcomes = await Promise.all(
        Array.from({ length: 200 }, (_, n) => simpleEnroll({ authorization, body: requestFor(`N${n}`) }, means)),
      );
      expect(outcomes.filter(({ answer }) => answer.statusCode === 200)).toHaveLength(1);
      expect(store.devices.size).toBe(1);
    });

    test('the table changing under it again and again is 503 with Retry-After', async () => {
      store.enroll = async () => false;
      const authorization = basic(store.addToken({}, start));
      const { answer } = await simpleEnroll({ authorization, body: requestFor('A1') }, means);
      expect(answer).toMatchObject({ statusCode: 503, headers: { 'retry-after': '5' } });
    });
  });

  describe('simplereenroll', () => {
    const id = deviceIdOf('A1');
    const keys = deviceKeys();

    const enrol = async () => {
      const secret = store.addToken({}, start);
      return certificateIn(await simpleEnroll({ authorization: basic(secret), body: requestFor('A1', keys) }, means));
    };
    const renew = (client: X509Certificate, body: string) =>
      simpleReenroll({ clientCertificate: client.toString(), body }, means);

    test('the next certificate waits beside the one that works', async () => {
      const old = await enrol();
      const outcome = await renew(old, requestFor('A1', deviceKeys(), id));
      const next = certificateIn(outcome);
      expect(next.subject).toBe(old.subject);
      expect(store.devices.get(id)).toMatchObject({
        certificate: old.fingerprint256.replaceAll(':', '').toLowerCase(),
        nextCertificate: next.fingerprint256.replaceAll(':', '').toLowerCase(),
      });
      expect(registrar.registered).toHaveLength(2);
      expect(registrar.states.size).toBe(0);
    });

    test('the same request again gives the same certificate; another key replaces it and retires it', async () => {
      const old = await enrol();
      const body = requestFor('A1', deviceKeys(), id);
      const first = certificateIn(await renew(old, body));
      expect(certificateIn(await renew(old, body)).fingerprint256).toBe(first.fingerprint256);
      const second = certificateIn(await renew(old, requestFor('A1', deviceKeys(), id)));
      expect(second.fingerprint256).not.toBe(first.fingerprint256);
      expect([...registrar.states]).toEqual([[first.fingerprint256.replaceAll(':', '').toLowerCase(), 'retired']]);
    });

    test('refuses another subject, an outdated certificate, a revoked device, a foreign CA: 403, audited', async () => {
      const old = await enrol();
      const device = store.devices.get(id);
      if (device === undefined) throw new Error('not enrolled');
      const good = requestFor('A1', deviceKeys(), id);
      const reasons = async (outcome: Promise<EstOutcome>) => {
        const { answer, log } = await outcome;
        expect(answer.statusCode).toBe(403);
        return log['reason'];
      };
      expect(await reasons(renew(old, requestFor('B2', deviceKeys(), id)))).toBe('subject-differs');
      expect(await reasons(renew(old, requestFor('A1', deviceKeys(), deviceIdOf('B2'))))).toBe('subject-differs');
      store.devices.set(id, { ...device, certificate: 'another' });
      expect(await reasons(renew(old, good))).toBe('certificate-not-pinned');
      store.devices.set(id, { ...device, lifecycle: 'revoked' });
      expect(await reasons(renew(old, good))).toBe('device-revoked');
      store.devices.delete(id);
      expect(await reasons(renew(old, good))).toBe('certificate-not-pinned');
      const foreign = await testAuthority(start);
      means = { ...means, authorityPem: foreign.certificate.pem };
      expect(await reasons(renew(old, good))).toBe('foreign-certificate');
      expect(store.refusals).toHaveLength(6);
    });

    test('after a change of the CA key a device comes with the certificate that it has, and gets one of the new key', async () => {
      const old = await enrol();
      const next = await testAuthority(start);
      means = { ...means, authorityPem: next.certificate.pem, sign: next.sign };
      const renewed = certificateIn(await renew(old, requestFor('A1', deviceKeys(), id)));
      expect(renewed.verify(new X509Certificate(next.certificate.pem).publicKey)).toBe(true);
      expect(store.devices.get(id)).toMatchObject({
        certificate: old.fingerprint256.replaceAll(':', '').toLowerCase(),
        nextCertificate: renewed.fingerprint256.replaceAll(':', '').toLowerCase(),
      });
    });

    test('a wrong request is 400; no client certificate is 403', async () => {
      const old = await enrol();
      expect((await renew(old, 'AAAA')).answer.statusCode).toBe(400);
      expect(store.refusals).toMatchObject([{ action: 'RenewCertificate', deviceId: id }]);
      expect((await simpleReenroll({ body: requestFor('A1') }, means)).answer.statusCode).toBe(403);
    });

    test('a crash before AWS IoT Core knows the next certificate: the same request completes it', async () => {
      const old = await enrol();
      const body = requestFor('A1', deviceKeys(), id);
      registrar.before = () => {
        throw new Error('killed');
      };
      await expect(renew(old, body)).rejects.toThrow('killed');
      registrar.before = () => undefined;
      expect((await renew(old, body)).answer.statusCode).toBe(200);
      expect(store.certificates.size).toBe(2);
    });
  });
});
