import 'reflect-metadata';
import { webcrypto, X509Certificate } from 'node:crypto';
import { Pkcs10CertificateRequest, X509CertificateGenerator, X509Certificates } from '@peculiar/x509';
import fc from 'fast-check';
import { certificateFacts, renewalTime } from '../../../../agent/enrollment/certificate.ts';
import { Credentials, type StoredIdentity } from '../../../../agent/enrollment/credentials.ts';
import { issuedCertificate } from '../../../../agent/enrollment/est.ts';
import { certificateRequest } from '../../../../agent/enrollment/request.ts';
import { parseCertificateRequest } from '../../../../shared/enrollment/csr.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const notBefore = new Date('2026-01-01T00:00:00Z');
const notAfter = new Date('2026-01-31T00:00:00Z');

async function authority() {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const root = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=Root',
    keys,
    signingAlgorithm: algorithm,
    notBefore,
    notAfter,
  });
  const issue = (publicKey: webcrypto.CryptoKey, subject: string) =>
    X509CertificateGenerator.create({
      issuer: root.subject,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      publicKey,
      subject,
      notBefore,
      notAfter,
    });
  return { root, issue };
}

async function identity(name: string): Promise<{ certificatePem: string; privateKeyPem: string }> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const { issue } = await authority();
  return { certificatePem: (await issue(keys.publicKey, name)).toString('pem'), privateKeyPem: 'key' };
}

test('a request is one that the server accepts', async () => {
  const { request, privateKeyPem } = await certificateRequest({ serial: 'LNX-1', commonName: 'd-1' });
  expect(privateKeyPem).toContain('BEGIN PRIVATE KEY');
  expect(parseCertificateRequest(request)).toMatchObject({ serial: 'LNX-1', commonName: 'd-1' });
  expect(await new Pkcs10CertificateRequest(Buffer.from(request)).verify()).toBe(true);
});

test("picks the device's own certificate out of an answer with the chain, in any order", async () => {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const { root, issue } = await authority();
  const own = await issue(keys.publicKey, 'CN=d-1');
  for (const chain of [[own], [own, root], [root, own]]) {
    const body = Buffer.from(new X509Certificates(chain).export('raw')).toString('base64').replace(/.{64}/g, '$&\r\n');
    expect(new X509Certificate(issuedCertificate(body)).subject).toBe('CN=d-1');
  }
  const rootAlone = Buffer.from(new X509Certificates([root]).export('raw')).toString('base64');
  expect(() => issuedCertificate(rootAlone)).toThrow('no certificate of a device');
});

test('an answer that is no PKCS#7 is an error that says so', () => {
  expect(() => issuedCertificate('')).toThrow();
  fc.assert(
    fc.property(fc.oneof(fc.base64String(), fc.string()), (body) =>
      expect(() => issuedCertificate(body)).toThrow(/answer/),
    ),
  );
});

test('facts of a certificate, and when it is due', async () => {
  const { certificatePem } = await identity('CN=d-1, 2.5.4.5=S1');
  const facts = certificateFacts(certificatePem);
  expect(facts).toEqual({ deviceId: 'd-1', notBefore: notBefore.getTime(), notAfter: notAfter.getTime() });
  expect(new Date(renewalTime(facts)).toISOString()).toBe('2026-01-21T00:00:00.000Z');
  expect(() => certificateFacts('nonsense')).toThrow();
});

describe('Credentials', () => {
  async function withNext() {
    const current = await identity('CN=d-1');
    const next = await identity('CN=d-1');
    let saved: StoredIdentity = { current, next };
    const store = { load: () => saved, save: (value: StoredIdentity) => (saved = value) };
    const credentials = Credentials.load({ store, serial: 'S1' });
    if (credentials === undefined) throw new Error('nothing was loaded');
    return { credentials, current, next, saved: () => saved };
  }

  test('a renewed certificate is tried first and kept once it was accepted', async () => {
    const { credentials, next, saved } = await withNext();
    expect(credentials.take()).toBe(next);
    credentials.accepted(next);
    expect(saved()).toEqual({ current: next });
    expect(credentials.take()).toBe(next);
  });

  test('when it is not accepted, the one before it is used and the new one given up', async () => {
    const { credentials, current, saved } = await withNext();
    credentials.take();
    expect(credentials.take()).toBe(current);
    credentials.accepted(current);
    expect(saved()).toEqual({ current });
  });

  test('a check-in under the old one before the new one was tried changes nothing', async () => {
    const { credentials, current, next, saved } = await withNext();
    credentials.accepted(current);
    expect(saved()).toEqual({ current, next });
  });
});
