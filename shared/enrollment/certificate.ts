import { createHash, createPublicKey, randomBytes, X509Certificate } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectKeyIdentifier,
  id_kp_clientAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  type Name,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import type { DeviceId } from '../devices/device.ts';
import type { CertificateRequest } from './csr.ts';
import { pemBlocks, pemOf } from './pem.ts';
import { nameOf, readSubject } from './subject.ts';

/**
 * Signs with the device CA's key: ECDSA P-256 over SHA-256 of `message`, DER (`Ecdsa-Sig-Value`). In AWS this is KMS
 * (`shared/aws/kms-signer.ts`): the key never leaves it.
 */
export type Sign = (message: Uint8Array) => Promise<Uint8Array>;

/** A certificate as we store and hand it out. */
export interface IssuedCertificate {
  readonly pem: string;
  readonly der: Uint8Array;
  /** SHA-256 of the DER, lower-case hex. AWS IoT Core uses the same value as certificate id. */
  readonly fingerprint: string;
  /** RFC 3339. */
  readonly expiresAt: string;
}

/** What a certificate of ours says of its holder. */
export interface CertificateHolder {
  readonly commonName: string;
  readonly serial: string;
  readonly fingerprint: string;
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex. */
  readonly publicKeyHash: string;
  readonly expiresAt: string;
}

const day = 24 * 60 * 60 * 1000;
/** Certificates are valid from ten minutes before now: the clock of a device that was just unboxed is rarely right. */
const backdated = 10 * 60 * 1000;
const authorityYears = 20;
const ecdsaWithSha256 = '1.2.840.10045.4.3.2';

/**
 * Issues the certificate of a device (RFC 5280): CN = device id, serialNumber = serial, for client authentication only.
 *
 * @param days lifetime; cut at the CA's own end
 * @throws when the CA certificate cannot be read or the signer fails
 */
export async function issueDeviceCertificate(options: {
  readonly id: DeviceId;
  readonly request: CertificateRequest;
  readonly authorityPem: string;
  readonly days: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly sign: Sign;
}): Promise<IssuedCertificate> {
  const authority = decodeCertificate(derOf(options.authorityPem)).tbsCertificate;
  const key = AsnConvert.parse(options.request.publicKey, SubjectPublicKeyInfo);
  const authorityEnd = authority.validity.notAfter.getTime().getTime();
  return build({
    issuer: authority.subject,
    subject: nameOf(options.id, options.request.serial),
    key,
    notBefore: options.now - backdated,
    notAfter: Math.min(options.now + options.days * day, authorityEnd),
    extensions: [
      extension(id_ce_basicConstraints, new BasicConstraints({ cA: false }), true),
      extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature), true),
      extension(id_ce_extKeyUsage, new ExtendedKeyUsage([id_kp_clientAuth])),
      extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyIdentifier(key))),
      extension(
        id_ce_authorityKeyIdentifier,
        new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(authorityKeyIdentifier(authority)) }),
      ),
    ],
    sign: options.sign,
  });
}

/**
 * The self-signed certificate of the device CA: 20 years, may sign certificates of devices (path length 0) and
 * revocation lists, nothing else.
 *
 * @param publicKey SubjectPublicKeyInfo of the CA's key, DER, as KMS `GetPublicKey` gives it
 */
export async function issueAuthorityCertificate(options: {
  readonly commonName: string;
  readonly publicKey: Uint8Array;
  readonly now: number;
  readonly sign: Sign;
}): Promise<IssuedCertificate> {
  const key = AsnConvert.parse(options.publicKey, SubjectPublicKeyInfo);
  const name = nameOf(options.commonName);
  const end = new Date(options.now);
  end.setUTCFullYear(end.getUTCFullYear() + authorityYears);
  const identifier = keyIdentifier(key);
  return build({
    issuer: name,
    subject: name,
    key,
    notBefore: options.now - backdated,
    notAfter: end.getTime(),
    extensions: [
      extension(id_ce_basicConstraints, new BasicConstraints({ cA: true, pathLenConstraint: 0 }), true),
      extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign), true),
      extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(identifier)),
      extension(
        id_ce_authorityKeyIdentifier,
        new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(identifier) }),
      ),
    ],
    sign: options.sign,
  });
}

