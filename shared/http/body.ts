import { gunzipSync } from 'node:zlib';
import { problems } from './problem.ts';

/** The parts of an API Gateway event (REST and HTTP API alike) that a body is read from. */
export interface BodySource {
  readonly body?: string | null | undefined;
  readonly isBase64Encoded?: boolean | undefined;
  readonly headers?: Readonly<Record<string, string | undefined>> | null | undefined;
}

/** Largest JSON body of an ordinary management request, in bytes. Files have limits of their own. */
export const jsonLimitBytes = 64 * 1024;

/**
 * The raw body. API Gateway hands over unusual media types in base64, so the flag is honoured always; gzip is undone.
 * The limit counts the bytes after decompression, so that a small upload cannot become a large one.
 *
 * @throws ProblemError 413 above `limitBytes`, 415 for an unknown Content-Encoding, 400 for broken base64 or gzip
 */
export function readBody(source: BodySource, limitBytes: number): Buffer {
  const text = source.body ?? '';
  // Four base64 characters carry three bytes: a body that must be too large is refused before it is decoded.
  if (text.length > (source.isBase64Encoded ? Math.ceil(limitBytes / 3) * 4 + 4 : limitBytes))
    throw tooLarge(limitBytes);
  const received = source.isBase64Encoded ? decodeBase64(text) : Buffer.from(text, 'utf8');
  const body = decompress(received, header(source.headers, 'content-encoding'), limitBytes);
  if (body.length > limitBytes) throw tooLarge(limitBytes);
  return body;
}

/**
 * The body as a JSON value (not yet validated).
 *
 * @throws ProblemError 415 when the media type is not JSON, 400 when it is empty, not UTF-8 or not JSON, 413 when too large
 */
export function readJson(source: BodySource, limitBytes: number = jsonLimitBytes): unknown {
  const mediaType = mediaTypeOf(source.headers);
  if (mediaType !== undefined && mediaType !== 'application/json' && !/^application\/[\w.-]+\+json$/.test(mediaType)) {
    throw problems.unsupportedMediaType(`Send application/json, not ${mediaType}.`);
  }
  const body = readBody(source, limitBytes);
  if (body.length === 0) throw problems.invalid('The request needs a JSON body.');
  return parseJson(body);
}

/**
 * Parses JSON bytes strictly: UTF-8 without replacement characters.
 *
 * @throws ProblemError 400; its detail never repeats what was sent
 */
export function parseJson(body: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw problems.invalid('The body is not UTF-8.');
  }
  try {
    return JSON.parse(text);
  } catch {
    throw problems.invalid('The body is not JSON.');
  }
}

/** The media type of a request in lower case without its parameters; undefined when none was given. */
export function mediaTypeOf(headers: BodySource['headers']): string | undefined {
  const value = header(headers, 'content-type')?.split(';')[0]?.trim().toLowerCase();
  return value === '' ? undefined : value;
}

/** A header by its name in lower case, however the client wrote it. */
export function header(headers: BodySource['headers'], name: string): string | undefined {
  for (const [key, value] of Object.entries(headers ?? {})) {
    if (key.toLowerCase() === name) return value;
  }
  return undefined;
}

function decodeBase64(text: string): Buffer {
  // Buffer.from skips what is not base64; a gateway that says base64 and sends something else is an error to name.
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw problems.invalid('The body is not base64 as announced.');
  return Buffer.from(text, 'base64');
}

function decompress(body: Buffer, encoding: string | undefined, limitBytes: number): Buffer {
  const name = encoding?.trim().toLowerCase();
  if (name === undefined || name === '' || name === 'identity') return body;
  if (name !== 'gzip')
    throw problems.unsupportedMediaType(`Content-Encoding ${name} is not supported; use gzip or none.`);
  try {
    return gunzipSync(body, { maxOutputLength: limitBytes + 1 });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge(limitBytes);
    throw problems.invalid('The body is not gzip as announced.');
  }
}

function tooLarge(limitBytes: number): Error {
  return problems.tooLarge(`The body may have at most ${limitBytes} bytes.`, limitBytes);
}
