import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { AwsError } from '../../cloud.ts';
import { type KmsKey, messageKey } from './keys.ts';

/** First byte of a ciphertext blob of this emulation; AWS's own form is secret. */
const VERSION = 0x57;
const ID_BYTES = 16;
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + ID_BYTES + SALT_BYTES + NONCE_BYTES + TAG_BYTES;

/** The encryption context as additional authenticated data: the order of its entries does not matter. */
const additionalData = (context: Readonly<Record<string, string>>): Buffer =>
  Buffer.from(JSON.stringify(Object.entries(context).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))));

/** Encrypts with AES-256-GCM; the blob carries the key's id (version, key id, salt, nonce, tag, ciphertext). */
export const encrypt = (key: KmsKey, plaintext: Buffer, context: Readonly<Record<string, string>>): Buffer => {
  const salt = randomBytes(SALT_BYTES);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', messageKey(key, salt), nonce);
  cipher.setAAD(additionalData(context));
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const id = Buffer.from(key.id.replaceAll('-', ''), 'hex');
  return Buffer.concat([Buffer.from([VERSION]), id, salt, nonce, cipher.getAuthTag(), body]);
};

const invalid = (): AwsError =>
  new AwsError(
    'InvalidCiphertextException',
    'The ciphertext is not one of this key, was altered, or the encryption context differs',
  );

/** The id of the key that a blob was encrypted with. */
export const keyIdOf = (blob: Buffer): string => {
  if (blob.length < HEADER_BYTES || blob[0] !== VERSION) throw invalid();
  const hex = blob.subarray(1, 1 + ID_BYTES).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
};

/** Decrypts a blob of `encrypt`; AwsError `InvalidCiphertextException` when anything about it is wrong. */
export const decrypt = (key: KmsKey, blob: Buffer, context: Readonly<Record<string, string>>): Buffer => {
  if (keyIdOf(blob) !== key.id) throw invalid();
  let at = 1 + ID_BYTES;
  const take = (length: number): Buffer => {
    at += length;
    return blob.subarray(at - length, at);
  };
  const salt = take(SALT_BYTES);
  const nonce = take(NONCE_BYTES);
  const tag = take(TAG_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', messageKey(key, salt), nonce);
  decipher.setAAD(additionalData(context));
  decipher.setAuthTag(tag);
  try {
    return Buffer.concat([decipher.update(blob.subarray(at)), decipher.final()]);
  } catch {
    throw invalid();
  }
};
