import {
  constants,
  createECDH,
  createHash,
  createPublicKey,
  type KeyObject,
  privateEncrypt,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { AwsError } from '../../cloud.ts';
import { type KmsKey, privateKey } from './keys.ts';

/** What a signing algorithm of KMS means. */
interface Algorithm {
  readonly kind: 'ec' | 'rsa-pkcs1' | 'rsa-pss';
  readonly hash: 'sha256' | 'sha384' | 'sha512';
}

const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  ECDSA_SHA_256: { kind: 'ec', hash: 'sha256' },
  ECDSA_SHA_384: { kind: 'ec', hash: 'sha384' },
  ECDSA_SHA_512: { kind: 'ec', hash: 'sha512' },
  RSASSA_PKCS1_V1_5_SHA_256: { kind: 'rsa-pkcs1', hash: 'sha256' },
  RSASSA_PKCS1_V1_5_SHA_384: { kind: 'rsa-pkcs1', hash: 'sha384' },
  RSASSA_PKCS1_V1_5_SHA_512: { kind: 'rsa-pkcs1', hash: 'sha512' },
  RSASSA_PSS_SHA_256: { kind: 'rsa-pss', hash: 'sha256' },
  RSASSA_PSS_SHA_384: { kind: 'rsa-pss', hash: 'sha384' },
  RSASSA_PSS_SHA_512: { kind: 'rsa-pss', hash: 'sha512' },
};

const RSA_ALGORITHMS = Object.keys(ALGORITHMS).filter((name) => name.startsWith('RSASSA'));

/** The signing algorithms of a key spec. */
export const signingAlgorithms = (spec: string): string[] => {
  if (spec === 'ECC_NIST_P256') return ['ECDSA_SHA_256'];
  if (spec === 'ECC_NIST_P384') return ['ECDSA_SHA_384'];
  if (spec === 'ECC_NIST_P521') return ['ECDSA_SHA_512'];
  return spec.startsWith('RSA_') ? RSA_ALGORITHMS : [];
};

const algorithmFor = (key: KmsKey, name: string): Algorithm => {
  const algorithm = ALGORITHMS[name];
  if (algorithm === undefined || key.usage !== 'SIGN_VERIFY' || !signingAlgorithms(key.spec).includes(name)) {
    throw new AwsError('InvalidKeyUsageException', `${key.arn} (${key.spec}, ${key.usage}) cannot sign with ${name}`);
  }
  return algorithm;
};

/** KMS takes at most 4,096 bytes of a raw message; a longer one must come as its digest. */
const RAW_LIMIT = 4096;

const checkLength = (message: Buffer, type: string, algorithm: Algorithm): void => {
  if (type === 'RAW') {
    if (message.length < 1 || message.length > RAW_LIMIT) {
      throw new AwsError(
        'ValidationException',
        `The message must have 1 to ${RAW_LIMIT} bytes; send the digest of a longer one`,
      );
    }
    return;
  }
  if (type !== 'DIGEST')
    throw new AwsError('ValidationException', `The local cloud does not emulate MessageType ${type}`);
  const expected = createHash(algorithm.hash).digest().length;
  if (message.length !== expected) {
    throw new AwsError('ValidationException', `Digest is invalid length for algorithm: ${expected} bytes expected`);
  }
};

const pssOptions = (key: KeyObject) => ({
  key,
  padding: constants.RSA_PKCS1_PSS_PADDING,
  saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
});

/** DER prefixes of DigestInfo (RFC 8017, section 9.2, note 1). */
const DIGEST_INFO: Readonly<Record<Algorithm['hash'], string>> = {
  sha256: '3031300d060960864801650304020105000420',
  sha384: '3041300d060960864801650304020205000430',
  sha512: '3051300d060960864801650304020305000440',
};

