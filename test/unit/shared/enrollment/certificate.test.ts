import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deviceIdOf } from '../../../../shared/devices/device.ts';
import {
  type IssuedCertificate,
  isAuthorityOf,
  issueDeviceCertificate,
  readDeviceCertificate,
} from '../../../../shared/enrollment/certificate.ts';
import { certsOnly } from '../../../../shared/enrollment/certs-only.ts';
import { parseCertificateRequest } from '../../../../shared/enrollment/csr.ts';
import { deviceKeys, requestFor, type TestAuthority, testAuthority } from '../../../support/pki.ts';

const now = Date.parse('2031-05-06T07:08:09.876Z');
const day = 24 * 60 * 60 * 1000;

describe('certificates', () => {
  let folder: string;
  let authority: TestAuthority;
  let certificate: IssuedCertificate;
  const keys = deviceKeys();

  const issue = (days: number, serial = 'PUMP-7', at = now) =>
    issueDeviceCertificate({
      id: deviceIdOf(serial),
      request: parseCertificateRequest(requestFor(serial, keys)),
      authorityPem: authority.certificate.pem,
      days,
      now: at,
      sign: authority.sign,
    });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'wardline-certificate-'));
    authority = await testAuthority(now);
    certificate = await issue(365);
    writeFileSync(join(folder, 'ca.pem'), authority.certificate.pem);
    writeFileSync(join(folder, 'device.pem'), certificate.pem);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const openssl = (...words: string[]) => execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' }).toString();

  test('openssl verifies the chain strictly, for TLS clients and for nothing else', () => {
    const verify = ['verify', '-x509_strict', '-attime', String((now / 1000) | 0), '-CAfile', 'ca.pem'];
    expect(openssl(...verify, '-purpose', 'sslclient', 'device.pem')).toContain('device.pem: OK');
    expect(() => openssl(...verify, '-purpose', 'sslserver', 'device.pem')).toThrow(
      /unsupported certificate purpose|unsuitable certificate purpose/,
    );
    expect(openssl(...verify, 'ca.pem')).toContain('ca.pem: OK');
  });

  test('openssl shows the names, uses and key identifiers', () => {
    const text = openssl('x509', '-in', 'device.pem', '-noout', '-text');
    expect(text).toContain(`Subject: CN = ${deviceIdOf('PUMP-7')}, serialNumber = PUMP-7`);
    expect(text).toContain('Issuer: CN = Test device authority');
    expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect(text).toMatch(/X509v3 Key Usage: critical\s+Digital Signature\n/);
    expect(text).toMatch(/Extended Key Usage: \s+TLS Web Client Authentication\n/);
    const authorityText = openssl('x509', '-in', 'ca.pem', '-noout', '-text');
    expect(authorityText).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect(authorityText).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    const identifier = /Subject Key Identifier: \s+([0-9A-F:]+)/.exec(authorityText)?.[1];
    expect(text).toContain(`Authority Key Identifier: \n                ${identifier}`);
  });

  test('is valid from ten minutes ago, for the days that were asked', () => {
    const { validFromDate, validToDate } = new X509Certificate(certificate.pem);
    expect(validFromDate.toISOString()).toBe('2031-05-06T06:58:09.000Z');
    expect(validToDate.toISOString()).toBe(certificate.expiresAt);
    expect(validToDate.getTime()).toBe(Math.floor((now + 365 * day) / 1000) * 1000);
  });

  test('the CA lives 20 years, and no certificate outlives it', async () => {
    expect(authority.certificate.expiresAt).toBe('2051-05-06T07:08:09.000Z');
    const late = Date.parse('2051-05-01T00:00:00Z');
    expect((await issue(365, 'PUMP-7', late)).expiresAt).toBe(authority.certificate.expiresAt);
  });

  test('has 128 random bits of serial number', async () => {
    const numbers = await Promise.all(Array.from({ length: 50 }, () => issue(1)));
    const serials = numbers.map(({ pem }) => new X509Certificate(pem).serialNumber);
    expect(new Set(serials).size).toBe(50);
    for (const serial of serials) expect(serial).toMatch(/^01[0-9A-F]{32}$/);
  });

  test('the fingerprint is the SHA-256 of the DER', () => {
    expect(certificate.fingerprint).toBe(createHash('sha256').update(certificate.der).digest('hex'));
    const shown = openssl('x509', '-in', 'device.pem', '-noout', '-fingerprint', '-sha256');
    expect(shown.split('=')[1]?.replaceAll(':', '').trim().toLowerCase()).toBe(certificate.fingerprint);
  });

  test('openssl reads the certificates out of the certs-only PKCS#7', () => {
    writeFileSync(join(folder, 'certs.p7'), certsOnly([certificate.der, authority.certificate.der]));
    const printed = openssl('pkcs7', '-inform', 'DER', '-in', 'certs.p7', '-print_certs');
    expect(printed).toContain(deviceIdOf('PUMP-7'));
    expect(printed.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  });

  describe('readDeviceCertificate', () => {
    test('reads the holder of a certificate of ours', () => {
      expect(readDeviceCertificate(certificate.pem, authority.certificate.pem)).toEqual({
        commonName: deviceIdOf('PUMP-7'),
        serial: 'PUMP-7',
        fingerprint: certificate.fingerprint,
        publicKeyHash: parseCertificateRequest(requestFor('PUMP-7', keys)).publicKeyHash,
        expiresAt: certificate.expiresAt,
      });
    });

    test('takes nothing of another CA of the same name, not the CA itself, and nothing unreadable', async () => {
      const impostor = await testAuthority(now);
      expect(readDeviceCertificate(certificate.pem, impostor.certificate.pem)).toBeUndefined();
      expect(readDeviceCertificate(authority.certificate.pem, authority.certificate.pem)).toBeUndefined();
      expect(readDeviceCertificate('nonsense', authority.certificate.pem)).toBeUndefined();
    });
  });

  test('isAuthorityOf knows the CA by its key', async () => {
    const other = await testAuthority(now);
    expect(isAuthorityOf(authority.certificate.pem, authority.publicKey)).toBe(true);
    expect(isAuthorityOf(other.certificate.pem, authority.publicKey)).toBe(false);
    expect(isAuthorityOf(certificate.pem, authority.publicKey)).toBe(false);
    expect(isAuthorityOf('nonsense', authority.publicKey)).toBe(false);
  });
});
