import fc from 'fast-check';
import { deviceIdOf } from '../../../../shared/devices/device.ts';
import { issueDeviceCertificate } from '../../../../shared/enrollment/certificate.ts';
import { parseCertificateRequest } from '../../../../shared/enrollment/csr.ts';
import { decideProvisioning, issueForClaim, type ProvisioningMeans } from '../../../../shared/enrollment/provision.ts';
import { hostileText } from '../../../support/hostile.ts';
import { MemoryEnrollment } from '../../../support/memory-enrollment.ts';
import { requestFor, type TestAuthority, testAuthority } from '../../../support/pki.ts';

const start = Date.parse('2030-01-02T03:04:05Z');
let authority: TestAuthority;
let store: MemoryEnrollment;
let means: ProvisioningMeans;

beforeAll(async () => {
  authority = await testAuthority(start);
});
beforeEach(() => {
  store = new MemoryEnrollment();
  means = { store, authorityPem: authority.certificate.pem, now: () => start };
});

const issued = async (serial: string, by = authority) =>
  (
    await issueDeviceCertificate({
      id: deviceIdOf(serial),
      request: parseCertificateRequest(requestFor(serial)),
      authorityPem: by.certificate.pem,
      days: 30,
      now: start,
      sign: by.sign,
    })
  ).pem;

test('whatever a claim brings, nothing is enrolled without a token or a registration, and it is told no', async () => {
  const [own, foreign] = [await issued('A1'), await issued('A1', await testAuthority(start))];
  const secret = store.addToken({ allowUnknown: false }, start);
  const value = fc.oneof(hostileText, fc.constantFrom('A1', 'a1 ', secret), fc.anything());
  const parameters = fc.dictionary(
    fc.constantFrom('SerialNumber', 'Token', 'DeviceId', '__proto__', 'constructor'),
    value,
  );
  const certificate = fc.oneof(fc.constantFrom(own, foreign, `${own}${foreign}`, ''), hostileText);
  await fc.assert(
    fc.asyncProperty(certificate, parameters, async (certificatePem, sent) => {
      const { outcome } = await decideProvisioning({ certificatePem, parameters: sent }, means);
      expect(outcome).toBe('refused');
      expect(JSON.stringify(store.refusals)).not.toContain(secret);
    }),
    { numRuns: 500 },
  );
  expect([store.devices.size, store.certificates.size]).toEqual([0, 0]);
});

test('a device is enrolled as what its certificate says, whatever its parameters say besides', async () => {
  const secret = store.addToken({}, start);
  const sent = { SerialNumber: 'a1', Token: secret, DeviceId: deviceIdOf('B2'), ThingName: deviceIdOf('B2') };
  const result = await decideProvisioning({ certificatePem: await issued('A1'), parameters: sent }, means);
  expect(result).toMatchObject({ outcome: 'allowed', deviceId: deviceIdOf('A1') });
  expect([...store.devices.keys()]).toEqual([deviceIdOf('A1')]);
});

test('no certificate is issued in the name of a device that has one with another key', async () => {
  const sent = { SerialNumber: 'A1', Token: store.addToken({}, start) };
  await decideProvisioning({ certificatePem: await issued('A1'), parameters: sent }, means);
  const claim = issueForClaim(parseCertificateRequest(requestFor('A1')), {
    ...means,
    certificateDays: 30,
    sign: authority.sign,
  });
  await expect(claim).rejects.toThrow(/enrolled with another key/);
});
