import { constants, createHash, createPublicKey, verify } from 'node:crypto';
import fc from 'fast-check';
import { decrypt, encrypt, keyIdOf } from '../../../../../local/services/kms/cipher.ts';
import { type KmsKey, newMaterial, publicKeyDer } from '../../../../../local/services/kms/keys.ts';
import { signMessage, verifyMessage } from '../../../../../local/services/kms/signatures.ts';

const key = (spec: string, usage: KmsKey['usage']): KmsKey => ({
  id: '0a1b2c3d-0000-4000-8000-000000000001',
  arn: 'arn:aws:kms:us-east-1:000000000000:key/0a1b2c3d-0000-4000-8000-000000000001',
  spec,
  usage,
  enabled: true,
  description: '',
  createdAt: 0,
  material: newMaterial(spec),
});

const publicKey = (of: KmsKey) => createPublicKey({ key: publicKeyDer(of), format: 'der', type: 'spki' });

describe('signatures', () => {
  const p256 = key('ECC_NIST_P256', 'SIGN_VERIFY');
  const p384 = key('ECC_NIST_P384', 'SIGN_VERIFY');
  const rsa = key('RSA_2048', 'SIGN_VERIFY');

  test('ECDSA over a digest verifies with the public key, for any message', () => {
    const open = publicKey(p256);
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const message = Buffer.from(bytes);
        const digest = createHash('sha256').update(message).digest();
        expect(verify('sha256', message, open, signMessage(p256, 'ECDSA_SHA_256', digest, 'DIGEST'))).toBe(true);
      }),
      { numRuns: 200 },
    );
    const digest = createHash('sha384').update('x').digest();
    expect(
      verify('sha384', Buffer.from('x'), publicKey(p384), signMessage(p384, 'ECDSA_SHA_384', digest, 'DIGEST')),
    ).toBe(true);
  });

  test('raw messages verify with the public key and with Verify', () => {
    const message = Buffer.from('to be signed');
    const signature = signMessage(p256, 'ECDSA_SHA_256', message, 'RAW');
    expect(verify('sha256', message, publicKey(p256), signature)).toBe(true);
    expect(verifyMessage(p256, 'ECDSA_SHA_256', message, 'RAW', signature)).toBe(true);
    expect(verifyMessage(p256, 'ECDSA_SHA_256', Buffer.from('other'), 'RAW', signature)).toBe(false);
    const pss = signMessage(rsa, 'RSASSA_PSS_SHA_256', message, 'RAW');
    const options = { key: publicKey(rsa), padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    expect(verify('sha256', message, options, pss)).toBe(true);
  });

  test('RSA PKCS #1 gives the same signature over the message and over its digest', () => {
    const message = Buffer.from('to be signed');
    const digest = createHash('sha256').update(message).digest();
    expect(signMessage(rsa, 'RSASSA_PKCS1_V1_5_SHA_256', digest, 'DIGEST')).toEqual(
      signMessage(rsa, 'RSASSA_PKCS1_V1_5_SHA_256', message, 'RAW'),
    );
  });

  test('refuses what KMS refuses', () => {
    expect(() => signMessage(p256, 'ECDSA_SHA_256', Buffer.alloc(4097), 'RAW')).toThrow('4096');
    expect(() => signMessage(p256, 'ECDSA_SHA_256', Buffer.alloc(31), 'DIGEST')).toThrow('Digest');
    expect(() => signMessage(p256, 'ECDSA_SHA_384', Buffer.alloc(48), 'DIGEST')).toThrow('cannot sign');
    expect(() =>
      signMessage(key('RSA_2048', 'ENCRYPT_DECRYPT'), 'RSASSA_PSS_SHA_256', Buffer.from('x'), 'RAW'),
    ).toThrow('cannot sign');
  });
});

describe('encryption', () => {
  const symmetric = key('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT');
  const context = fc.dictionary(fc.string(), fc.string());

  test('decrypts with the same context in any order, and the blob names its key', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), context, (bytes, entries) => {
        const blob = encrypt(symmetric, Buffer.from(bytes), entries);
        const reversed = Object.fromEntries(Object.entries(entries).reverse());
        expect(decrypt(symmetric, blob, reversed)).toEqual(Buffer.from(bytes));
        expect(keyIdOf(blob)).toBe(symmetric.id);
      }),
    );
  });

  test('any change of the blob or the context is refused', () => {
    const blob = encrypt(symmetric, Buffer.from('secret'), { purpose: 'test' });
    fc.assert(
      fc.property(fc.nat(blob.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Buffer.from(blob);
        changed[at] = (changed[at] ?? 0) ^ flip;
        expect(() => decrypt(symmetric, changed, { purpose: 'test' })).toThrow('ciphertext');
      }),
    );
    expect(() => decrypt(symmetric, blob, {})).toThrow('ciphertext');
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) =>
        expect(() => decrypt(symmetric, Buffer.from(bytes), {})).toThrow('ciphertext'),
      ),
    );
  });
});
