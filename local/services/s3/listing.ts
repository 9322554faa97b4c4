import { AwsError, type AwsRequest } from '../../cloud.ts';
import { type XmlElements, xmlDocument } from '../protocol/xml.ts';
import type { Bucket, ObjectStore, ObjectVersion } from './objects.ts';

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';
const PAGE = 1000;

interface Entry {
  readonly key: string;
  readonly versions: readonly ObjectVersion[];
}

/** A page of keys and common prefixes. */
interface Page {
  readonly entries: readonly Entry[];
  readonly prefixes: readonly string[];
  /** The last key or common prefix of the page when more follows. */
  readonly next: string | undefined;
}

const page = (all: readonly Entry[], prefix: string, delimiter: string, after: string, limit: number): Page => {
  const entries: Entry[] = [];
  const prefixes: string[] = [];
  let last = '';
  for (const entry of all) {
    const cut = delimiter === '' ? -1 : entry.key.indexOf(delimiter, prefix.length);
    const name = cut < 0 ? entry.key : entry.key.slice(0, cut + delimiter.length);
    if (Buffer.compare(Buffer.from(name), Buffer.from(after)) <= 0 || (cut >= 0 && prefixes.at(-1) === name)) continue;
    if (entries.length + prefixes.length >= limit) return { entries, prefixes, next: last };
    if (cut < 0) entries.push(entry);
    else prefixes.push(name);
    last = name;
  }
  return { entries, prefixes, next: undefined };
};

const limitOf = (request: AwsRequest): number => {
  const text = request.query.get('max-keys');
  if (text !== null && !/^\d{1,9}$/.test(text))
    throw new AwsError('InvalidArgument', 'Provided max-keys not an integer');
  return Math.min(text === null ? PAGE : Number(text), PAGE);
};

const encoder = (request: AwsRequest): ((text: string) => string) =>
  request.query.get('encoding-type') === 'url'
    ? (text) => encodeURIComponent(text).replaceAll('%2F', '/')
    : (text) => text;

const time = (milliseconds: number): string => new Date(milliseconds).toISOString();

/** `ListObjectsV2` as XML. */
export const listObjects = (objects: ObjectStore, bucket: Bucket, request: AwsRequest): string => {
  const { query } = request;
  const encode = encoder(request);
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const token = query.get('continuation-token');
  const after = token === null ? (query.get('start-after') ?? '') : Buffer.from(token, 'base64url').toString();
  const visible = objects.list(bucket, prefix).filter(({ versions }) => versions[0]?.deleteMarker === false);
  const limit = limitOf(request);
  const { entries, prefixes, next } = page(visible, prefix, delimiter, after, limit);
  return xmlDocument('ListBucketResult', NAMESPACE, {
    Name: bucket.name,
    Prefix: encode(prefix),
    Delimiter: delimiter === '' ? undefined : encode(delimiter),
    EncodingType: query.get('encoding-type') ?? undefined,
    ContinuationToken: token ?? undefined,
    StartAfter: query.get('start-after') ?? undefined,
    KeyCount: entries.length + prefixes.length,
    MaxKeys: limit,
    IsTruncated: next !== undefined && limit > 0,
    NextContinuationToken: next === undefined || limit === 0 ? undefined : Buffer.from(next).toString('base64url'),
    Contents: entries.flatMap(({ key, versions: [newest] }): XmlElements[] =>
      newest === undefined
        ? []
        : [
            {
              Key: encode(key),
              LastModified: time(newest.modifiedAt),
              ETag: newest.etag,
              Size: newest.size,
              StorageClass: 'STANDARD',
            },
          ],
    ),
    CommonPrefixes: prefixes.map((one) => ({ Prefix: encode(one) })),
  });
};

/** `ListObjectVersions` as XML; a page ends between keys, never between the versions of one. */
export const listVersions = (objects: ObjectStore, bucket: Bucket, request: AwsRequest): string => {
  const { query } = request;
  const encode = encoder(request);
  const prefix = query.get('prefix') ?? '';
  const { entries, next } = page(
    objects.list(bucket, prefix),
    prefix,
    '',
    query.get('key-marker') ?? '',
    limitOf(request),
  );
  const row = (key: string, version: ObjectVersion, index: number): XmlElements => ({
    Key: encode(key),
    VersionId: version.id,
    IsLatest: index === 0,
    LastModified: time(version.modifiedAt),
    ...(version.deleteMarker ? {} : { ETag: version.etag, Size: version.size, StorageClass: 'STANDARD' }),
  });
  const rows = (markers: boolean): XmlElements[] =>
    entries.flatMap(({ key, versions }) =>
      versions.flatMap((version, index) => (version.deleteMarker === markers ? [row(key, version, index)] : [])),
    );
  return xmlDocument('ListVersionsResult', NAMESPACE, {
    Name: bucket.name,
    Prefix: encode(prefix),
    KeyMarker: query.get('key-marker') ?? '',
    MaxKeys: limitOf(request),
    EncodingType: query.get('encoding-type') ?? undefined,
    IsTruncated: next !== undefined,
    NextKeyMarker: next === undefined ? undefined : encode(next),
    NextVersionIdMarker: next === undefined ? undefined : 'null',
    Version: rows(false),
    DeleteMarker: rows(true),
  });
};
