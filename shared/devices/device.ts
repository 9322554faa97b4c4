import { createHash } from 'node:crypto';
import type { Compliance } from '../compliance/assess.ts';
import type { Signals } from '../interlock/signals.ts';

/** Which adapter speaks to the device. */
export const Platform = {
  Apple: 'apple',
  Android: 'android',
  Windows: 'windows',
  Linux: 'linux',
  Iomt: 'iomt',
} as const;
export type Platform = (typeof Platform)[keyof typeof Platform];

/** What the device is to the ward. It decides default safety rules, so it is a closed list. */
export const DeviceClass = {
  Phone: 'phone',
  Tablet: 'tablet',
  Workstation: 'workstation',
  InfusionPump: 'infusion-pump',
  PatientMonitor: 'patient-monitor',
  Ventilator: 'ventilator',
  Other: 'other',
} as const;
export type DeviceClass = (typeof DeviceClass)[keyof typeof DeviceClass];

export const Ownership = { Organization: 'organization', Personal: 'personal' } as const;
export type Ownership = (typeof Ownership)[keyof typeof Ownership];

/** Where a device is in its life with us. Only an `enrolled` device is served commands. */
export const Lifecycle = {
  /** Pre-registered: known by serial, has no certificate yet. */
  Expected: 'expected',
  Enrolled: 'enrolled',
  /** Certificate revoked; may enrol again only after it was pre-registered anew. */
  Revoked: 'revoked',
} as const;
export type Lifecycle = (typeof Lifecycle)[keyof typeof Lifecycle];

/** What the device itself says of its clinical use (DESIGN principle 3: unknown is in use). */
export const ClinicalState = {
  Idle: 'idle',
  InUse: 'in-use',
  Standby: 'standby',
  Service: 'service',
  Unknown: 'unknown',
} as const;
export type ClinicalState = (typeof ClinicalState)[keyof typeof ClinicalState];

/**
 * Words of IEEE 11073-10207 (BICEPS, SDC), for devices that speak them: `MdsState/@OperatingMode`, `@ActivationState`, and
 * the `@ContextAssociation` of the patient context.
 */
export const OperatingMode = { Normal: 'Nml', Demo: 'Dmo', Service: 'Srv', Maintenance: 'Mtn' } as const;
export type OperatingMode = (typeof OperatingMode)[keyof typeof OperatingMode];
export const ActivationState = {
  On: 'On',
  NotReady: 'NotRdy',
  Standby: 'StndBy',
  Off: 'Off',
  ShuttingDown: 'Shtdn',
  Failure: 'Fail',
} as const;
export type ActivationState = (typeof ActivationState)[keyof typeof ActivationState];
export const ContextAssociation = { None: 'No', Pre: 'Pre', Associated: 'Assoc', Disassociated: 'Dis' } as const;
export type ContextAssociation = (typeof ContextAssociation)[keyof typeof ContextAssociation];

/** `d-` and 24 characters. Also the IoT thing name, the MQTT client id, and the common name of the device certificate. */
export type DeviceId = string;

/** Lower-case Crockford base 32: no letter that is mistaken for a digit when read over the phone. */
const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';

/** A serial number as it is compared: surrounding blanks removed, upper case. */
export function normalizeSerial(serial: string): string {
  return serial.trim().toUpperCase();
}

/**
 * The id of the device with this serial number. It is derived, not drawn: enrolment paths that see only the serial
 * (a CSR, before any table was read) agree on it, two records for one device cannot exist, and a device that comes
 * back after a repair is the same device. 120 bits of SHA-256.
 */
