import 'reflect-metadata';
import { createPrivateKey, webcrypto } from 'node:crypto';
import { Name, Pkcs10CertificateRequestGenerator } from '@peculiar/x509';

/** A fresh key with the certificate signing request that it signed. */
export interface CertificateRequest {
  /** PKCS#8, PEM. Stays on the device. */
  readonly privateKeyPem: string;
  /** PKCS#10 (RFC 2986), DER. */
  readonly request: Uint8Array;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** The attribute types of RFC 4519 that a device's subject has. */
const SERIAL_NUMBER = '2.5.4.5';
const COMMON_NAME = '2.5.4.3';

/**
 * Makes a P-256 key and a request whose subject is `serialNumber=<serial>`, as enrolment asks for. A renewal also
 * carries the common name, because RFC 7030 section 4.2.2 wants the subject of the certificate that it replaces.
 */
export async function certificateRequest(subject: {
  serial: string;
  commonName?: string;
}): Promise<CertificateRequest> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const name = new Name([
    ...(subject.commonName === undefined ? [] : [{ [COMMON_NAME]: [{ utf8String: subject.commonName }] }]),
    { [SERIAL_NUMBER]: [{ printableString: subject.serial }] },
  ]);
  const request = await Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm: algorithm });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return {
    privateKeyPem: createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
      .export({ format: 'pem', type: 'pkcs8' })
      .toString(),
    request: new Uint8Array(request.rawData),
  };
}
