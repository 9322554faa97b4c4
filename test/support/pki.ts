import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { CertificationRequest, CertificationRequestInfo } from '@peculiar/asn1-csr';
import { AsnConvert } from '@peculiar/asn1-schema';
import { AlgorithmIdentifier, type Name, SubjectPublicKeyInfo } from '@peculiar/asn1-x509';
import { type IssuedCertificate, issueAuthorityCertificate, type Sign } from '../../shared/enrollment/certificate.ts';
import { nameOf } from '../../shared/enrollment/subject.ts';

/** A device CA whose key is in this process instead of KMS. */
export interface TestAuthority {
  readonly certificate: IssuedCertificate;
  readonly publicKey: Uint8Array;
  readonly sign: Sign;
}

/** A new device CA, its certificate made by the product's own code. */
export async function testAuthority(now = Date.now()): Promise<TestAuthority> {
  const { privateKey, publicKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signWith: Sign = async (message) => new Uint8Array(sign('sha256', message, privateKey));
  const publicKey = new Uint8Array(key.export({ type: 'spki', format: 'der' }));
  const certificate = await issueAuthorityCertificate({
    commonName: 'Test device authority',
    publicKey,
    now,
    sign: signWith,
  });
  return { certificate, publicKey, sign: signWith };
}

/** A key pair of a device. P-256, because it is made in no time. */
export const deviceKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

const algorithms = { sha1: '1.2.840.10045.4.1', sha256: '1.2.840.10045.4.3.2' } as const;

/**
 * A certificate signing request, DER. `subject` is built by the caller, so that a test can make a wrong one.
 *
 * @param signer whose private key signs; the device's own unless a test wants it wrong
 */
export function requestDer(
  keys: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
  subject: Name,
  signer: KeyObject = keys.privateKey,
  hash: keyof typeof algorithms = 'sha256',
): Uint8Array {
  const info = new CertificationRequestInfo({
    subject,
    subjectPKInfo: AsnConvert.parse(keys.publicKey.export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo),
  });
  const signature = sign(hash, new Uint8Array(AsnConvert.serialize(info)), signer);
  const request = new CertificationRequest({
    certificationRequestInfo: info,
    signatureAlgorithm: new AlgorithmIdentifier({ algorithm: algorithms[hash] }),
    signature: new Uint8Array(signature).buffer,
  });
  return new Uint8Array(AsnConvert.serialize(request));
}

/** The request of the device with this serial, base64 as EST wants it. */
export function requestFor(serial: string, keys = deviceKeys(), commonName = 'a device'): string {
  return Buffer.from(requestDer(keys, nameOf(commonName, serial))).toString('base64');
}
