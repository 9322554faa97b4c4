import { timestamp } from '../clock.ts';
import { deviceIdOf } from '../devices/device.ts';
import {
  type CertificateHolder,
  derOf,
  type IssuedCertificate,
  issueDeviceCertificate,
  readDeviceCertificate,
} from './certificate.ts';
import { type CertificateRequest, InvalidCertificateRequest } from './csr.ts';
import { type CertificateRecord, decideEnrollment, type EnrollmentRequest, type Refusal } from './decide.ts';
import { EnrollmentBusy, type EnrollmentMeans, type EnrollmentStore, enrolledDevice } from './enroll.ts';
import { pemOf } from './pem.ts';
import type { RenewalStore } from './renew.ts';
import { parseSerial } from './serial.ts';
import { tokenHash } from './token.ts';

/** What the pre-provisioning hook is asked (AWS IoT fleet provisioning, payload version 2020-04-01). */
export interface ProvisioningRequest {
  /** The certificate that AWS IoT had our authority issue for the device's request. */
  readonly certificatePem: string;
  /** As the device sent them: `SerialNumber`, and `Token` if it has one. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Why a claim is refused: the reasons of every enrolment, and two of its own. */
export type ProvisioningRefusal = Refusal | 'foreign-certificate' | 'serial-differs';

/** The hook's decision. */
export type ProvisioningResult =
  | { readonly outcome: 'allowed'; readonly deviceId: string; readonly fingerprint: string }
  | { readonly outcome: 'refused'; readonly reason: ProvisioningRefusal };

/** What the hook needs: it neither signs nor talks to AWS IoT Core, which does its part after us. */
export type ProvisioningMeans = Pick<EnrollmentMeans, 'authorityPem' | 'now'> & { readonly store: RenewalStore };

/**
 * Issues the certificate for a request that came over MQTT (AWS IoT certificate provider). Nobody has decided yet that
 * the device may enrol: AWS IoT keeps the certificate inactive until the hook has, and our own doors only open to a
 * certificate that a record names. Still, none is issued in the name of a device that has one with another key.
 *
 * @throws InvalidCertificateRequest when the request must not be certified
 */
export async function issueForClaim(
  request: CertificateRequest,
  means: Pick<EnrollmentMeans, 'authorityPem' | 'certificateDays' | 'sign' | 'now'> & {
    readonly store: Pick<EnrollmentStore, 'device' | 'certificate'>;
  },
): Promise<IssuedCertificate> {
  const id = deviceIdOf(request.serial);
  const device = await means.store.device(id);
  if (device?.lifecycle === 'revoked') throw new InvalidCertificateRequest('The device was revoked');
  if (device?.lifecycle === 'enrolled' && device.certificate !== undefined) {
    const pinned = await means.store.certificate(device.certificate);
    if (pinned?.publicKeyHash !== request.publicKeyHash) {
      throw new InvalidCertificateRequest('A device with this serial number is enrolled with another key');
    }
  }
  return issueDeviceCertificate({
    id,
    request,
    authorityPem: means.authorityPem,
    days: means.certificateDays,
    now: means.now(),
    sign: means.sign,
  });
}

/**
 * Decides whether AWS IoT may provision a device, and if so writes record, pin, token use and audit in one transaction,
 * before AWS IoT creates the thing. When provisioning breaks off after that, the device asks again: with the same
 * certificate it is simply allowed; with a new certificate for the same key that one waits on the record as a renewed
 * certificate does.
 *
 * @throws EnrollmentBusy, and whatever the store throws; AWS IoT takes every error for a refusal
 */
export async function decideProvisioning(
  request: ProvisioningRequest,
  means: ProvisioningMeans,
): Promise<ProvisioningResult> {
  const holder = readDeviceCertificate(request.certificatePem, means.authorityPem);
  if (holder === undefined) return refuseStranger('foreign-certificate', means);
  const serial = parseSerial(textOf(request.parameters['SerialNumber']) ?? '');
  if (serial !== holder.serial || deviceIdOf(holder.serial) !== holder.commonName) {
    return refuseStranger('serial-differs', means, holder.commonName);
  }
  const secret = textOf(request.parameters['Token']);
  return decide(holder, serial, request.certificatePem, secret === undefined ? undefined : tokenHash(secret), means);
}

async function decide(
  holder: CertificateHolder,
  serial: string,
  pem: string,
  hash: string | undefined,
  means: ProvisioningMeans,
): Promise<ProvisioningResult> {
  const id = holder.commonName;
  const { fingerprint, publicKeyHash } = holder;
  const asked: EnrollmentRequest = { method: 'claim', tokenPresented: hash !== undefined, publicKeyHash };
  const allowed = { outcome: 'allowed', deviceId: id, fingerprint } as const;
  for (let round = 0; round < decisions; round += 1) {
    const now = means.now();
    const [token, device] = await Promise.all([
      hash === undefined ? undefined : means.store.token(hash),
      means.store.device(id),
    ]);
    const knownHere = device?.certificate === fingerprint || device?.nextCertificate === fingerprint;
    if (device?.lifecycle === 'enrolled' && knownHere) return allowed;
    const pinned = device?.certificate === undefined ? undefined : await means.store.certificate(device.certificate);
    const decision = decideEnrollment(token, device, pinned, asked, now);
    const tokenRef = hash === undefined || token === undefined ? undefined : { hash, id: token.id };
    if (decision.outcome === 'refuse') {
      await means.store.recordRefusal({
        action: 'EnrollDevice',
        reason: decision.reason,
        deviceId: id,
        ...(device === undefined ? {} : { device }),
        ...(tokenRef === undefined ? {} : { token: tokenRef }),
        at: now,
      });
      return { outcome: 'refused', reason: decision.reason };
    }
    const certificate: CertificateRecord = {
      fingerprint,
      deviceId: id,
      publicKeyHash,
      ...(token === undefined ? {} : { tokenId: token.id }),
      issuedAt: timestamp(now),
      expiresAt: holder.expiresAt,
      pem: pemOf('CERTIFICATE', derOf(pem)),
    };
    const done =
      decision.outcome === 'repeat' && device !== undefined
        ? await means.store.renew({ device, certificate, at: now })
        : await means.store.enroll({
            before: device,
            device: enrolledDevice(id, serial, device, token, certificate),
            certificate,
            ...(tokenRef === undefined ? {} : { token: tokenRef }),
            method: 'claim',
            at: now,
          });
    if (done) return allowed;
  }
  throw new EnrollmentBusy();
}

const decisions = 5;

async function refuseStranger(
  reason: 'foreign-certificate' | 'serial-differs',
  means: ProvisioningMeans,
  deviceId?: string,
): Promise<ProvisioningResult> {
  const device = deviceId === undefined ? undefined : await means.store.device(deviceId);
  await means.store.recordRefusal({
    action: 'EnrollDevice',
    reason,
    ...(deviceId === undefined ? {} : { deviceId }),
    ...(device === undefined ? {} : { device }),
    at: means.now(),
  });
  return { outcome: 'refused', reason };
}

/** A non-empty text, or nothing: AWS IoT hands on what the device sent. */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
