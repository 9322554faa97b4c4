import { createHash, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { AwsError } from '../../cloud.ts';

/** CRC-32C (Castagnoli), bit-reversed polynomial. */
const CRC32C_TABLE: readonly number[] = Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value >>> 0;
});

const crc32c = (data: Buffer): number => {
  let value = 0xffffffff;
  for (const byte of data) value = ((CRC32C_TABLE[(value ^ byte) & 0xff] ?? 0) ^ (value >>> 8)) >>> 0;
  return (value ^ 0xffffffff) >>> 0;
};

const fourBytes = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

/** Checksum algorithms by the end of their header's name `x-amz-checksum-<name>`. */
const ALGORITHMS: Readonly<Record<string, (data: Buffer) => Buffer>> = {
  crc32: (data) => fourBytes(crc32(data)),
  crc32c: (data) => fourBytes(crc32c(data)),
  sha1: (data) => createHash('sha1').update(data).digest(),
  sha256: (data) => createHash('sha256').update(data).digest(),
};

const PREFIX = 'x-amz-checksum-';

/** Headers that begin like a checksum but say something about checksums. */
const NOT_CHECKSUMS = new Set(['x-amz-checksum-mode', 'x-amz-checksum-algorithm', 'x-amz-checksum-type']);

/**
 * Checks `content-md5` and the checksums of a request (headers and trailers) against its content and returns the
 * checksum headers, to be stored with the object. AwsError `BadDigest` when one is wrong.
 */
export const checkedChecksums = (
  headers: Readonly<Record<string, string>>,
  content: Buffer,
): Record<string, string> => {
  const md5 = headers['content-md5'];
  if (md5 !== undefined && md5 !== createHash('md5').update(content).digest('base64')) {
    throw new AwsError('BadDigest', 'The Content-MD5 you specified did not match what we received.');
  }
  const checksums: Record<string, string> = {};
  for (const [name, given] of Object.entries(headers)) {
    if (!name.startsWith(PREFIX) || NOT_CHECKSUMS.has(name)) continue;
    const algorithm = ALGORITHMS[name.slice(PREFIX.length)];
    if (algorithm === undefined) throw new AwsError('NotImplemented', `The local cloud does not compute ${name}`, 501);
    const wanted = Buffer.from(given, 'base64');
    const actual = algorithm(content);
    if (wanted.length !== actual.length || !timingSafeEqual(wanted, actual)) {
      throw new AwsError('BadDigest', `The ${name} you specified did not match what we received.`);
    }
    checksums[name] = given;
  }
  return checksums;
};