/**
 * What this certificate says of its holder, or `undefined` when it was not signed by our CA, is not a certificate at
 * all, or lacks the two names that every certificate of ours has. Validity in time is not judged here.
 */
export function readDeviceCertificate(pem: string, authorityPem: string): CertificateHolder | undefined {
  try {
    const certificate = new X509Certificate(pem);
    const authority = new X509Certificate(authorityPem);
    const issued = !certificate.ca && certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
    return issued ? readHolder(pem) : undefined;
  } catch {
    return undefined; // Not a certificate: the caller refuses it, as it refuses one of another CA.
  }
}

/** The same of any certificate, whoever signed it: for one whose fingerprint a record of ours names. */
export function readHolder(pem: string): CertificateHolder | undefined {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch {
    return undefined;
  }
  const subject = readSubject(decodeCertificate(certificate.raw).tbsCertificate.subject);
  const [commonName] = subject.commonNames;
  const [serial] = subject.serialNumbers;
  if (commonName === undefined || serial === undefined) return undefined;
  return {
    commonName,
    serial,
    fingerprint: fingerprintOf(certificate.raw),
    publicKeyHash: createHash('sha256')
      .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
      .digest('hex'),
    expiresAt: certificate.validToDate.toISOString(),
  };
}

/** SHA-256 of a certificate's DER, lower-case hex: how it is pinned, and its id in AWS IoT Core. */
export function fingerprintOf(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('hex');
}

/** Whether `pem` is a self-signed CA certificate of exactly this public key (SPKI, DER). */
export function isAuthorityOf(pem: string, publicKey: Uint8Array): boolean {
  try {
    const certificate = new X509Certificate(pem);
    const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
    return certificate.ca && certificate.publicKey.equals(key) && certificate.verify(key);
  } catch {
    return false; // Unreadable: then it is not the certificate that we look for.
  }
}

/** The DER of the first certificate in a PEM text. */
export function derOf(pem: string): Uint8Array {
  const [der] = pemBlocks('CERTIFICATE', pem);
  if (der === undefined) throw new Error('Expected a certificate in PEM');
  return der;
}

function decodeCertificate(der: Uint8Array): Certificate {
  return AsnConvert.parse(der, Certificate);
}

async function build(options: {
  issuer: Name;
  subject: Name;
  key: SubjectPublicKeyInfo;
  notBefore: number;
  notAfter: number;
  extensions: Extension[];
  sign: Sign;
}): Promise<IssuedCertificate> {
  const algorithm = new AlgorithmIdentifier({ algorithm: ecdsaWithSha256 });
  const notAfter = wholeSeconds(options.notAfter);
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature: algorithm,
    issuer: options.issuer,
    validity: new Validity({ notBefore: wholeSeconds(options.notBefore), notAfter }),
    subject: options.subject,
    subjectPublicKeyInfo: options.key,
    extensions: new Extensions(options.extensions),
  });
  const signature = await options.sign(new Uint8Array(AsnConvert.serialize(tbsCertificate)));
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue: copy(signature),
  });
  const der = new Uint8Array(AsnConvert.serialize(certificate));
  return { pem: pemOf('CERTIFICATE', der), der, fingerprint: fingerprintOf(der), expiresAt: notAfter.toISOString() };
}

/** 128 random bits behind a leading 1, which makes the number positive and its encoding minimal without losing any. */
function serialNumber(): ArrayBuffer {
  return copy(Buffer.concat([Buffer.of(1), randomBytes(16)]));
}

/** RFC 7093, method 1: the leftmost 160 bits of SHA-256 of the key's bits. */
function keyIdentifier(key: SubjectPublicKeyInfo): ArrayBuffer {
  return copy(createHash('sha256').update(new Uint8Array(key.subjectPublicKey)).digest().subarray(0, 20));
}

function authorityKeyIdentifier(authority: TBSCertificate): ArrayBuffer {
  const found = authority.extensions?.find(({ extnID }) => extnID === id_ce_subjectKeyIdentifier);
  return found === undefined
    ? keyIdentifier(authority.subjectPublicKeyInfo)
    : AsnConvert.parse(found.extnValue, SubjectKeyIdentifier).buffer;
}

function extension(extnID: string, value: unknown, critical = false): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

/** X.509 times have no fraction of a second. */
function wholeSeconds(milliseconds: number): Date {
  return new Date(Math.floor(milliseconds / 1000) * 1000);
}

function copy(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
