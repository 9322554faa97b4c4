import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { readBody, readJson } from '../../../../shared/http/body.ts';
import { ProblemError } from '../../../../shared/http/problem.ts';

const statusOf = (run: () => unknown): number | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof ProblemError ? error.problem.status : -1;
  }
};

describe('readBody', () => {
  test('gives back the bytes, plain, in base64, and compressed', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 500 }), (text) => {
        const bytes = Buffer.from(text, 'utf8');
        expect(readBody({ body: text }, 10_000).equals(bytes)).toBe(true);
        expect(readBody({ body: bytes.toString('base64'), isBase64Encoded: true }, 10_000).equals(bytes)).toBe(true);
        const zipped = {
          body: gzipSync(bytes).toString('base64'),
          isBase64Encoded: true,
          headers: { 'Content-Encoding': 'gzip' },
        };
        expect(readBody(zipped, 10_000).equals(bytes)).toBe(true);
      }),
    );
  });

  test('refuses what is larger than the limit, also when it only becomes so by decompression', () => {
    const large = Buffer.alloc(5_000, 'a');
    const headers = { 'content-encoding': 'gzip' };
    expect(statusOf(() => readBody({ body: large.toString() }, 4_999))).toBe(413);
    expect(statusOf(() => readBody({ body: large.toString() }, 5_000))).toBeUndefined();
    const bomb = { body: gzipSync(large).toString('base64'), isBase64Encoded: true, headers };
    expect(statusOf(() => readBody(bomb, 4_999))).toBe(413);
    expect(statusOf(() => readBody({ body: 'ä'.repeat(10) }, 19))).toBe(413);
  });

  test('names what is wrong with base64, gzip and encodings', () => {
    expect(statusOf(() => readBody({ body: '***', isBase64Encoded: true }, 100))).toBe(400);
    expect(statusOf(() => readBody({ body: 'plain', headers: { 'content-encoding': 'gzip' } }, 100))).toBe(400);
    expect(statusOf(() => readBody({ body: 'plain', headers: { 'content-encoding': 'br' } }, 100))).toBe(415);
  });
});

test('whatever arrives, at most the limit comes out, or a refusal', () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  const body = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    bytes.map((each) => Buffer.from(each).toString('base64')),
    bytes.map((each) => gzipSync(each).toString('base64')),
    fc.tuple(bytes, fc.nat(40)).map(([each, cut]) => gzipSync(each).subarray(0, cut).toString('base64')),
  );
  const encoding = fc.oneof(fc.constantFrom('gzip', 'GZIP ', 'identity', 'br', '', '__proto__'), fc.string());
  fc.assert(
    fc.property(body, fc.boolean(), encoding, fc.nat(400), (text, isBase64Encoded, name, limit) => {
      const source = { body: text, isBase64Encoded, headers: { 'Content-Encoding': name } };
      const status = statusOf(() => expect(readBody(source, limit).length).toBeLessThanOrEqual(limit));
      expect([undefined, 400, 413, 415]).toContain(status);
    }),
    { numRuns: 1_000 },
  );
});

describe('readJson', () => {
  test('wants JSON and says so', () => {
    expect(readJson({ body: '{"a":1}', headers: { 'Content-Type': 'application/json; charset=utf-8' } })).toEqual({
      a: 1,
    });
    expect(readJson({ body: '1', headers: { 'content-type': 'application/merge-patch+json' } })).toBe(1);
    expect(statusOf(() => readJson({ body: '{}', headers: { 'content-type': 'text/plain' } }))).toBe(415);
    expect(statusOf(() => readJson({ body: '' }))).toBe(400);
    expect(statusOf(() => readJson({ body: '{' }))).toBe(400);
    expect(statusOf(() => readJson({ body: Buffer.from([0xff]).toString('base64'), isBase64Encoded: true }))).toBe(400);
  });

  test('does not repeat what was sent', () => {
    try {
      readJson({ body: '{"patient":"Jane Doe"' });
      throw new Error('should have been refused');
    } catch (error) {
      expect(JSON.stringify((error as ProblemError).problem)).not.toContain('Jane');
    }
  });
});