export function deviceIdOf(serial: string): DeviceId {
  const digest = createHash('sha256')
    .update(`wardline:serial:${normalizeSerial(serial)}`)
    .digest();
  let bits = 0;
  let value = 0;
  let text = '';
  for (const byte of digest.subarray(0, 15)) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += CROCKFORD[(value >>> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  return `d-${text}`;
}

/** How a device reached us last. */
export const Channel = { Mqtt: 'mqtt', Https: 'https' } as const;
export type Channel = (typeof Channel)[keyof typeof Channel];

/** Clinical use as the device reported it last. */
export interface ClinicalReport {
  readonly state: ClinicalState;
  /** When, on the device's clock, held against ours (`effectiveTime`). RFC 3339. */
  readonly at: string;
  readonly operatingMode?: OperatingMode;
  readonly activationState?: ActivationState;
  readonly contextAssociation?: ContextAssociation;
  /** The message that said it had a time that cannot be (`believedTime`): nobody knows how old its word is. */
  readonly ageUnknown?: true;
}

/** Power as the last posture report had it. */
export interface Power {
  /** On its charger, dock or mains. */
  readonly charging?: boolean;
  /** Charge of the battery, percent. */
  readonly percent?: number;
}

/** Which inventory or posture report is stored beside the head. */
export interface StoredReport {
  /** 128 bits of SHA-256 over the report's canonical JSON, base64url: an equal report is not written again. */
  readonly hash: string;
  /** When, on the device's clock, held against ours (`effectiveTime`). RFC 3339. */
  readonly at: string;
}

/** Connected or not, from IoT lifecycle events, which come twice, late and in any order. */
export interface Presence {
  readonly connected: boolean;
  /** When the broker saw it (RFC 3339). */
  readonly at: string;
  /** The broker's session: a `disconnected` of an older session says nothing about the newer one. */
  readonly sessionId: string;
  /** The broker's counter of the client's connections; it grows, so it orders the events. */
  readonly version: number;
}

/**
 * The device as the head item holds it: small (at most 1 KB, so that a write costs one unit), read at each check-in.
 * What is large or rarely read (inventory, posture, history) lies beside it in the same partition.
 */
export interface Device {
  readonly id: DeviceId;
  readonly serial: string;
  readonly platform: Platform;
  readonly class: DeviceClass;
  readonly ownership: Ownership;
  readonly siteId?: string;
  readonly unitId?: string;
  readonly lifecycle: Lifecycle;
  readonly model?: string;
  readonly name?: string;
  /** Where it stands, as an HL7 PL (`shared/places/location.ts`). */
  readonly location?: string;
  /** Who it is assigned to: a user name of the hospital's directory. */
  readonly user?: string;
  /** What the last security report amounts to (`shared/compliance/assess.ts`); none yet counts as unknown. */
  readonly compliance?: Compliance;
  /** Since when the record exists (RFC 3339). */
  readonly createdAt: string;
  readonly enrolledAt?: string;

  /** SHA-256 of the DER of the only certificate that may speak for the device, lower-case hex (also its IoT certificate id). */
  readonly certificate?: string;
  readonly certificateExpiresAt?: string;
  /** Since when it is the pinned one (RFC 3339). */
  readonly certificateSince?: string;
  /** Issued by renewal; its first use makes it the pinned one. */
  readonly nextCertificate?: string;
  readonly nextCertificateExpiresAt?: string;

  /** Time of the last check-in, coarse: written at most once an hour (RFC 3339). */
  readonly lastSeenAt?: string;
  readonly channel?: Channel;
  readonly clinical?: ClinicalReport;
  readonly presence?: Presence;
  readonly inventory?: StoredReport;
  readonly posture?: StoredReport;
  readonly power?: Power;
  /** What other systems say of its use. */
  readonly signals?: Signals;
  /** Version of the desired state that the device should have; 0 = none was set. */
  readonly desiredVersion: number;
  /** Version of the desired state that the device says it has. */
  readonly reportedVersion?: number;
  /** When `reportedVersion` was said (device's clock, held against ours). */
  readonly reportedAt?: string;

  /** How many commands were ever queued; each queued command takes the next number, which also orders wake-ups. */
  readonly queueSeq: number;
  /** Grows with each change by the management API or enrolment, not with check-ins: the ETag. */
  readonly version: number;
}
