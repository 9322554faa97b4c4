import { X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GetPublicKeyCommand, KMSClient, SignCommand } from '@aws-sdk/client-kms';
import { GetObjectCommand, NoSuchKey, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { jest } from '@jest/globals';
import type { CloudFormationCustomResourceEvent } from 'aws-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import { type KmsKey, newMaterial, publicKeyDer } from '../../../local/services/kms/keys.ts';
import { signMessage } from '../../../local/services/kms/signatures.ts';

Object.assign(process.env, {
  AWS_REGION: 'us-east-1',
  CA_KEY_ID: 'key-1',
  TRUSTSTORE_BUCKET: 'trust',
  POWERTOOLS_DEV: 'true',
});
const { handler } = await import('../../../functions/device-authority/handler.ts');
const kms = mockClient(KMSClient);
const s3 = mockClient(S3Client);

describe('device-authority', () => {
  const key: KmsKey = {
    id: 'key-1',
    arn: 'arn:aws:kms:us-east-1:000000000000:key/key-1',
    spec: 'ECC_NIST_P256',
    usage: 'SIGN_VERIFY',
    enabled: true,
    description: '',
    createdAt: 0,
    material: newMaterial('ECC_NIST_P256'),
  };
  let server: Server;
  let answers: { Status: string; PhysicalResourceId: string; Reason?: string; Data?: Record<string, string> }[] = [];
  let stored: string | undefined;

  beforeAll(async () => {
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        answers.push(JSON.parse(Buffer.concat(chunks).toString()));
        response.end();
      });
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  });
  afterAll(() => new Promise((done) => server.close(done)));

  beforeEach(() => {
    answers = [];
    stored = undefined;
    jest.spyOn(console, 'info').mockImplementation(() => undefined);
    kms.reset();
    s3.reset();
    kms.on(GetPublicKeyCommand).resolves({ PublicKey: new Uint8Array(publicKeyDer(key)) });
    kms.on(SignCommand).callsFake((input: { Message: Uint8Array; MessageType: string; SigningAlgorithm: string }) => ({
      Signature: signMessage(key, input.SigningAlgorithm, Buffer.from(input.Message), input.MessageType),
    }));
    s3.on(GetObjectCommand).callsFake(() => {
      if (stored === undefined) throw new NoSuchKey({ message: 'no', $metadata: {} });
      const text = stored;
      return { Body: { transformToString: async () => text }, VersionId: 'v1' };
    });
    s3.on(PutObjectCommand).callsFake(({ Body }: { Body: string }) => {
      stored = Body;
      return { VersionId: 'v1' };
    });
  });
  afterEach(() => jest.restoreAllMocks());

  const call = (RequestType: string, extra: object = {}) =>
    handler({
      RequestType,
      ResponseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      StackId: 's',
      RequestId: 'r',
      LogicalResourceId: 'Authority',
      ResourceProperties: { CommonName: 'Ward CA' },
      ...extra,
    } as unknown as CloudFormationCustomResourceEvent);

  test('Create makes the certificate and the truststore; Create again and Update find them', async () => {
    await call('Create');
    await call('Create');
    await call('Update', { PhysicalResourceId: 'device-authority-key-1' });
    expect(answers.map(({ Status, PhysicalResourceId }) => [Status, PhysicalResourceId])).toEqual(
      Array(3).fill(['SUCCESS', 'device-authority-key-1']),
    );
    const { CertificatePem = '', ...rest } = answers[0]?.Data ?? {};
    expect(rest).toEqual({ TruststoreUri: 's3://trust/truststore.pem', TruststoreVersion: 'v1' });
    expect(new X509Certificate(CertificatePem).subject).toBe('CN=Ward CA');
    expect(new Set(answers.map(({ Data }) => Data?.['CertificatePem'])).size).toBe(1);
    expect(s3.commandCalls(PutObjectCommand)).toHaveLength(1);
  });

  test('Delete touches nothing', async () => {
    await call('Delete', { PhysicalResourceId: 'p' });
    expect(answers).toMatchObject([{ Status: 'SUCCESS', PhysicalResourceId: 'p' }]);
    expect([...kms.calls(), ...s3.calls()]).toHaveLength(0);
  });

  test('a failure is told to who deploys', async () => {
    kms.on(GetPublicKeyCommand).rejects(new Error('AccessDenied for key-1'));
    await call('Create');
    expect(answers).toMatchObject([{ Status: 'FAILED', Reason: 'Error: AccessDenied for key-1' }]);
  });
});
