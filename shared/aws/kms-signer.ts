import { createHash } from 'node:crypto';
import { type KMSClient, SignCommand } from '@aws-sdk/client-kms';

/**
 * Signs with an ECC_NIST_P256 key in KMS: ECDSA over SHA-256, DER. Only the digest goes to KMS, the key never leaves it.
 *
 * @param keyId id or ARN of a SIGN_VERIFY key
 */
export function kmsSigner(client: KMSClient, keyId: string): (message: Uint8Array) => Promise<Uint8Array> {
  return async (message) => {
    const { Signature } = await client.send(
      new SignCommand({
        KeyId: keyId,
        Message: createHash('sha256').update(message).digest(),
        MessageType: 'DIGEST',
        SigningAlgorithm: 'ECDSA_SHA_256',
      }),
    );
    if (Signature === undefined) throw new Error('KMS answered without a signature');
    return Signature;
  };
}
