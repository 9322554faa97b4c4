import { Readable } from 'node:stream';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectRetentionCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { kmsPart } from '../../../../local/services/kms/part.ts';
import { s3Part } from '../../../../local/services/s3/part.ts';
import { Harness } from './harness.ts';

let harness: Harness;
let s3: S3Client;
let plain: string;
let locked: string;

beforeAll(async () => {
  harness = await Harness.open([kmsPart(), s3Part()]);
  s3 = new S3Client(harness.client);
  plain = (await harness.create('AWS::S3::Bucket', 'Plain', {})).ref;
  locked = (
    await harness.create('AWS::S3::Bucket', 'Locked', {
      ObjectLockEnabled: true,
      ObjectLockConfiguration: {
        ObjectLockEnabled: 'Enabled',
        Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Years: 6 } },
      },
    })
  ).ref;
});

afterAll(async () => {
  s3.destroy();
  await harness.close();
});

const put = (
  Bucket: string,
  Key: string,
  Body: string,
  more: Partial<ConstructorParameters<typeof PutObjectCommand>[0]> = {},
) => s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
const read = async (
  Bucket: string,
  Key: string,
  more: Partial<ConstructorParameters<typeof GetObjectCommand>[0]> = {},
) => await (await s3.send(new GetObjectCommand({ Bucket, Key, ...more }))).Body?.transformToString();
const codeOf = async (promise: Promise<unknown>): Promise<{ name: string; status: number | undefined }> => {
  try {
    await promise;
  } catch (error) {
    const { name, $metadata } = error as { name: string; $metadata: { httpStatusCode?: number } };
    return { name, status: $metadata.httpStatusCode };
  }
  throw new Error('it succeeded');
};

test('an object comes back with its headers, metadata and checksum, whatever its key', async () => {
  const Key = 'a b/ü&%2F+~/x.json';
  await put(plain, Key, '{"a":1}', {
    ContentType: 'application/json',
    Metadata: { who: 'me' },
    CacheControl: 'no-store',
  });
  const found = await s3.send(new GetObjectCommand({ Bucket: plain, Key, ChecksumMode: 'ENABLED' }));
  expect(found).toMatchObject({
    ContentType: 'application/json',
    Metadata: { who: 'me' },
    CacheControl: 'no-store',
    ContentLength: 7,
  });
  expect(found.ChecksumCRC32).toBeDefined();
  expect(await found.Body?.transformToString()).toBe('{"a":1}');
  const head = await s3.send(new HeadObjectCommand({ Bucket: plain, Key }));
  expect(head).toMatchObject({ ContentLength: 7, ContentType: 'application/json', ETag: found.ETag });
});

test('a stream of unknown checksum is taken in chunks', async () => {
  const body = 'x'.repeat(200_000);
  await s3.send(
    new PutObjectCommand({
      Bucket: plain,
      Key: 'stream',
      Body: Readable.from([body.slice(0, 70_000), body.slice(70_000)]),
      ContentLength: body.length,
    }),
  );
  expect(await read(plain, 'stream')).toBe(body);
});

test('ranges and conditions', async () => {
  const { ETag = '' } = await put(plain, 'digits', '0123456789');
  expect(await read(plain, 'digits', { Range: 'bytes=2-4' })).toBe('234');
  expect(await read(plain, 'digits', { Range: 'bytes=-2' })).toBe('89');
  expect(await codeOf(read(plain, 'digits', { Range: 'bytes=10-' }))).toEqual({ name: 'InvalidRange', status: 416 });
  expect(await codeOf(put(plain, 'digits', 'new', { IfNoneMatch: '*' }))).toEqual({
    name: 'PreconditionFailed',
    status: 412,
  });
  expect(await codeOf(put(plain, 'digits', 'new', { IfMatch: '"other"' }))).toMatchObject({ status: 412 });
  expect((await codeOf(read(plain, 'digits', { IfNoneMatch: ETag }))).status).toBe(304);
  await put(plain, 'digits', 'new', { IfMatch: ETag });
  expect(await read(plain, 'digits')).toBe('new');
});

test('what is not there: NoSuchKey for who may list, AccessDenied for others', async () => {
  expect(await codeOf(read(plain, 'missing'))).toEqual({ name: 'NoSuchKey', status: 404 });
  expect((await codeOf(s3.send(new HeadObjectCommand({ Bucket: plain, Key: 'missing' })))).status).toBe(404);
  harness.denied.add('s3:ListBucket');
  expect(await codeOf(read(plain, 'missing'))).toEqual({ name: 'AccessDenied', status: 403 });
  harness.denied.clear();
  expect(await codeOf(read('no-bucket', 'x'))).toEqual({ name: 'NoSuchBucket', status: 404 });
});

