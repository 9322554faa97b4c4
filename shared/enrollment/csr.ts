import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { CertificationRequest } from '@peculiar/asn1-csr';
import { AsnConvert } from '@peculiar/asn1-schema';
import { parseSerial } from './serial.ts';
import { readSubject } from './subject.ts';

/** Larger than any request with an RSA 4096 key; what is longer is refused unread. Bytes of the body as received. */
export const maximumRequestBytes = 16 * 1024;

/** A certificate signing request that passed every check. */
export interface CertificateRequest {
  /** The subject's serialNumber, normalized: which device asks. */
  readonly serial: string;
  /** The subject's CN, if it has one. Only renewal looks at it. */
  readonly commonName?: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** SHA-256 of `publicKey`, lower-case hex: says whether two requests come from the same key. */
  readonly publicKeyHash: string;
}

/** A request that cannot be used. The message says what is wrong, for the person who set the device up; it holds no input. */
export class InvalidCertificateRequest extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'InvalidCertificateRequest';
  }
}

/** Signature algorithms that a request may be signed with, and which kind of key makes them. SHA-1 is not among them. */
const signatureAlgorithms: Readonly<Record<string, { readonly key: 'rsa' | 'ec'; readonly hash: string }>> = {
  '1.2.840.113549.1.1.11': { key: 'rsa', hash: 'sha256' },
  '1.2.840.113549.1.1.12': { key: 'rsa', hash: 'sha384' },
  '1.2.840.113549.1.1.13': { key: 'rsa', hash: 'sha512' },
  '1.2.840.10045.4.3.2': { key: 'ec', hash: 'sha256' },
  '1.2.840.10045.4.3.3': { key: 'ec', hash: 'sha384' },
  '1.2.840.10045.4.3.4': { key: 'ec', hash: 'sha512' },
};

/**
 * Reads and checks a PKCS#10 request (RFC 2986) as devices send it: DER, base64 (RFC 7030, with or without line breaks
 * and padding) or PEM. The signature is verified, which proves that the sender holds the private key.
 *
 * @throws InvalidCertificateRequest for everything that is not a request we would certify
 */
export function parseCertificateRequest(body: string | Uint8Array): CertificateRequest {
  const der = requestDer(body);
  const request = decode(der);
  const info = request.certificationRequestInfo;
  const key = publicKeyOf(new Uint8Array(AsnConvert.serialize(info.subjectPKInfo)));
  checkKey(key, info.subjectPKInfo.algorithm.parameters);
  checkSignature(request, key);
  const subject = readSubject(info.subject);
  const [serialText, ...more] = subject.serialNumbers;
  if (serialText === undefined) {
    throw new InvalidCertificateRequest(
      "The request's subject has no serialNumber (for openssl: -subj /serialNumber=…)",
    );
  }
  const serial = parseSerial(serialText);
  if (serial === undefined || more.length > 0) {
    throw new InvalidCertificateRequest(
      "The request's serialNumber must be one value of at most 64 letters, digits and the characters ()+,./:-",
    );
  }
  const publicKey = new Uint8Array(key.export({ type: 'spki', format: 'der' }));
  const commonName = subject.commonNames[0];
  return {
    serial,
    ...(commonName === undefined ? {} : { commonName }),
    publicKey,
    publicKeyHash: createHash('sha256').update(publicKey).digest('hex'),
  };
}

/** The DER of a request, out of whatever wrapping it came in. */
function requestDer(body: string | Uint8Array): Uint8Array {
  if (body.length > maximumRequestBytes) {
    throw new InvalidCertificateRequest(`The request is larger than ${maximumRequestBytes} bytes`);
  }
  if (typeof body !== 'string' && body[0] === sequenceTag) return body;
  const text = typeof body === 'string' ? body : Buffer.from(body).toString('latin1');
  const armoured = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([^-]*)-----END (?:NEW )?CERTIFICATE REQUEST-----/.exec(
    text,
  );
  const base64 = (armoured?.[1] ?? text).replace(/\s+/g, '');
  if (base64 === '') throw new InvalidCertificateRequest('The body is empty; expected a PKCS#10 request in base64');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw new InvalidCertificateRequest('The body is not base64');
  return new Uint8Array(Buffer.from(base64, 'base64'));
}

const sequenceTag = 0x30;
const objectIdentifierTag = 0x06;

function decode(der: Uint8Array): CertificationRequest {
  if (derLength(der) !== der.length) {
    throw new InvalidCertificateRequest(
      'The body is not one complete PKCS#10 request (cut short, or followed by more)',
    );
  }
  try {
    return AsnConvert.parse(der, CertificationRequest);
  } catch (error) {
    throw new InvalidCertificateRequest('The body is not a PKCS#10 request', error);
  }
}

/** Length of the outermost DER element with its header; -1 when it is no sequence of definite length. */
function derLength(der: Uint8Array): number {
  const [tag, first] = der;
  if (tag !== sequenceTag || first === undefined || first === 0x80 || first > 0x84) return -1;
  if (first < 0x80) return 2 + first;
  const octets = first & 0x7f;
  let length = 0;
  for (const octet of der.subarray(2, 2 + octets)) length = length * 256 + octet;
  return 2 + octets + length;
}

function publicKeyOf(spki: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch (error) {
    throw new InvalidCertificateRequest('The public key cannot be read', error);
  }
}

/** RSA of 2048 to 4096 bits, P-256 or P-384: what AWS IoT Core registers. */
function checkKey(key: KeyObject, parameters: ArrayBuffer | null | undefined): void {
  const details = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa') {
    const { modulusLength = 0, publicExponent = 0n } = details;
    if (modulusLength < 2048 || modulusLength > 4096) {
      throw new InvalidCertificateRequest(`An RSA key needs 2048 to 4096 bits, this one has ${modulusLength}`);
    }
    if (publicExponent < 65537n || publicExponent > 0xffffffffn || publicExponent % 2n === 0n) {
      throw new InvalidCertificateRequest('The public exponent of the RSA key must be odd and at least 65537');
    }
    return;
  }
  if (key.asymmetricKeyType === 'ec') {
    // OpenSSL also recognizes a known curve spelled out in its parameters; few others do (RFC 5480 forbids it).
    const named = parameters != null && new Uint8Array(parameters)[0] === objectIdentifierTag;
    if (!named || (details.namedCurve !== 'prime256v1' && details.namedCurve !== 'secp384r1')) {
      throw new InvalidCertificateRequest('An EC key must be on the curve P-256 or P-384, given by name');
    }
    return;
  }
  throw new InvalidCertificateRequest('The key must be RSA (2048 bits or more) or EC (P-256 or P-384)');
}

function checkSignature(request: CertificationRequest, key: KeyObject): void {
  const algorithm = signatureAlgorithms[request.signatureAlgorithm.algorithm];
  const signed = request.certificationRequestInfoRaw;
  if (algorithm === undefined || algorithm.key !== key.asymmetricKeyType || signed === undefined) {
    throw new InvalidCertificateRequest('The request must be signed by its own key with SHA-256, SHA-384 or SHA-512');
  }
  if (!isSignature(algorithm.hash, signed, key, request.signature)) {
    throw new InvalidCertificateRequest("The request's signature does not belong to its public key");
  }
}

function isSignature(hash: string, signed: ArrayBuffer, key: KeyObject, signature: ArrayBuffer): boolean {
  try {
    return verify(hash, new Uint8Array(signed), key, new Uint8Array(signature));
  } catch (error) {
    throw new InvalidCertificateRequest("The request's signature cannot be read", error);
  }
}
