import type { Device } from '../devices/device.ts';
import type { CertificateSwitch, Disconnector } from './registrar.ts';

/** The certificates that a record names. */
interface Certificates {
  readonly certificate?: string | undefined;
  readonly nextCertificate?: string | undefined;
}

/**
 * Takes AWS IoT Core's side of a revoked device away: revokes its certificates, the waiting one too, and cuts its
 * connection. Call it after the record says `revoked` (`revokeDevice` of `shared/devices/store.ts`), which by itself
 * already ends every check-in. All of it may be repeated. Called for what the stream of the Devices table tells
 * (`functions/device-retire`), so that a crash after the record was written leaves nobody connected.
 */
export async function cutOff(
  device: Pick<Device, 'id'> & Certificates,
  switches: CertificateSwitch,
  connections: Disconnector,
): Promise<void> {
  const certificates = [device.certificate, device.nextCertificate].filter((one) => one !== undefined);
  for (const fingerprint of certificates) await switches.revoke(fingerprint);
  // Last: with its certificate still active the device would be back in a second.
  await connections.disconnect(device.id);
}

/**
 * What a change of a device's record means for its certificates. Pure.
 *
 * @returns `revoked` when the device must be cut off; otherwise the certificates that the record no longer names and
 * that are therefore to be retired: the old one once the renewed one was used, or a renewed one that was overtaken
 */
export function outdatedCertificates(
  before: Pick<Device, 'lifecycle'> & Certificates,
  after: Pick<Device, 'lifecycle'> & Certificates,
): { readonly revoked: boolean; readonly retired: readonly string[] } {
  if (after.lifecycle === 'revoked') return { revoked: before.lifecycle !== 'revoked', retired: [] };
  const kept = new Set([after.certificate, after.nextCertificate]);
  const retired = [before.certificate, before.nextCertificate].filter((one) => one !== undefined && !kept.has(one));
  // A record that is expected anew after a revocation names no certificate; those it had were revoked then.
  return { revoked: false, retired: before.lifecycle === 'enrolled' ? (retired as string[]) : [] };
}