/** KMS `Sign`. ECDSA signatures are DER. Throws AwsError for what the key cannot do. */
export const signMessage = (key: KmsKey, name: string, message: Buffer, type: string): Buffer => {
  const algorithm = algorithmFor(key, name);
  checkLength(message, type, algorithm);
  const secret = privateKey(key);
  if (type === 'RAW') {
    return sign(algorithm.hash, message, algorithm.kind === 'rsa-pss' ? pssOptions(secret) : secret);
  }
  if (algorithm.kind === 'ec') return signDigest(secret, key.spec, message);
  if (algorithm.kind === 'rsa-pkcs1') {
    return privateEncrypt(
      { key: secret, padding: constants.RSA_PKCS1_PADDING },
      Buffer.concat([Buffer.from(DIGEST_INFO[algorithm.hash], 'hex'), message]),
    );
  }
  throw new AwsError(
    'ValidationException',
    'The local cloud does not emulate RSASSA_PSS over a digest; send the message RAW',
  );
};

/** KMS `Verify` of a raw message. */
export const verifyMessage = (key: KmsKey, name: string, message: Buffer, type: string, signature: Buffer): boolean => {
  const algorithm = algorithmFor(key, name);
  checkLength(message, type, algorithm);
  if (type !== 'RAW') {
    throw new AwsError(
      'ValidationException',
      'The local cloud verifies RAW messages only; verify a digest with the public key',
    );
  }
  const open = createPublicKey(privateKey(key));
  return verify(algorithm.hash, message, algorithm.kind === 'rsa-pss' ? pssOptions(open) : open, signature);
};

/** Order of the group of each curve (SEC 2), and its name in OpenSSL. */
const CURVES: Readonly<Record<string, { readonly name: string; readonly order: bigint; readonly bytes: number }>> = {
  ECC_NIST_P256: {
    name: 'prime256v1',
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    bytes: 32,
  },
  ECC_NIST_P384: {
    name: 'secp384r1',
    order: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
    bytes: 48,
  },
};

const toNumber = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex')}`);
const toBytes = (value: bigint, length: number): Buffer =>
  Buffer.from(value.toString(16).padStart(length * 2, '0'), 'hex');

const inverse = (value: bigint, modulus: bigint): bigint => {
  let [low, high] = [((value % modulus) + modulus) % modulus, modulus];
  let [x, y] = [1n, 0n];
  while (low > 1n) {
    const quotient = high / low;
    [low, high] = [high - quotient * low, low];
    [x, y] = [y - quotient * x, x];
  }
  return ((x % modulus) + modulus) % modulus;
};

/**
 * ECDSA over a digest (FIPS 186-5, section 6.4.1), which node:crypto does not offer. The point multiplication is OpenSSL's;
 * the rest is not hardened against timing, which is no matter for keys that live on a developer's machine.
 */
const signDigest = (secret: KeyObject, spec: string, digest: Buffer): Buffer => {
  const curve = CURVES[spec];
  const d = secret.export({ format: 'jwk' }).d;
  if (curve === undefined || d === undefined) {
    throw new AwsError('ValidationException', `The local cloud does not emulate signing a digest with ${spec}`);
  }
  const z = toNumber(digest.subarray(0, curve.bytes));
  for (;;) {
    const k = toNumber(randomBytes(curve.bytes));
    if (k === 0n || k >= curve.order) continue;
    const point = createECDH(curve.name);
    point.setPrivateKey(toBytes(k, curve.bytes));
    const r = toNumber(point.getPublicKey().subarray(1, 1 + curve.bytes)) % curve.order;
    const s = (inverse(k, curve.order) * (z + r * toNumber(Buffer.from(d, 'base64url')))) % curve.order;
    if (r !== 0n && s !== 0n) return derSignature(toBytes(r, curve.bytes), toBytes(s, curve.bytes));
  }
};

const derInteger = (bytes: Buffer): Buffer => {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const trimmed = bytes.subarray(start);
  // A leading bit of 1 would make the number negative.
  const content = (trimmed[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), trimmed]) : trimmed;
  return Buffer.concat([Buffer.from([0x02, content.length]), content]);
};

const derSignature = (r: Buffer, s: Buffer): Buffer => {
  const content = Buffer.concat([derInteger(r), derInteger(s)]);
  return Buffer.concat([Buffer.from([0x30, content.length]), content]);
};
