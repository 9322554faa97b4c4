import 'reflect-metadata';
import { createPrivateKey, createPublicKey, webcrypto } from 'node:crypto';
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

/** A new P-256 key, PKCS#8, PEM. */
export async function newPrivateKey(): Promise<string> {
  const { privateKey } = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey));
  return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString();
}

/**
 * Makes a request whose subject is `serialNumber=<serial>`, as enrolment asks for, and a P-256 key for it unless there
 * is one. A renewal also carries the common name, because RFC 7030 section 4.2.2 wants the subject of the certificate
 * that it replaces.
 */
export async function certificateRequest(
  subject: { serial: string; commonName?: string },
  key?: string,
): Promise<CertificateRequest> {
  const privateKeyPem = key ?? (await newPrivateKey());
  const keys = await keyPair(privateKeyPem);
  const name = new Name([
    ...(subject.commonName === undefined ? [] : [{ [COMMON_NAME]: [{ utf8String: subject.commonName }] }]),
    { [SERIAL_NUMBER]: [{ printableString: subject.serial }] },
  ]);
  const request = await Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm: algorithm });
  return { privateKeyPem, request: new Uint8Array(request.rawData) };
}

async function keyPair(privateKeyPem: string): Promise<webcrypto.CryptoKeyPair> {
  const secret = createPrivateKey(privateKeyPem);
  const pkcs8 = secret.export({ format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(secret).export({ format: 'der', type: 'spki' });
  return {
    privateKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('spki', spki, algorithm, true, ['verify']),
  };
}
