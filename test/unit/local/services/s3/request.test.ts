import fc from 'fast-check';
import { AwsError, type AwsRequest } from '../../../../../local/cloud.ts';
import { checkedChecksums } from '../../../../../local/services/s3/checksum.ts';
import { requestContent } from '../../../../../local/services/s3/chunked.ts';
import { byteRange } from '../../../../../local/services/s3/request.ts';

const request = (body: Buffer, headers: Record<string, string>): AwsRequest => ({
  method: 'PUT',
  path: '/bucket/key',
  query: new URLSearchParams(),
  headers,
  body,
});

const chunked = (chunks: readonly Uint8Array[], trailer: string): Buffer =>
  Buffer.concat([
    ...chunks
      .filter((chunk) => chunk.length > 0)
      .flatMap((chunk) => [Buffer.from(`${chunk.length.toString(16)}\r\n`), Buffer.from(chunk), Buffer.from('\r\n')]),
    Buffer.from(`0\r\n${trailer}\r\n\r\n`),
  ]);

const streaming = { 'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', 'content-encoding': 'aws-chunked' };

describe('aws-chunked', () => {
  test('gives the content and the trailers, however it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), (chunks) => {
        const content = requestContent(request(chunked(chunks, 'x-amz-checksum-crc32: AAAAAA=='), streaming));
        expect(content.body).toEqual(Buffer.concat(chunks));
        expect(content.headers['x-amz-checksum-crc32']).toBe('AAAAAA==');
        expect(content.headers['content-encoding']).toBeUndefined();
      }),
    );
  });

  test('any other bytes are refused, never taken in part', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          requestContent(request(Buffer.from(bytes), { ...streaming, 'x-amz-decoded-content-length': '1000000' }));
          throw new Error('taken');
        } catch (error) {
          expect(error).toBeInstanceOf(AwsError);
        }
      }),
    );
  });

  test('content that is cut off is refused', () => {
    const whole = chunked([Buffer.from('hello world')], 'a:b');
    for (let length = 0; length < whole.indexOf('0\r\na:b'); length += 1) {
      expect(() => requestContent(request(whole.subarray(0, length), streaming))).toThrow('terminated');
    }
  });
});

describe('checksums', () => {
  test.each([
    ['x-amz-checksum-crc32', 'DUoRhQ=='],
    ['x-amz-checksum-crc32c', 'yZRlqg=='],
    ['x-amz-checksum-sha1', 'Kq5sNclPz7QV2+lfQIuc6R7oRu0='],
    ['x-amz-checksum-sha256', 'uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek='],
    ['content-md5', 'XrY7u+Ae7tCTyyK7j1rNww=='],
  ])('%s of "hello world"', (name, value) => {
    expect(() => checkedChecksums({ [name]: value }, Buffer.from('hello world'))).not.toThrow();
    expect(() => checkedChecksums({ [name]: value }, Buffer.from('hello worlds'))).toThrow('did not match');
  });

  test('one that cannot be computed is refused', () => {
    expect(() => checkedChecksums({ 'x-amz-checksum-crc64nvme': 'AAAAAAAAAAA=' }, Buffer.from(''))).toThrow(
      'does not compute',
    );
  });
});

describe('ranges', () => {
  test.each([
    ['bytes=0-3', 10, { start: 0, end: 3 }],
    ['bytes=5-', 10, { start: 5, end: 9 }],
    ['bytes=-3', 10, { start: 7, end: 9 }],
    ['bytes=-30', 10, { start: 0, end: 9 }],
    ['bytes=0-100', 10, { start: 0, end: 9 }],
    ['bytes=3-1', 10, undefined],
    ['bytes=0-1,3-4', 10, undefined],
    [undefined, 10, undefined],
  ])('%s of %d bytes', (header, size, expected) => {
    expect(byteRange(header, size)).toEqual(expected);
  });

  test.each(['bytes=10-', 'bytes=10-20', 'bytes=-0'])('%s of 10 bytes is not satisfiable', (header) => {
    expect(() => byteRange(header, 10)).toThrow('not satisfiable');
  });

  test('any header gives a range inside, the whole content, or 416', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^bytes=\d{0,5}-\d{0,5}$/)), fc.nat(1000), (header, size) => {
        try {
          const range = byteRange(header, size);
          if (range === undefined) return;
          expect(range.start).toBeLessThanOrEqual(range.end);
          expect(range.start).toBeGreaterThanOrEqual(0);
          expect(range.end).toBeLessThan(size);
        } catch (error) {
          expect((error as AwsError).status).toBe(416);
        }
      }),
    );
  });
});
