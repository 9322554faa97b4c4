import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { AwsError, type Cloud, type Store } from '../../cloud.ts';

/** A KMS key. `material` is base64: PKCS #8 DER of a key pair, raw bytes of a symmetric or HMAC key. */
export interface KmsKey {
  readonly id: string;
  readonly arn: string;
  readonly spec: string;
  readonly usage: 'SIGN_VERIFY' | 'ENCRYPT_DECRYPT' | 'GENERATE_VERIFY_MAC' | 'KEY_AGREEMENT';
  readonly enabled: boolean;
  readonly description: string;
  /** ms since the epoch */
  readonly createdAt: number;
  readonly material: string;
}

const KEYS = 'kms/key';
const ALIASES = 'kms/alias';

const HMAC_BYTES: Readonly<Record<string, number>> = { HMAC_224: 28, HMAC_256: 32, HMAC_384: 48, HMAC_512: 64 };
const CURVES: Readonly<Record<string, string>> = {
  ECC_NIST_P256: 'prime256v1',
  ECC_NIST_P384: 'secp384r1',
  ECC_NIST_P521: 'secp521r1',
};

/** Fresh key material of a key spec; AwsError for a spec that is not emulated. */
export const newMaterial = (spec: string): string => {
  if (spec === 'SYMMETRIC_DEFAULT') return randomBytes(32).toString('base64');
  const hmac = HMAC_BYTES[spec];
  if (hmac !== undefined) return randomBytes(hmac).toString('base64');
  const curve = CURVES[spec];
  const pair = curve === undefined ? rsaPair(spec) : generateKeyPairSync('ec', { namedCurve: curve });
  return pair.privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
};

const rsaPair = (spec: string) => {
  const bits = /^RSA_(2048|3072|4096)$/.exec(spec)?.[1];
  if (bits === undefined)
    throw new AwsError('ValidationException', `The local cloud does not emulate KMS keys of spec ${spec}`);
  return generateKeyPairSync('rsa', { modulusLength: Number(bits) });
};

/** The private key of a key pair. */
export const privateKey = (key: KmsKey): KeyObject =>
  createPrivateKey({ key: Buffer.from(key.material, 'base64'), format: 'der', type: 'pkcs8' });

/** The public key of a key pair as DER SubjectPublicKeyInfo. */
export const publicKeyDer = (key: KmsKey): Buffer =>
  createPublicKey(privateKey(key)).export({ format: 'der', type: 'spki' });

/** The MAC of a message with an HMAC key. */
export const mac = (key: KmsKey, algorithm: string, message: Buffer): Buffer => {
  const bits = /^HMAC_SHA_(224|256|384|512)$/.exec(algorithm)?.[1];
  if (bits === undefined || key.spec !== `HMAC_${bits}`) {
    throw new AwsError('InvalidKeyUsageException', `${key.arn} (${key.spec}) cannot make a MAC with ${algorithm}`);
  }
  return createHmac(`sha${bits}`, Buffer.from(key.material, 'base64')).update(message).digest();
};

/** A data key of its own for each message, so that no two messages share an AES-GCM key and nonce. */
export const messageKey = (key: KmsKey, salt: Buffer): Buffer =>
  Buffer.from(hkdfSync('sha256', Buffer.from(key.material, 'base64'), salt, 'wardline local kms', 32));

/** Keys and aliases, kept in the cloud's store. */
export class KeyRegistry {
  readonly #store: Store;
  readonly #aliasArn: (name: string) => string;

  constructor(cloud: Cloud) {
    this.#store = cloud.store;
    this.#aliasArn = (name) => cloud.arn('kms', name);
  }

  put(key: KmsKey): void {
    this.#store.put(KEYS, key.id, key);
  }

  get(id: string): KmsKey | undefined {
    return this.#store.get<KmsKey>(KEYS, id);
  }

  putAlias(name: string, keyId: string): void {
    this.#store.put(ALIASES, name, this.find(keyId).key.id);
  }

  /**
   * The key that a caller names by id, ARN, alias or alias ARN; `alias` is set when it was an alias.
   * AwsError `NotFoundException` when there is none, `DisabledException` when it is disabled.
   */
  find(name: string): { readonly key: KmsKey; readonly alias?: string } {
    const aliasPrefix = this.#aliasArn('');
    const local = name.startsWith(aliasPrefix) ? name.slice(aliasPrefix.length) : name;
    const alias = local.startsWith('alias/') ? local : undefined;
    const id = alias === undefined ? local.replace(/^key\//, '') : this.#store.get<string>(ALIASES, alias);
    const key = id === undefined ? undefined : this.get(id);
    if (key === undefined) throw new AwsError('NotFoundException', `Key '${name}' does not exist`);
    if (!key.enabled) throw new AwsError('DisabledException', `${key.arn} is disabled.`);
    return alias === undefined ? { key } : { key, alias };
  }
}
