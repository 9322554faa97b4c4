import { type Channel, type Device, Lifecycle } from './device.ts';

/** Who is at the door, as the front door has proven it. */
export interface Caller {
  /** The device that the certificate was issued to (its common name; over MQTT, the thing). */
  readonly deviceId: string;
  /** SHA-256 of the DER of the client certificate, lower-case hex; over MQTT, the certificate id of IoT Core, which is the same. */
  readonly certificate: string;
  readonly channel: Channel;
}

/** Why a caller is not served. */
export type Refusal = 'unknown-device' | 'not-enrolled' | 'revoked' | 'foreign-certificate';

/**
 * Whether the caller is the device. A certificate that our authority signed is not enough: only the one that the
 * record names speaks for the device, so that an older, copied or reissued one does not.
 *
 * @returns `pinned`; `next` at the first use of a renewed certificate, which makes it the pinned one; or why not
 */
export function recognize(device: Device | undefined, caller: Caller): 'pinned' | 'next' | Refusal {
  if (device === undefined) return 'unknown-device';
  if (device.lifecycle === Lifecycle.Revoked) return 'revoked';
  if (device.lifecycle !== Lifecycle.Enrolled) return 'not-enrolled';
  if (device.certificate === caller.certificate) return 'pinned';
  if (device.nextCertificate === caller.certificate) return 'next';
  return 'foreign-certificate';
}

/** Whether the caller is refused. */
export const isRefusal = (verdict: 'pinned' | 'next' | Refusal): verdict is Refusal =>
  verdict !== 'pinned' && verdict !== 'next';
