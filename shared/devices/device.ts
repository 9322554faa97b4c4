import { createHash } from 'node:crypto';

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
  const digest = createHash('sha256').update(`wardline:serial:${normalizeSerial(serial)}`).digest();
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
