import type { IncomingMessage, ServerResponse } from 'node:http';

/** Largest request body that API Gateway takes, bytes. */
export const BODY_LIMIT = 10 * 1024 * 1024;

/** A request as it came over the wire. */
export interface Incoming {
  readonly method: string;
  /** Percent-encoded, without the query. */
  readonly path: string;
  readonly rawQuery: string;
  /** Names as sent, in order; repeated names are repeated. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
  readonly sourceIp: string;
  readonly httpVersion: string;
}

/** An answer to be written. */
export interface Answer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
}

/** Reads the whole request; `undefined` when its body is larger than `BODY_LIMIT`. */
export async function readIncoming(request: IncomingMessage): Promise<Incoming | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    // What is too much is still read: closing in the middle would take the answer away from the client.
    if (size <= BODY_LIMIT) chunks.push(chunk);
  }
  if (size > BODY_LIMIT) return undefined;
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  const headers: [string, string][] = [];
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    headers.push([request.rawHeaders[index] ?? '', request.rawHeaders[index + 1] ?? '']);
  }
  return {
    method: request.method ?? 'GET',
    path: mark === -1 ? url : url.slice(0, mark),
    rawQuery: mark === -1 ? '' : url.slice(mark + 1),
    headers,
    body: Buffer.concat(chunks),
    sourceIp: request.socket.remoteAddress ?? '127.0.0.1',
    httpVersion: request.httpVersion,
  };
}

/** The value of a header, its name in any case; repeated ones joined by a comma. */
export function headerOf(incoming: Incoming, name: string): string | undefined {
  const values = incoming.headers.filter(([given]) => given.toLowerCase() === name).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(',');
}

/** Bytes of the request line and headers, as API Gateway's limit counts them. */
export function headerBytes(request: IncomingMessage): number {
  let bytes = (request.method ?? '').length + (request.url ?? '').length + 2;
  for (const part of request.rawHeaders) bytes += Buffer.byteLength(part) + 2;
  return bytes;
}

/** A JSON answer of API Gateway itself. */
export function jsonAnswer(
  status: number,
  body: unknown,
  headers: readonly (readonly [string, string])[] = [],
): Answer {
  return {
    status,
    headers: [['content-type', 'application/json'], ...headers],
    body: Buffer.from(JSON.stringify(body)),
  };
}

/** Writes the answer. */
export function writeAnswer(response: ServerResponse, answer: Answer): void {
  const flat = answer.headers.filter(([name]) => !HOP_BY_HOP.has(name.toLowerCase())).flat();
  const withoutBody = answer.status === 204 || answer.status === 304 || answer.status < 200;
  response.writeHead(answer.status, withoutBody ? flat : [...flat, 'content-length', String(answer.body.length)]);
  response.end(withoutBody ? undefined : answer.body);
}

/** What belongs to one connection and is never taken from a function. */
const HOP_BY_HOP = new Set(['connection', 'content-length', 'keep-alive', 'transfer-encoding', 'upgrade']);
