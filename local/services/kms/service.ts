import { randomBytes, timingSafeEqual } from 'node:crypto';
import { AwsError, type AwsService, type Cloud, type Permission } from '../../cloud.ts';
import type { Fields } from '../fields.ts';
import { type JsonOperation, jsonService } from '../protocol/json.ts';
import { decrypt, encrypt, keyIdOf } from './cipher.ts';
import { type KeyRegistry, type KmsKey, mac, publicKeyDer } from './keys.ts';
import { signingAlgorithms, signMessage, verifyMessage } from './signatures.ts';

/** Most bytes that `Encrypt` takes. */
const ENCRYPT_LIMIT = 4096;

const bytes = (input: Fields, name: string): Buffer => Buffer.from(input.text(name), 'base64');

/** The members of KMS's KeyUsage that go with each operation. */
const requireUsage = (key: KmsKey, usage: KmsKey['usage']): KmsKey => {
  if (key.usage !== usage) {
    throw new AwsError(
      'InvalidKeyUsageException',
      `${key.arn} key usage is ${key.usage} which is not valid for this operation.`,
    );
  }
  return key;
};

const contextOf = (input: Fields): Record<string, string> => {
  const context = input.optionalObject('EncryptionContext');
  return Object.fromEntries(Object.keys(context?.raw ?? {}).map((name) => [name, context?.text(name) ?? '']));
};

const dataKeyLength = (input: Fields): number => {
  const spec = input.optionalText('KeySpec');
  if (spec === 'AES_256') return 32;
  if (spec === 'AES_128') return 16;
  const length = input.optionalNumber('NumberOfBytes');
  if (length === undefined || length < 1 || length > 1024) {
    throw new AwsError('ValidationException', 'Give KeySpec (AES_256 or AES_128) or NumberOfBytes (1 to 1024)');
  }
  return length;
};

