import { randomUUID } from 'node:crypto';
import {
  AwsError,
  type AwsRequest,
  type AwsResponse,
  type AwsService,
  type Cloud,
  type Permission,
  type Principal,
} from '../../cloud.ts';
import { keyPermissions } from '../kms/permissions.ts';
import { xmlDocument, xmlElements } from '../protocol/xml.ts';
import { checkedChecksums } from './checksum.ts';
import { requestContent } from './chunked.ts';
import { listObjects, listVersions } from './listing.ts';
import {
  type Bucket,
  type LockMode,
  type NewObject,
  ObjectStore,
  type ObjectVersion,
  type Retention,
} from './objects.ts';
import { byteRange, keptHeaders, onlyParameters, targetOf } from './request.ts';
import { Uploads } from './uploads.ts';

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';

/** Query parameters that name another resource of a bucket or object than its content. */
const SUBRESOURCES = ['uploads', 'uploadId', 'versions', 'retention'] as const;

/** An operation of S3 on one target. */
interface S3Operation {
  readonly name: string;
  readonly permissions: readonly Permission[];
  run(principal: Principal): AwsResponse | Promise<AwsResponse>;
}

const xml = (root: string, elements: Parameters<typeof xmlDocument>[2]): AwsResponse => ({
  headers: { 'content-type': 'application/xml' },
  body: xmlDocument(root, NAMESPACE, elements),
});

const lockMode = (text: string): LockMode => {
  if (text === 'COMPLIANCE' || text === 'GOVERNANCE') return text;
  throw new AwsError('InvalidArgument', 'Unknown wormMode directive.');
};

const retentionFrom = (mode: string | undefined, until: string | undefined): Retention | undefined => {
  if (mode === undefined && until === undefined) return undefined;
  const time = Date.parse(until ?? '');
  if (mode === undefined || Number.isNaN(time)) {
    throw new AwsError(
      'InvalidArgument',
      'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied',
    );
  }
  return { mode: lockMode(mode), until: time };
};

/** What the headers of a PUT say about object lock. */
const lockOf = (
  bucket: Bucket,
  headers: Readonly<Record<string, string>>,
): Pick<NewObject, 'retention' | 'legalHold'> => {
  const retention = retentionFrom(headers['x-amz-object-lock-mode'], headers['x-amz-object-lock-retain-until-date']);
  const hold = headers['x-amz-object-lock-legal-hold'];
  if ((retention !== undefined || hold !== undefined) && !bucket.objectLock) {
    throw new AwsError('InvalidRequest', 'Bucket is missing Object Lock Configuration');
  }
  return {
    ...(retention === undefined ? {} : { retention }),
    ...(hold === undefined ? {} : { legalHold: hold === 'ON' }),
  };
};

const versionHeaders = (bucket: Bucket, version: ObjectVersion): Record<string, string> => ({
  ...(bucket.versioned ? { 'x-amz-version-id': version.id } : {}),
  ...(version.deleteMarker ? { 'x-amz-delete-marker': 'true' } : {}),
});

const encryptionHeaders = (bucket: Bucket): Record<string, string> =>
  bucket.keyName === undefined
    ? { 'x-amz-server-side-encryption': 'AES256' }
    : { 'x-amz-server-side-encryption': 'aws:kms', 'x-amz-server-side-encryption-aws-kms-key-id': bucket.keyName };

const sameTag = (header: string, etag: string): boolean =>
  header === '*' || header.split(',').some((one) => one.trim().replaceAll('"', '') === etag.replaceAll('"', ''));

const preconditionFailed = (): AwsError =>
  new AwsError('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', 412);

/** Conditional writes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html */
const checkWriteConditions = (headers: Readonly<Record<string, string>>, current: ObjectVersion | undefined): void => {
  const none = headers['if-none-match'];
  if (none !== undefined && none !== '*')
    throw new AwsError('NotImplemented', 'A write takes If-None-Match: * only', 501);
  if (none !== undefined && current !== undefined) throw preconditionFailed();
  const match = headers['if-match'];
  if (match === undefined) return;
  if (current === undefined) throw new AwsError('NoSuchKey', 'The specified key does not exist.', 404);
  if (!sameTag(match, current.etag)) throw preconditionFailed();
};

