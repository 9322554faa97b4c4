import { timestamp } from '../clock.ts';
import type { Device, DeviceId } from '../devices/device.ts';
import { type CertificateHolder, issueDeviceCertificate, readDeviceCertificate, readHolder } from './certificate.ts';
import type { CertificateRequest } from './csr.ts';
import type { CertificateRecord } from './decide.ts';
import { EnrollmentBusy, type EnrollmentMeans, type EnrollmentStore } from './enroll.ts';

/** Why a renewal is refused. */
export const RenewalRefusal = {
  /** The client certificate is not of our CA. The TLS front should have stopped it. */
  ForeignCertificate: 'foreign-certificate',
  /** The certificate is ours, but no longer (or not) the one that speaks for the device. */
  CertificateNotPinned: 'certificate-not-pinned',
  DeviceRevoked: 'device-revoked',
  /** The request names another device than the client certificate (RFC 7030, section 4.2.2). */
  SubjectDiffers: 'subject-differs',
} as const;
export type RenewalRefusal = (typeof RenewalRefusal)[keyof typeof RenewalRefusal];

/** One sentence for each refusal of a renewal. */
export const renewalSentences: Readonly<Record<RenewalRefusal, string>> = {
  'foreign-certificate': 'The client certificate was not issued by this authority.',
  'certificate-not-pinned': 'The client certificate does not speak for this device any more.',
  'device-revoked': 'The device was revoked.',
  'subject-differs': 'The subject of the request must be that of the client certificate.',
};

/** What one renewal changes. */
export interface RenewalChange {
  /** The record as it was when the decision was made. */
  readonly device: Device;
  /** Becomes `nextCertificate`. */
  readonly certificate: CertificateRecord;
  readonly at: number;
}

/** What renewal asks of storage beside what enrolment does. */
export interface RenewalStore extends EnrollmentStore {
  /** False, and nothing written, when the record has changed. */
  renew(change: RenewalChange): Promise<boolean>;
}

/** How a renewal ended. */
export type RenewalResult =
  | { readonly outcome: 'issued'; readonly certificate: CertificateRecord }
  | { readonly outcome: 'refused'; readonly reason: RenewalRefusal };

/** May this device renew, and if so, is it a repetition of a renewal that was already granted? Pure. */
export function decideRenewal(
  device: Device | undefined,
  client: { readonly fingerprint: string },
  waiting: CertificateRecord | undefined,
  request: Pick<CertificateRequest, 'serial' | 'commonName' | 'publicKeyHash'>,
):
  | { readonly outcome: 'renew' }
  | { readonly outcome: 'repeat'; readonly certificate: CertificateRecord }
  | { readonly outcome: 'refuse'; readonly reason: RenewalRefusal } {
  if (device === undefined) return { outcome: 'refuse', reason: RenewalRefusal.CertificateNotPinned };
  if (device.lifecycle !== 'enrolled') return { outcome: 'refuse', reason: RenewalRefusal.DeviceRevoked };
  // The waiting certificate becomes the pinned one at its first check-in; until then it cannot ask for a successor.
  if (client.fingerprint !== device.certificate) {
    return { outcome: 'refuse', reason: RenewalRefusal.CertificateNotPinned };
  }
  const sameName = request.commonName === undefined || request.commonName === device.id;
  if (request.serial !== device.serial || !sameName) {
    return { outcome: 'refuse', reason: RenewalRefusal.SubjectDiffers };
  }
  return waiting?.publicKeyHash === request.publicKeyHash
    ? { outcome: 'repeat', certificate: waiting }
    : { outcome: 'renew' };
}

/**
 * Renews the certificate of the device that speaks. The new certificate waits on the record (`nextCertificate`) beside
 * the old one, which works until the new one is first used: a lost answer, or a device that dies before it has stored
 * the new key, costs nothing. The same request again gives the same certificate.
 *
 * @param clientPem the client certificate of the TLS connection
 * @throws EnrollmentBusy, and whatever store, signer and registrar throw
 */
export async function renewDevice(
  clientPem: string,
  request: CertificateRequest,
  means: EnrollmentMeans & { readonly store: RenewalStore },
): Promise<RenewalResult> {
  const client = await clientOf(clientPem, means);
  if (client === undefined) {
    await means.store.recordRefusal({
      action: 'RenewCertificate',
      reason: RenewalRefusal.ForeignCertificate,
      at: means.now(),
    });
    return { outcome: 'refused', reason: RenewalRefusal.ForeignCertificate };
  }
  const id: DeviceId = client.commonName;
  for (let round = 0; round < decisions; round += 1) {
    const now = means.now();
    const device = await means.store.device(id);
    const waiting =
      device?.nextCertificate === undefined ? undefined : await means.store.certificate(device.nextCertificate);
    const decision = decideRenewal(device, client, waiting, request);
    if (decision.outcome === 'refuse' || device === undefined) {
      const reason = decision.outcome === 'refuse' ? decision.reason : RenewalRefusal.CertificateNotPinned;
      await means.store.recordRefusal({
        action: 'RenewCertificate',
        reason,
        deviceId: id,
        ...(device === undefined ? {} : { device }),
        at: now,
      });
      return { outcome: 'refused', reason };
    }
    if (decision.outcome === 'repeat') return register(decision.certificate, means);
    const issued = await issueDeviceCertificate({
      id,
      request,
      authorityPem: means.authorityPem,
      days: means.certificateDays,
      now,
      sign: means.sign,
    });
    const certificate: CertificateRecord = {
      fingerprint: issued.fingerprint,
      deviceId: id,
      publicKeyHash: request.publicKeyHash,
      issuedAt: timestamp(now),
      expiresAt: issued.expiresAt,
      pem: issued.pem,
    };
    if (!(await means.store.renew({ device, certificate, at: now }))) continue;
    // A renewal that was granted before and never used is of no use any more.
    if (device.nextCertificate !== undefined) await means.registrar.retire(device.nextCertificate);
    return register(certificate, means);
  }
  throw new EnrollmentBusy();
}

const decisions = 5;

/**
 * Whom the client certificate was issued to. One that an earlier key of the authority signed is as good as long as the
 * record names it: only certificates that we issued are ever named.
 */
async function clientOf(
  clientPem: string,
  { authorityPem, store }: Pick<EnrollmentMeans, 'authorityPem'> & { readonly store: Pick<RenewalStore, 'device'> },
): Promise<CertificateHolder | undefined> {
  const current = readDeviceCertificate(clientPem, authorityPem);
  if (current !== undefined) return current;
  const earlier = readHolder(clientPem);
  if (earlier === undefined) return undefined;
  const device = await store.device(earlier.commonName);
  return device?.certificate === earlier.fingerprint ? earlier : undefined;
}

async function register(certificate: CertificateRecord, means: EnrollmentMeans): Promise<RenewalResult> {
  await means.registrar.register(certificate.deviceId, certificate.pem);
  const device = await means.store.device(certificate.deviceId);
  const { fingerprint } = certificate;
  if (
    device?.lifecycle === 'enrolled' &&
    (device.nextCertificate === fingerprint || device.certificate === fingerprint)
  ) {
    return { outcome: 'issued', certificate };
  }
  // Revoked, or overtaken by another renewal, while we registered it.
  await means.registrar.revoke(fingerprint);
  return { outcome: 'refused', reason: RenewalRefusal.CertificateNotPinned };
}
