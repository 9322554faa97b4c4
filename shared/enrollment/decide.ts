import type { Device } from '../devices/device.ts';
import type { EnrollmentToken } from './token.ts';

/** Why an enrolment is refused. These names appear in answers, audit records and `docs/enrollment.md`. */
export const Refusal = {
  TokenUnknown: 'token-unknown',
  TokenRevoked: 'token-revoked',
  TokenExpired: 'token-expired',
  TokenUsedUp: 'token-used-up',
  WrongSite: 'wrong-site',
  WrongUnit: 'wrong-unit',
  WrongClass: 'wrong-class',
  WrongPlatform: 'wrong-platform',
  AlreadyEnrolled: 'already-enrolled',
  NotPreRegistered: 'not-pre-registered',
  DeviceRevoked: 'device-revoked',
} as const;
export type Refusal = (typeof Refusal)[keyof typeof Refusal];

/** One sentence for each refusal, for the person in front of the device. It tells nothing that a stranger could use. */
export const refusalSentences: Readonly<Record<Refusal, string>> = {
  'token-unknown': 'The enrolment token is not valid.',
  'token-revoked': 'The enrolment token was withdrawn.',
  'token-expired': 'The enrolment token has expired.',
  'token-used-up': 'The enrolment token has been used as often as it allows.',
  'wrong-site': 'The device is registered for another site than the enrolment token.',
  'wrong-unit': 'The device is registered for another unit than the enrolment token.',
  'wrong-class': 'The device is registered as another class than the enrolment token admits.',
  'wrong-platform': 'The device is registered for another platform than the enrolment token admits.',
  'already-enrolled':
    'A device with this serial number is already enrolled. To enrol it anew, revoke it and pre-register it again.',
  'not-pre-registered': 'No device with this serial number is pre-registered, and the token does not admit others.',
  'device-revoked': 'The device was revoked. To enrol it anew, pre-register it again.',
};

/** Which door the device came through. */
export const Method = {
  /** EST `simpleenroll` with a token. */
  Est: 'est',
  /** AWS IoT fleet provisioning with a claim certificate; a token is optional. */
  Claim: 'claim',
} as const;
export type Method = (typeof Method)[keyof typeof Method];

/** What a device asks for. */
export interface EnrollmentRequest {
  readonly method: Method;
  /** Whether a token was presented, known to us or not. */
  readonly tokenPresented: boolean;
  /** SHA-256 of the key that the certificate is for (and whose possession was proven). */
  readonly publicKeyHash: string;
}

/** What we keep of a certificate that we issued, beside the PEM. */
export interface CertificateRecord {
  readonly fingerprint: string;
  readonly deviceId: string;
  readonly publicKeyHash: string;
  /** The token that it was issued for; none for claim enrolment without token and for renewals. */
  readonly tokenId?: string;
  /** RFC 3339. */
  readonly issuedAt: string;
  readonly expiresAt: string;
  readonly pem: string;
}

/** The answer: enrol, hand out again what was issued already, or refuse and say why. */
export type EnrollmentDecision =
  | { readonly outcome: 'enroll' }
  | { readonly outcome: 'repeat'; readonly certificate: CertificateRecord }
  | { readonly outcome: 'refuse'; readonly reason: Refusal };

/**
 * How long the same device (same key, same token) may ask again and get the certificate that was already issued to it.
 * An answer that was lost on the way must not cost the technician a second token. It gives nothing away: the certificate
 * is of use only to the holder of the key, who has just proven to hold it.
 */
export const repeatWindow = 24 * 60 * 60 * 1000;

/**
 * Decides whether a device may enrol. Pure: the same arguments give the same answer, and the caller makes sure, by the
 * conditions of its transaction, that the facts still hold when it acts.
 *
 * @param token the token that was presented, if it is known
 * @param device the device's record, if it has one
 * @param pinned the certificate that the record names, if it is enrolled
 * @param now milliseconds since the epoch
 */
export function decideEnrollment(
  token: EnrollmentToken | undefined,
  device: Device | undefined,
  pinned: CertificateRecord | undefined,
  request: EnrollmentRequest,
  now: number,
): EnrollmentDecision {
  if (token === undefined && (request.tokenPresented || request.method === 'est')) return refuse(Refusal.TokenUnknown);
  if (token?.revokedAt !== undefined) return refuse(Refusal.TokenRevoked);
  if (device?.lifecycle === 'enrolled') {
    return pinned !== undefined && isRepeat(token, pinned, request, now)
      ? { outcome: 'repeat', certificate: pinned }
      : refuse(expiryOrUse(token, now) ?? Refusal.AlreadyEnrolled);
  }
  const spent = expiryOrUse(token, now);
  if (spent !== undefined) return refuse(spent);
  if (device === undefined) {
    return token?.allowUnknown === true ? { outcome: 'enroll' } : refuse(Refusal.NotPreRegistered);
  }
  if (device.lifecycle === 'revoked') return refuse(Refusal.DeviceRevoked);
  const foreign = token === undefined ? undefined : mismatch(token, device);
  return foreign === undefined ? { outcome: 'enroll' } : refuse(foreign);
}

function isRepeat(
  token: EnrollmentToken | undefined,
  pinned: CertificateRecord,
  request: EnrollmentRequest,
  now: number,
): boolean {
  return (
    pinned.publicKeyHash === request.publicKeyHash &&
    pinned.tokenId === token?.id &&
    now - Date.parse(pinned.issuedAt) < repeatWindow
  );
}

function expiryOrUse(token: EnrollmentToken | undefined, now: number): Refusal | undefined {
  if (token === undefined) return undefined;
  if (Date.parse(token.expiresAt) <= now) return Refusal.TokenExpired;
  if (token.used >= token.uses) return Refusal.TokenUsedUp;
  return undefined;
}

/** In what the token's limits contradict the record. What the record leaves open (no site yet) the token fills in. */
function mismatch(token: EnrollmentToken, device: Device): Refusal | undefined {
  const differs = (limit: string | undefined, actual: string | undefined) =>
    limit !== undefined && actual !== undefined && limit !== actual;
  if (differs(token.siteId, device.siteId)) return Refusal.WrongSite;
  if (differs(token.unitId, device.unitId)) return Refusal.WrongUnit;
  if (differs(token.class, device.class)) return Refusal.WrongClass;
  if (differs(token.platform, device.platform)) return Refusal.WrongPlatform;
  return undefined;
}

function refuse(reason: Refusal): EnrollmentDecision {
  return { outcome: 'refuse', reason };
}