/** KMS as functions call it: real cryptography with keys from the cloud's store. */
export const kmsService = (cloud: Cloud, keys: KeyRegistry): AwsService => {
  /** The permission is on the key, also when the caller names an alias. */
  const permission = (action: string, name: string, context: Record<string, string> = {}): Permission => {
    const { key, alias } = keys.find(name);
    return {
      action: `kms:${action}`,
      resource: key.arn,
      context: {
        ...(alias === undefined ? {} : { 'kms:requestalias': alias }),
        ...Object.fromEntries(
          Object.entries(context).map(([name, value]) => [`kms:encryptioncontext:${name.toLowerCase()}`, value]),
        ),
      },
    };
  };
  const onKey = (
    action: string,
    run: (key: KmsKey, input: Fields) => ReturnType<JsonOperation['run']>,
  ): JsonOperation => ({
    permissions: (input) => [permission(action, input.text('KeyId'), contextOf(input))],
    run: (input) => run(keys.find(input.text('KeyId')).key, input),
  });
  const dataKey = (action: string, withPlaintext: boolean): JsonOperation =>
    onKey(action, (key, input) => {
      const plaintext = randomBytes(dataKeyLength(input));
      const blob = encrypt(requireUsage(key, 'ENCRYPT_DECRYPT'), plaintext, contextOf(input));
      return {
        KeyId: key.arn,
        CiphertextBlob: blob.toString('base64'),
        ...(withPlaintext ? { Plaintext: plaintext.toString('base64') } : {}),
      };
    });

  return jsonService({
    signingNames: ['kms'],
    target: 'TrentService',
    version: '1.1',
    operations: {
      Sign: onKey('Sign', (key, input) => {
        const algorithm = input.text('SigningAlgorithm');
        const signature = signMessage(
          key,
          algorithm,
          bytes(input, 'Message'),
          input.optionalText('MessageType') ?? 'RAW',
        );
        return { KeyId: key.arn, Signature: signature.toString('base64'), SigningAlgorithm: algorithm };
      }),
      Verify: onKey('Verify', (key, input) => {
        const algorithm = input.text('SigningAlgorithm');
        const type = input.optionalText('MessageType') ?? 'RAW';
        if (!verifyMessage(key, algorithm, bytes(input, 'Message'), type, bytes(input, 'Signature'))) {
          throw new AwsError('KMSInvalidSignatureException', 'The signature is not valid');
        }
        return { KeyId: key.arn, SignatureValid: true, SigningAlgorithm: algorithm };
      }),
      GetPublicKey: onKey('GetPublicKey', (key) => {
        if (!key.spec.startsWith('ECC') && !key.spec.startsWith('RSA')) {
          throw new AwsError('UnsupportedOperationException', `${key.arn} is symmetric and has no public key`);
        }
        return {
          KeyId: key.arn,
          PublicKey: publicKeyDer(key).toString('base64'),
          KeySpec: key.spec,
          CustomerMasterKeySpec: key.spec,
          KeyUsage: key.usage,
          ...(key.usage === 'SIGN_VERIFY' ? { SigningAlgorithms: signingAlgorithms(key.spec) } : {}),
        };
      }),
      DescribeKey: onKey('DescribeKey', (key) => ({
        KeyMetadata: {
          AWSAccountId: cloud.account,
          KeyId: key.id,
          Arn: key.arn,
          CreationDate: key.createdAt / 1000,
          Enabled: key.enabled,
          Description: key.description,
          KeyUsage: key.usage,
          KeyState: key.enabled ? 'Enabled' : 'Disabled',
          Origin: 'AWS_KMS',
          KeyManager: 'CUSTOMER',
          KeySpec: key.spec,
          CustomerMasterKeySpec: key.spec,
          MultiRegion: false,
        },
      })),
      Encrypt: onKey('Encrypt', (key, input) => {
        const plaintext = bytes(input, 'Plaintext');
        if (plaintext.length < 1 || plaintext.length > ENCRYPT_LIMIT) {
          throw new AwsError('ValidationException', `Plaintext must have 1 to ${ENCRYPT_LIMIT} bytes`);
        }
        return {
          KeyId: key.arn,
          CiphertextBlob: encrypt(requireUsage(key, 'ENCRYPT_DECRYPT'), plaintext, contextOf(input)).toString('base64'),
          EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
        };
      }),
      Decrypt: {
        permissions: (input) => [permission('Decrypt', keyIdOf(bytes(input, 'CiphertextBlob')), contextOf(input))],
        run(input) {
          const blob = bytes(input, 'CiphertextBlob');
          const { key } = keys.find(keyIdOf(blob));
          const named = input.optionalText('KeyId');
          if (named !== undefined && keys.find(named).key.id !== key.id) {
            throw new AwsError('IncorrectKeyException', 'The ciphertext was encrypted with another key');
          }
          const plaintext = decrypt(requireUsage(key, 'ENCRYPT_DECRYPT'), blob, contextOf(input));
          return { KeyId: key.arn, Plaintext: plaintext.toString('base64'), EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
        },
      },
      GenerateDataKey: dataKey('GenerateDataKey', true),
      GenerateDataKeyWithoutPlaintext: dataKey('GenerateDataKeyWithoutPlaintext', false),
      GenerateMac: onKey('GenerateMac', (key, input) => {
        const algorithm = input.text('MacAlgorithm');
        const value = mac(requireUsage(key, 'GENERATE_VERIFY_MAC'), algorithm, bytes(input, 'Message'));
        return { KeyId: key.arn, Mac: value.toString('base64'), MacAlgorithm: algorithm };
      }),
      VerifyMac: onKey('VerifyMac', (key, input) => {
        const algorithm = input.text('MacAlgorithm');
        const expected = mac(requireUsage(key, 'GENERATE_VERIFY_MAC'), algorithm, bytes(input, 'Message'));
        const given = bytes(input, 'Mac');
        if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
          throw new AwsError('KMSInvalidMacException', 'The MAC is not valid');
        }
        return { KeyId: key.arn, MacValid: true, MacAlgorithm: algorithm };
      }),
    },
  });
};
