import { createPublicKey } from 'node:crypto';
import { GetPublicKeyCommand, type KMSClient } from '@aws-sdk/client-kms';
import type { DigestKey } from '../audit/archive/close.ts';
import { fingerprintOf } from '../audit/archive/digest.ts';
import { kmsSigner } from './kms-signer.ts';

/** A key in KMS (ECC_NIST_P256, SIGN_VERIFY) that signs the digests of the audit archive. One request. */
export async function kmsDigestKey(client: KMSClient, keyId: string): Promise<DigestKey> {
  const { PublicKey } = await client.send(new GetPublicKeyCommand({ KeyId: keyId }));
  if (PublicKey === undefined) throw new Error('KMS answered without a public key');
  const key = createPublicKey({ key: Buffer.from(PublicKey), format: 'der', type: 'spki' });
  const publicKeyPem = key.export({ format: 'pem', type: 'spki' }).toString();
  return { publicKeyPem, fingerprint: fingerprintOf(publicKeyPem), sign: kmsSigner(client, keyId) };
}
