import { X509Certificate } from 'node:crypto';
import { isTrusted } from '../../../../local/api/client-trust.ts';
import { issueDeviceCertificate } from '../../../../shared/enrollment/certificate.ts';
import { deviceKeys, type TestAuthority, testAuthority } from '../../../support/pki.ts';

const hour = 3_600_000;
const now = Date.parse('2027-03-01T00:00:00Z');

async function certificateOf(authority: TestAuthority, at: number): Promise<X509Certificate> {
  const publicKey = new Uint8Array(deviceKeys().publicKey.export({ type: 'spki', format: 'der' }));
  const { pem } = await issueDeviceCertificate({
    ...{ id: 'd-1', request: { serial: 'S-1', publicKey, publicKeyHash: '' }, now: at, days: 1 },
    ...{ authorityPem: authority.certificate.pem, sign: authority.sign },
  });
  return new X509Certificate(pem);
}

test('a certificate of the truststore is good by the time of the cloud, whatever the wall clock says', async () => {
  const [own, other] = [await testAuthority(now), await testAuthority(now)];
  const truststore = `${other.certificate.pem}\n${own.certificate.pem}`;
  const certificate = await certificateOf(own, now);
  const verdict = (error: string | undefined) => ({ authorized: error === undefined, error });
  const trusted = (error: string | undefined, at: number, pem = truststore) =>
    isTrusted(certificate, verdict(error), pem, at);
  expect(trusted(undefined, now + hour)).toBe(true);
  expect(trusted('CERT_NOT_YET_VALID', now + hour)).toBe(true);
  expect(trusted('CERT_HAS_EXPIRED', now + hour)).toBe(true);
  // Good by the wall clock, and not by the cloud's.
  expect(trusted(undefined, now + 50 * hour)).toBe(false);
  expect(trusted(undefined, now - 50 * hour)).toBe(false);
  // Of another authority, which OpenSSL does not say when the time is wrong too.
  expect(trusted('CERT_NOT_YET_VALID', now + hour, other.certificate.pem)).toBe(false);
  expect(trusted('UNABLE_TO_VERIFY_LEAF_SIGNATURE', now + hour)).toBe(false);
  expect(isTrusted(undefined, verdict(undefined), truststore, now)).toBe(false);
});
