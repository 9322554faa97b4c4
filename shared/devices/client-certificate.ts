import { X509Certificate } from 'node:crypto';
import { problems } from '../http/problem.ts';
import { Channel } from './device.ts';
import type { Caller } from './recognize.ts';

/** Our authority writes nothing but a device id into the common name. */
const commonName = /^CN=(d-[0-9a-z]{24})$/m;

/**
 * Who calls over HTTPS, from the client certificate alone. API Gateway has verified that the caller holds its key and
 * that our authority signed it; whether it is still the device's certificate is for `recognize` to say.
 *
 * @param pem `requestContext.authentication.clientCert.clientCertPem`
 * @throws ProblemError 403 without a certificate, or with one that names no device
 */
export function callerOf(pem: string | undefined): Caller {
  const certificate = pem === undefined ? undefined : readCertificate(pem);
  const deviceId = commonName.exec(certificate?.subject ?? '')?.[1];
  if (certificate === undefined || deviceId === undefined) {
    throw problems.forbidden('A client certificate of an enrolled device is needed.');
  }
  return { deviceId, certificate: fingerprintOf(certificate), channel: Channel.Https };
}

function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    // What cannot be read names nobody.
    return undefined;
  }
}

/** SHA-256 of the DER, lower-case hex: what the record pins, and what AWS IoT Core calls the certificate's id. */
const fingerprintOf = (certificate: X509Certificate): string =>
  certificate.fingerprint256.replaceAll(':', '').toLowerCase();