/** S3 as functions call it: REST in path style. */
export const s3Service = (cloud: Cloud): AwsService => {
  const objects = new ObjectStore(cloud.store, cloud.clock);
  const uploads = new Uploads(cloud.store);
  const objectArn = (bucket: string, key: string): string => `arn:aws:s3:::${bucket}/${key}`;

  const keyOf = (bucket: Bucket, request: AwsRequest): string | undefined =>
    request.headers['x-amz-server-side-encryption-aws-kms-key-id'] ?? bucket.keyName;

  /** A caller that may not list the bucket does not learn whether a key exists. */
  const missing = (bucket: Bucket, key: string, principal: Principal, version: string | undefined): AwsError => {
    try {
      cloud.authorize(principal, {
        action: 's3:ListBucket',
        resource: `arn:aws:s3:::${bucket.name}`,
        context: { 's3:prefix': key },
      });
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      return new AwsError('AccessDenied', 'Access Denied', 403);
    }
    return version === undefined
      ? new AwsError('NoSuchKey', 'The specified key does not exist.', 404)
      : new AwsError('NoSuchVersion', 'The specified version does not exist.', 404);
  };

  const get = (bucket: Bucket, key: string, request: AwsRequest): S3Operation => {
    onlyParameters(request, [
      'versionId',
      'response-content-type',
      'response-content-disposition',
      'response-cache-control',
    ]);
    const versionId = request.query.get('versionId') ?? undefined;
    const head = request.method === 'HEAD';
    return {
      name: head ? 'HeadObject' : 'GetObject',
      permissions: [
        {
          action: versionId === undefined ? 's3:GetObject' : 's3:GetObjectVersion',
          resource: objectArn(bucket.name, key),
        },
        ...keyPermissions(cloud, keyOf(bucket, request), 's3', ['Decrypt']),
      ],
      run(principal) {
        const version =
          versionId === undefined
            ? objects.current(bucket, key)
            : objects.versions(bucket, key).find((candidate) => candidate.id === versionId);
        if (version === undefined) throw missing(bucket, key, principal, versionId);
        if (version.deleteMarker)
          throw new AwsError('MethodNotAllowed', 'The specified method is not allowed against this resource.', 405);
        const { headers } = request;
        if (headers['if-match'] !== undefined && !sameTag(headers['if-match'], version.etag))
          throw preconditionFailed();
        const shown: Record<string, string> = {
          ...version.headers,
          ...versionHeaders(bucket, version),
          ...encryptionHeaders(bucket),
          etag: version.etag,
          'last-modified': new Date(version.modifiedAt).toUTCString(),
          'accept-ranges': 'bytes',
          ...(version.retention === undefined
            ? {}
            : {
                'x-amz-object-lock-mode': version.retention.mode,
                'x-amz-object-lock-retain-until-date': new Date(version.retention.until).toISOString(),
              }),
          ...(version.legalHold === undefined
            ? {}
            : { 'x-amz-object-lock-legal-hold': version.legalHold ? 'ON' : 'OFF' }),
        };
        for (const name of ['content-type', 'content-disposition', 'cache-control']) {
          const wanted = request.query.get(`response-${name}`);
          if (wanted !== null) shown[name] = wanted;
        }
        if (headers['if-none-match'] !== undefined && sameTag(headers['if-none-match'], version.etag)) {
          return { status: 304, headers: { etag: version.etag } };
        }
        const range = byteRange(headers['range'], version.size);
        const length = range === undefined ? version.size : range.end - range.start + 1;
        const partial =
          range === undefined ? {} : { 'content-range': `bytes ${range.start}-${range.end}/${version.size}` };
        // A checksum is of the whole object and does not fit a part of it.
        const checksumless = Object.fromEntries(
          Object.entries(shown).filter(([name]) => !name.startsWith('x-amz-checksum-')),
        );
        const wholeWithChecksum = range === undefined && headers['x-amz-checksum-mode']?.toUpperCase() === 'ENABLED';
        const body = head ? undefined : objects.body(version);
        return {
          status: range === undefined ? 200 : 206,
          headers: { ...(wholeWithChecksum ? shown : checksumless), ...partial, 'content-length': String(length) },
          ...(body === undefined
            ? {}
            : { body: range === undefined ? body : body.subarray(range.start, range.end + 1) }),
        };
      },
    };
  };

  const writePermissions = (bucket: Bucket, key: string, request: AwsRequest): Permission[] => {
    const resource = objectArn(bucket.name, key);
    const { headers } = request;
    return [
      {
        action: 's3:PutObject',
        resource,
        // https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
        ...(headers['if-none-match'] === undefined
          ? {}
          : { context: { 's3:if-none-match': headers['if-none-match'] } }),
      },
      ...(headers['x-amz-object-lock-mode'] === undefined ? [] : [{ action: 's3:PutObjectRetention', resource }]),
      ...(headers['x-amz-object-lock-legal-hold'] === undefined ? [] : [{ action: 's3:PutObjectLegalHold', resource }]),
      ...keyPermissions(cloud, keyOf(bucket, request), 's3', ['GenerateDataKey']),
    ];
  };

  const put = (bucket: Bucket, key: string, request: AwsRequest): S3Operation => {
    onlyParameters(request, []);
    return {
      name: 'PutObject',
      permissions: writePermissions(bucket, key, request),
      run() {
        const { body, headers } = requestContent(request);
        const kept = keptHeaders(headers);
        const checksums = checkedChecksums(headers, body);
        checkWriteConditions(headers, objects.current(bucket, key));
        const version = objects.put(bucket, key, body, {
          headers: { ...kept, ...checksums },
          ...lockOf(bucket, headers),
        });
        return {
          headers: {
            etag: version.etag,
            ...checksums,
            ...versionHeaders(bucket, version),
            ...encryptionHeaders(bucket),
          },
        };
      },
    };
  };

  const remove = (bucket: Bucket, key: string, request: AwsRequest): S3Operation => {
    onlyParameters(request, ['versionId']);
    const versionId = request.query.get('versionId') ?? undefined;
    const resource = objectArn(bucket.name, key);
    const bypass = request.headers['x-amz-bypass-governance-retention'] === 'true';
    return {
      name: 'DeleteObject',
      permissions: [
        { action: versionId === undefined ? 's3:DeleteObject' : 's3:DeleteObjectVersion', resource },
        ...(bypass ? [{ action: 's3:BypassGovernanceRetention', resource }] : []),
      ],
      run() {
        const version =
          versionId === undefined ? objects.remove(bucket, key) : objects.removeVersion(bucket, key, versionId, bypass);
        return { status: 204, headers: version === undefined ? {} : versionHeaders(bucket, version) };
      },
    };
  };

  const retention = (bucket: Bucket, key: string, request: AwsRequest): S3Operation => {
    onlyParameters(request, ['retention', 'versionId']);
    const resource = objectArn(bucket.name, key);
    const versionOf = (): ObjectVersion => {
      const wanted = request.query.get('versionId');
      const version = objects.versions(bucket, key).find((candidate) => wanted === null || candidate.id === wanted);
      if (version === undefined) throw new AwsError('NoSuchKey', 'The specified key does not exist.', 404);
      return version;
    };
    if (request.method === 'GET') {
      return {
        name: 'GetObjectRetention',
        permissions: [{ action: 's3:GetObjectRetention', resource }],
        run() {
          const found = versionOf().retention;
          if (found === undefined) {
            throw new AwsError(
              'NoSuchObjectLockConfiguration',
              'The specified object does not have a ObjectLock configuration',
              404,
            );
          }
          return xml('Retention', { Mode: found.mode, RetainUntilDate: new Date(found.until).toISOString() });
        },
      };
    }
    const bypass = request.headers['x-amz-bypass-governance-retention'] === 'true';
    return {
      name: 'PutObjectRetention',
      permissions: [
        { action: 's3:PutObjectRetention', resource },
        ...(bypass ? [{ action: 's3:BypassGovernanceRetention', resource }] : []),
      ],
      run() {
        const text = requestContent(request).body.toString();
        const wanted = retentionFrom(
          /<Mode>([^<]*)<\/Mode>/.exec(text)?.[1],
          /<RetainUntilDate>([^<]*)<\/RetainUntilDate>/.exec(text)?.[1],
        );
        if (wanted === undefined) throw new AwsError('MalformedXML', 'The XML you provided was not well-formed');
        if (!bucket.objectLock) throw new AwsError('InvalidRequest', 'Bucket is missing Object Lock Configuration');
        objects.retain(bucket, key, versionOf().id, wanted, bypass);
        return {};
      },
    };
  };

  const multipart = (bucket: Bucket, key: string, request: AwsRequest): S3Operation => {
    const uploadId = request.query.get('uploadId');
    const resource = objectArn(bucket.name, key);
    if (uploadId === null) {
      if (request.method !== 'POST')
        throw new AwsError('NotImplemented', 'The local cloud does not emulate ListMultipartUploads', 501);
      onlyParameters(request, ['uploads']);
      return {
        name: 'CreateMultipartUpload',
        permissions: writePermissions(bucket, key, request),
        run() {
          const { headers } = request;
          // What decides about object lock at the end is said at the beginning.
          const lock = Object.entries(headers).filter(([name]) => name.startsWith('x-amz-object-lock-'));
          lockOf(bucket, headers);
          const upload = uploads.begin(bucket.name, key, { ...keptHeaders(headers), ...Object.fromEntries(lock) });
          return xml('InitiateMultipartUploadResult', { Bucket: bucket.name, Key: key, UploadId: upload.id });
        },
      };
    }
    if (request.method === 'PUT') {
      onlyParameters(request, ['uploadId', 'partNumber']);
      return {
        name: 'UploadPart',
        permissions: writePermissions(bucket, key, request),
        run() {
          const upload = uploads.get(bucket.name, key, uploadId);
          const { body, headers } = requestContent(request);
          const checksums = checkedChecksums(headers, body);
          return {
            headers: { etag: uploads.putPart(upload, Number(request.query.get('partNumber')), body), ...checksums },
          };
        },
      };
    }
    if (request.method === 'DELETE') {
      onlyParameters(request, ['uploadId']);
      return {
        name: 'AbortMultipartUpload',
        permissions: [{ action: 's3:AbortMultipartUpload', resource }],
        run() {
          uploads.end(uploads.get(bucket.name, key, uploadId));
          return { status: 204 };
        },
      };
    }
    if (request.method !== 'POST')
      throw new AwsError('NotImplemented', 'The local cloud does not emulate ListParts', 501);
    onlyParameters(request, ['uploadId']);
    return {
      name: 'CompleteMultipartUpload',
      permissions: [
        ...writePermissions(bucket, key, request),
        ...keyPermissions(cloud, keyOf(bucket, request), 's3', ['Decrypt']),
      ],
      run() {
        const upload = uploads.get(bucket.name, key, uploadId);
        checkWriteConditions(request.headers, objects.current(bucket, key));
        const listed = [...request.body.toString().matchAll(/<Part>([\s\S]*?)<\/Part>/g)].map(([, part = '']) => ({
          number: Number(/<PartNumber>(\d+)<\/PartNumber>/.exec(part)?.[1] ?? Number.NaN),
          etag: (/<ETag>([^<]*)<\/ETag>/.exec(part)?.[1] ?? '').replaceAll('&quot;', '').replaceAll('&#34;', ''),
        }));
        const { content, etag } = uploads.assemble(upload, listed);
        const version = objects.put(bucket, key, content, {
          headers: keptHeaders(upload.headers),
          etag,
          ...lockOf(bucket, upload.headers),
        });
        uploads.end(upload);
        return {
          ...xml('CompleteMultipartUploadResult', { Bucket: bucket.name, Key: key, ETag: version.etag }),
          headers: {
            'content-type': 'application/xml',
            ...versionHeaders(bucket, version),
            ...encryptionHeaders(bucket),
          },
        };
      },
    };
  };

  const onBucket = (bucket: Bucket, request: AwsRequest): S3Operation => {
    const resource = `arn:aws:s3:::${bucket.name}`;
    const context: Record<string, string> = {};
    for (const name of ['prefix', 'delimiter', 'max-keys']) {
      const value = request.query.get(name);
      if (value !== null) context[`s3:${name}`] = value;
    }
    if (request.method === 'HEAD') {
      return {
        name: 'HeadBucket',
        permissions: [{ action: 's3:ListBucket', resource }],
        run: () => ({ headers: { 'x-amz-bucket-region': cloud.region } }),
      };
    }
    if (request.method === 'GET' && request.query.has('versions')) {
      onlyParameters(request, ['versions', 'prefix', 'key-marker', 'version-id-marker', 'max-keys', 'encoding-type']);
      return {
        name: 'ListObjectVersions',
        permissions: [{ action: 's3:ListBucketVersions', resource, context }],
        run: () => ({ headers: { 'content-type': 'application/xml' }, body: listVersions(objects, bucket, request) }),
      };
    }
    if (request.method === 'GET' && request.query.get('list-type') === '2') {
      onlyParameters(request, [
        'list-type',
        'prefix',
        'delimiter',
        'max-keys',
        'continuation-token',
        'start-after',
        'encoding-type',
        'fetch-owner',
      ]);
      return {
        name: 'ListObjectsV2',
        permissions: [{ action: 's3:ListBucket', resource, context }],
        run: () => ({ headers: { 'content-type': 'application/xml' }, body: listObjects(objects, bucket, request) }),
      };
    }
    throw new AwsError(
      'NotImplemented',
      `The local cloud does not emulate ${request.method} of this part of a bucket`,
      501,
    );
  };

  const operationOf = (request: AwsRequest): S3Operation => {
    const target = targetOf(request);
    const bucket = objects.bucket(target.bucket);
    if (target.key === '') return onBucket(bucket, request);
    const subresource = SUBRESOURCES.find((name) => request.query.has(name));
    if (subresource === 'uploads' || subresource === 'uploadId') return multipart(bucket, target.key, request);
    if (subresource === 'retention' && (request.method === 'GET' || request.method === 'PUT'))
      return retention(bucket, target.key, request);
    switch (request.method) {
      case 'GET':
      case 'HEAD':
        return get(bucket, target.key, request);
      case 'PUT':
        return put(bucket, target.key, request);
      case 'DELETE':
        return remove(bucket, target.key, request);
      default:
        throw new AwsError('NotImplemented', `The local cloud does not emulate ${request.method} of an object`, 501);
    }
  };

  return {
    signingNames: ['s3'],
    resolve(request) {
      const operation = operationOf(request);
      return {
        operation: operation.name,
        permissions: operation.permissions,
        execute: async (principal) => operation.run(principal),
      };
    },
    error: (error, request) => s3Error(error, request),
  };
};

/** An error as S3 writes it; the answer to HEAD has no body. */
export const s3Error = (error: AwsError, request: AwsRequest): AwsResponse => ({
  status: error.status,
  headers: { 'content-type': 'application/xml' },
  ...(request.method === 'HEAD'
    ? {}
    : {
        body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error>${xmlElements({
          Code: error.code,
          Message: error.message,
          Resource: request.path,
          RequestId: randomUUID(),
        })}</Error>`,
      }),
});
