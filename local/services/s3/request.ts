import { AwsError, type AwsRequest } from '../../cloud.ts';

/** What a request to S3 addresses (path style: `/bucket/key`). */
export interface Target {
  readonly bucket: string;
  /** Empty: the bucket itself. */
  readonly key: string;
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new AwsError('InvalidURI', "Couldn't parse the specified URI.");
  }
};

/** Reads bucket and key from the path. AwsError `InvalidURI`. */
export const targetOf = (request: AwsRequest): Target => {
  const path = request.path.replace(/^\//, '');
  const slash = path.indexOf('/');
  return slash < 0
    ? { bucket: decode(path), key: '' }
    : { bucket: decode(path.slice(0, slash)), key: decode(path.slice(slash + 1)) };
};

/** Query parameters that go with a signed URL or an SDK and do not change what is asked for. */
const ALWAYS_ALLOWED =
  /^(x-id|x-amz-(algorithm|credential|date|expires|signedheaders|signature|security-token|content-sha256|user-agent|sdk-checksum-algorithm|checksum-mode))$/i;

/** AwsError `NotImplemented` for a query parameter that is not listed: it would ask for something else. */
export const onlyParameters = (request: AwsRequest, allowed: readonly string[]): void => {
  for (const name of request.query.keys()) {
    if (!allowed.includes(name) && !ALWAYS_ALLOWED.test(name)) {
      throw new AwsError('NotImplemented', `The local cloud does not emulate the S3 parameter ${name}`, 501);
    }
  }
};

/** Headers of a PUT that are kept and come back with the object. */
const KEPT = new Set([
  'content-type',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
  'x-amz-website-redirect-location',
]);

/** Headers that would change what is stored or who may read it, and that are not emulated. */
const REFUSED = [
  'x-amz-acl',
  'x-amz-grant-read',
  'x-amz-grant-full-control',
  'x-amz-tagging',
  'x-amz-copy-source',
  'x-amz-server-side-encryption-customer-algorithm',
  'x-amz-write-offset-bytes',
];

/** The headers of a PUT that are kept. AwsError `NotImplemented` for one that would be ignored. */
export const keptHeaders = (headers: Readonly<Record<string, string>>): Record<string, string> => {
  for (const name of REFUSED) {
    // Bucket owner enforced: this ACL is the only one that AWS takes, and it changes nothing.
    if (headers[name] !== undefined && headers[name] !== 'bucket-owner-full-control') {
      throw new AwsError('NotImplemented', `The local cloud does not emulate the S3 header ${name}`, 501);
    }
  }
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => KEPT.has(name) || name.startsWith('x-amz-meta-')),
  );
};

/** A byte range, both ends included. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The range of a `Range` header for content of `size` bytes; undefined for the whole content (no header, several ranges or
 * one that is not understood, as RFC 9110 section 14.2 has it). AwsError `InvalidRange` (416) when it lies outside.
 */
export const byteRange = (header: string | undefined, size: number): ByteRange | undefined => {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (match === null || (first === '' && last === '')) return undefined;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  if (start >= size || (first === '' && Number(last) === 0)) {
    throw new AwsError('InvalidRange', 'The requested range is not satisfiable', 416);
  }
  return { start, end };
};
