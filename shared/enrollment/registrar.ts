import type { DeviceId } from '../devices/device.ts';

/**
 * AWS IoT Core's side of an identity, each method repeatable. A certificate is named by its fingerprint, which is its
 * id in IoT Core. One that IoT Core does not know is none that could connect: switching it off is no error.
 */
export interface CertificateSwitch {
  /** Takes an outdated certificate out of service (inactive). */
  retire(fingerprint: string): Promise<void>;
  /** Revokes a certificate for good. */
  revoke(fingerprint: string): Promise<void>;
}

/** The thing, its certificate and what ties them together. */
export interface ThingRegistrar extends CertificateSwitch {
  /**
   * Registers the certificate as active and attaches it, exclusively, to the device's thing, and the policy to it.
   * A repetition completes what is missing and never makes a certificate active again.
   */
  register(id: DeviceId, certificatePem: string): Promise<void>;
}

/** Cuts a device's live connection to IoT Core. */
export interface Disconnector {
  /** No error when the device is not connected. */
  disconnect(id: DeviceId): Promise<void>;
}
