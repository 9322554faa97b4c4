import { timestamp } from '../clock.ts';
import { type Device, type DeviceId, deviceIdOf } from '../devices/device.ts';
import { type IssuedCertificate, issueDeviceCertificate, type Sign } from './certificate.ts';
import type { CertificateRequest } from './csr.ts';
import { type CertificateRecord, decideEnrollment, type EnrollmentRequest, Refusal } from './decide.ts';
import type { ThingRegistrar } from './registrar.ts';
import type { EnrollmentToken } from './token.ts';

/** Everything that one enrolment changes; the store writes all of it or nothing. */
export interface EnrollmentChange {
  /** The record as it was when the decision was made. */
  readonly before: Device | undefined;
  /** The record as it becomes. */
  readonly device: Device;
  readonly certificate: CertificateRecord;
  /** Its counter goes up by one, unless it was used up, expired or withdrawn in the meantime. */
  readonly token?: { readonly hash: string; readonly id: string };
  readonly method: EnrollmentRequest['method'];
  readonly at: number;
}

/** An attempt that was refused, for the audit trail. */
export interface RefusedEnrollment {
  readonly action: 'EnrollDevice' | 'RenewCertificate';
  readonly reason: string;
  /** Whom the request claimed to be, when it came so far. */
  readonly deviceId?: DeviceId;
  /** The record, if there is one: then the refusal is written to its history. */
  readonly device?: Device;
  readonly token?: { readonly hash: string; readonly id: string; readonly siteId?: string };
  readonly at: number;
}

/** What enrolment asks of storage (`store.ts`). */
export interface EnrollmentStore {
  token(hash: string): Promise<EnrollmentToken | undefined>;
  /** Consistent read. */
  device(id: DeviceId): Promise<Device | undefined>;
  certificate(fingerprint: string): Promise<CertificateRecord | undefined>;
  /** False, and nothing written, when something that the decision rested on has changed. */
  enroll(change: EnrollmentChange): Promise<boolean>;
  recordRefusal(refusal: RefusedEnrollment): Promise<void>;
}

/** What an enrolment needs beside the request. */
export interface EnrollmentMeans {
  readonly store: EnrollmentStore;
  readonly registrar: ThingRegistrar;
  readonly sign: Sign;
  /** The device CA's certificate, PEM. */
  readonly authorityPem: string;
  readonly certificateDays: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** How an enrolment ended. */
export type EnrollmentResult =
  | { readonly outcome: 'issued'; readonly certificate: CertificateRecord }
  | { readonly outcome: 'refused'; readonly reason: Refusal };

/** Too many others changed the same token at the same time; the device should ask again in a few seconds. */
export class EnrollmentBusy extends Error {
  constructor() {
    super('The enrolment could not be completed because of many others at the same time');
    this.name = 'EnrollmentBusy';
  }
}

/** After so many changes under its feet, an enrolment gives up for this time. */
const decisions = 5;

/**
 * Enrols a device over EST: decides, issues the certificate, writes token use, record, pin and audit in one
 * transaction, and only then makes the certificate known to AWS IoT Core.
 *
 * A crash after the transaction leaves a record whose certificate nobody has. The device asks again with the same
 * key and token and gets that very certificate, and the registration is completed then: every step of it may be
 * repeated. So there is no state from which the device or somebody else could go on with half an identity.
 *
 * @throws EnrollmentBusy, and whatever store, signer and registrar throw
 */
export async function enrollDevice(
  tokenHash: string,
  request: CertificateRequest,
  means: EnrollmentMeans,
): Promise<EnrollmentResult> {
  const id = deviceIdOf(request.serial);
  const asked: EnrollmentRequest = { method: 'est', tokenPresented: true, publicKeyHash: request.publicKeyHash };
  let issued: IssuedCertificate | undefined;
  for (let round = 0; round < decisions; round += 1) {
    const now = means.now();
    const [token, device] = await Promise.all([means.store.token(tokenHash), means.store.device(id)]);
    const pinned = device?.certificate === undefined ? undefined : await means.store.certificate(device.certificate);
    const decision = decideEnrollment(token, device, pinned, asked, now);
    const tokenRef = token === undefined ? undefined : { hash: tokenHash, id: token.id };
    if (decision.outcome === 'refuse') {
      await means.store.recordRefusal({
        action: 'EnrollDevice',
        reason: decision.reason,
        deviceId: id,
        at: now,
        ...(device === undefined ? {} : { device }),
        ...(tokenRef === undefined ? {} : { token: { ...tokenRef, ...siteOf(token) } }),
      });
      return { outcome: 'refused', reason: decision.reason };
    }
    if (decision.outcome === 'repeat') return register(decision.certificate, means);
    issued ??= await issueDeviceCertificate({
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
      ...(token === undefined ? {} : { tokenId: token.id }),
      issuedAt: timestamp(now),
      expiresAt: issued.expiresAt,
      pem: issued.pem,
    };
    const change: EnrollmentChange = {
      before: device,
      device: enrolledDevice(id, request.serial, device, token, certificate),
      certificate,
      ...(tokenRef === undefined ? {} : { token: tokenRef }),
      method: 'est',
      at: now,
    };
    if (await means.store.enroll(change)) return register(certificate, means);
  }
  throw new EnrollmentBusy();
}

/**
 * The record of a device from now on: what was pre-registered stays, the token fills in what was left open, and the
 * certificate is the only one that may speak for it.
 */
export function enrolledDevice(
  id: DeviceId,
  serial: string,
  before: Device | undefined,
  token: EnrollmentToken | undefined,
  certificate: CertificateRecord,
): Device {
  const siteId = before?.siteId ?? token?.siteId;
  // A unit belongs to a site: the token's unit counts only when the token's site does.
  const unitId = before?.unitId ?? (siteId === token?.siteId ? token?.unitId : undefined);
  return {
    ...(before ?? {
      id,
      serial,
      // Nobody has said what it is. `other` gets the most careful rules; every agent speaks the IoMT protocol.
      platform: token?.platform ?? 'iomt',
      class: token?.class ?? 'other',
      ownership: 'organization',
      createdAt: certificate.issuedAt,
      desiredVersion: 0,
      queueSeq: 0,
    }),
    ...(siteId === undefined ? {} : { siteId }),
    ...(unitId === undefined ? {} : { unitId }),
    lifecycle: 'enrolled',
    enrolledAt: certificate.issuedAt,
    certificate: certificate.fingerprint,
    certificateExpiresAt: certificate.expiresAt,
    certificateSince: certificate.issuedAt,
    version: (before?.version ?? 0) + 1,
  };
}

async function register(certificate: CertificateRecord, means: EnrollmentMeans): Promise<EnrollmentResult> {
  await means.registrar.register(certificate.deviceId, certificate.pem);
  // A revocation that ran beside us may have found nothing in IoT Core to revoke yet.
  const device = await means.store.device(certificate.deviceId);
  if (device?.lifecycle === 'enrolled' && device.certificate === certificate.fingerprint) {
    return { outcome: 'issued', certificate };
  }
  await means.registrar.revoke(certificate.fingerprint);
  return { outcome: 'refused', reason: Refusal.DeviceRevoked };
}

function siteOf(token: EnrollmentToken | undefined): { siteId?: string } {
  return token?.siteId === undefined ? {} : { siteId: token.siteId };
}
