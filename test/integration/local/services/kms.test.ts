import { createPublicKey, verify } from 'node:crypto';
import {
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateMacCommand,
  GetPublicKeyCommand,
  KMSClient,
  ListKeysCommand,
  SignCommand,
  VerifyCommand,
  VerifyMacCommand,
} from '@aws-sdk/client-kms';
import { kmsPart } from '../../../../local/services/kms/part.ts';
import { Harness } from './harness.ts';

let harness: Harness;
let kms: KMSClient;

beforeAll(async () => {
  harness = await Harness.open([kmsPart()]);
  kms = new KMSClient(harness.client);
});

afterAll(async () => {
  kms.destroy();
  await harness.close();
});

test('a signing key signs, verifies and gives its public key, also by alias', async () => {
  const key = await harness.create('AWS::KMS::Key', 'Ca', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
  await harness.create('AWS::KMS::Alias', 'CaAlias', { AliasName: 'alias/ca', TargetKeyId: key.ref });
  const Message = Buffer.from('certificate');
  harness.asked.length = 0;
  const { Signature } = await kms.send(
    new SignCommand({ KeyId: 'alias/ca', Message, MessageType: 'RAW', SigningAlgorithm: 'ECDSA_SHA_256' }),
  );
  expect(harness.asked).toEqual([
    { action: 'kms:Sign', resource: key.attributes?.['Arn'], context: { 'kms:requestalias': 'alias/ca' } },
  ]);
  const { PublicKey, SigningAlgorithms } = await kms.send(new GetPublicKeyCommand({ KeyId: key.ref }));
  expect(SigningAlgorithms).toEqual(['ECDSA_SHA_256']);
  const publicKey = createPublicKey({ key: Buffer.from(PublicKey ?? []), format: 'der', type: 'spki' });
  expect(verify('sha256', Message, publicKey, Buffer.from(Signature ?? []))).toBe(true);
  const check = (signature: Uint8Array | undefined) =>
    kms.send(new VerifyCommand({ KeyId: key.ref, Message, SigningAlgorithm: 'ECDSA_SHA_256', Signature: signature }));
  expect((await check(Signature)).SignatureValid).toBe(true);
  await expect(check(Buffer.from('no signature'))).rejects.toMatchObject({ name: 'KMSInvalidSignatureException' });
});

test('a symmetric key encrypts with context and wraps data keys', async () => {
  const { ref } = await harness.create('AWS::KMS::Key', 'Data', {});
  const EncryptionContext = { device: 'd-1' };
  const { CiphertextBlob } = await kms.send(
    new EncryptCommand({ KeyId: ref, Plaintext: Buffer.from('secret'), EncryptionContext }),
  );
  const { Plaintext, KeyId } = await kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }));
  expect([Buffer.from(Plaintext ?? []).toString(), KeyId]).toEqual([
    'secret',
    `arn:aws:kms:us-east-1:000000000000:key/${ref}`,
  ]);
  await expect(kms.send(new DecryptCommand({ CiphertextBlob }))).rejects.toMatchObject({
    name: 'InvalidCiphertextException',
  });
  const dataKey = await kms.send(new GenerateDataKeyCommand({ KeyId: ref, KeySpec: 'AES_256' }));
  const opened = await kms.send(new DecryptCommand({ CiphertextBlob: dataKey.CiphertextBlob }));
  expect(opened.Plaintext).toEqual(dataKey.Plaintext);
});

test('an HMAC key makes and checks MACs', async () => {
  const { ref } = await harness.create('AWS::KMS::Key', 'Visits', {
    KeySpec: 'HMAC_256',
    KeyUsage: 'GENERATE_VERIFY_MAC',
  });
  const input = { KeyId: ref, MacAlgorithm: 'HMAC_SHA_256' as const };
  const { Mac } = await kms.send(new GenerateMacCommand({ ...input, Message: Buffer.from('visit') }));
  expect((await kms.send(new VerifyMacCommand({ ...input, Message: Buffer.from('visit'), Mac }))).MacValid).toBe(true);
  await expect(kms.send(new VerifyMacCommand({ ...input, Message: Buffer.from('other'), Mac }))).rejects.toMatchObject({
    name: 'KMSInvalidMacException',
  });
});

test('key ids follow from the template and keys stay the same', async () => {
  const first = await harness.create('AWS::KMS::Key', 'Stable', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
  const before = await kms.send(new GetPublicKeyCommand({ KeyId: first.ref }));
  const again = await harness.create('AWS::KMS::Key', 'Stable', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' });
  const after = await kms.send(new GetPublicKeyCommand({ KeyId: again.ref }));
  expect(after.PublicKey).toEqual(before.PublicKey);
});

test('wrong uses have the names of KMS', async () => {
  const { ref } = await harness.create('AWS::KMS::Key', 'Plain', {});
  const sign = new SignCommand({ KeyId: ref, Message: Buffer.from('x'), SigningAlgorithm: 'ECDSA_SHA_256' });
  await expect(kms.send(sign)).rejects.toMatchObject({ name: 'InvalidKeyUsageException' });
  await expect(kms.send(new DescribeKeyCommand({ KeyId: 'alias/none' }))).rejects.toMatchObject({
    name: 'NotFoundException',
  });
  await expect(kms.send(new ListKeysCommand({}))).rejects.toThrow('does not emulate');
});