test('lists by prefix and delimiter, page by page', async () => {
  for (const key of ['list/a', 'list/b/1', 'list/b/2', 'list/c', 'list/d']) await put(plain, key, key);
  const keys: string[] = [];
  let ContinuationToken: string | undefined;
  do {
    const page = await s3.send(
      new ListObjectsV2Command({ Bucket: plain, Prefix: 'list/', Delimiter: '/', MaxKeys: 2, ContinuationToken }),
    );
    keys.push(
      ...(page.Contents ?? []).map(({ Key = '' }) => Key),
      ...(page.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix),
    );
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined);
  expect(keys.sort()).toEqual(['list/a', 'list/b/', 'list/c', 'list/d']);
});

test('a locked version cannot be deleted; a delete marker can hide it', async () => {
  const { VersionId } = await put(locked, 'audit', 'one');
  await put(locked, 'audit', 'two');
  expect(await read(locked, 'audit', { VersionId })).toBe('one');
  const deleteVersion = s3.send(
    new DeleteObjectCommand({ Bucket: locked, Key: 'audit', VersionId, BypassGovernanceRetention: true }),
  );
  expect(await codeOf(deleteVersion)).toEqual({ name: 'AccessDenied', status: 403 });
  const { Retention } = await s3.send(new GetObjectRetentionCommand({ Bucket: locked, Key: 'audit', VersionId }));
  expect(Retention?.Mode).toBe('COMPLIANCE');
  expect(Retention?.RetainUntilDate?.getTime()).toBeGreaterThan(Date.now() + 5 * 365 * 86_400_000);
  const marker = await s3.send(new DeleteObjectCommand({ Bucket: locked, Key: 'audit' }));
  expect(marker.DeleteMarker).toBe(true);
  expect(await codeOf(read(locked, 'audit'))).toMatchObject({ name: 'NoSuchKey' });
  await s3.send(new DeleteObjectCommand({ Bucket: locked, Key: 'audit', VersionId: marker.VersionId }));
  expect(await read(locked, 'audit')).toBe('two');
  const versions = await s3.send(new ListObjectVersionsCommand({ Bucket: locked }));
  expect(versions.Versions?.map((version) => [version.Key, version.IsLatest])).toEqual([
    ['audit', true],
    ['audit', false],
  ]);
});

test('multipart uploads become one object', async () => {
  const Key = 'large';
  const { UploadId } = await s3.send(
    new CreateMultipartUploadCommand({ Bucket: plain, Key, ContentType: 'text/plain' }),
  );
  const bodies = ['a'.repeat(5 * 1024 * 1024), 'end'];
  const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
  for (const [index, Body] of bodies.entries()) {
    const { ETag } = await s3.send(
      new UploadPartCommand({ Bucket: plain, Key, UploadId, PartNumber: index + 1, Body }),
    );
    Parts.push({ PartNumber: index + 1, ETag });
  }
  const { ETag } = await s3.send(
    new CompleteMultipartUploadCommand({ Bucket: plain, Key, UploadId, MultipartUpload: { Parts } }),
  );
  expect(ETag).toMatch(/-2"$/);
  const found = await s3.send(new GetObjectCommand({ Bucket: plain, Key }));
  expect(found.ContentType).toBe('text/plain');
  expect(await found.Body?.transformToString()).toBe(bodies.join(''));
});

test('permissions: the object, the version, and the key of the bucket', async () => {
  const key = await harness.create('AWS::KMS::Key', 'Key', {});
  const keyArn = key.attributes?.['Arn'] ?? '';
  const { ref } = await harness.create('AWS::S3::Bucket', 'Encrypted', {
    BucketEncryption: {
      ServerSideEncryptionConfiguration: [
        { ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: keyArn } },
      ],
    },
    VersioningConfiguration: { Status: 'Enabled' },
  });
  harness.asked.length = 0;
  const { VersionId } = await put(ref, 'x', 'x');
  await read(ref, 'x', { VersionId });
  expect(harness.asked.map(({ action, resource }) => [action, resource])).toEqual([
    ['s3:PutObject', `arn:aws:s3:::${ref}/x`],
    ['kms:GenerateDataKey', keyArn],
    ['s3:GetObjectVersion', `arn:aws:s3:::${ref}/x`],
    ['kms:Decrypt', keyArn],
  ]);
});

test('what is not emulated is refused', async () => {
  expect(
    await codeOf(s3.send(new PutObjectAclCommand({ Bucket: plain, Key: 'digits', ACL: 'private' }))),
  ).toMatchObject({ status: 501 });
  expect(await codeOf(put(plain, 'tagged', 'x', { Tagging: 'a=b' }))).toMatchObject({ status: 501 });
});
