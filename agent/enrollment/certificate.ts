import { X509Certificate } from 'node:crypto';

/** What an agent needs to know of its own certificate. */
export interface CertificateFacts {
  /** The subject's common name: device id, thing name and MQTT client id at once. */
  readonly deviceId: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Reads a certificate in PEM; throws when it is none or has no common name. */
export function certificateFacts(pem: string): CertificateFacts {
  const certificate = new X509Certificate(pem);
  const commonName = certificate.subject
    .split('\n')
    .find((line) => line.startsWith('CN='))
    ?.slice('CN='.length);
  if (commonName === undefined || commonName === '') throw new Error('the certificate has no common name');
  return {
    deviceId: commonName,
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
  };
}

/**
 * When a certificate is due for renewal: after two thirds of its life, so that a device which is away for weeks still
 * has a valid one when it comes back. Milliseconds since the epoch.
 */
export function renewalTime(facts: Pick<CertificateFacts, 'notBefore' | 'notAfter'>): number {
  return facts.notBefore + Math.floor(((facts.notAfter - facts.notBefore) * 2) / 3);
}
