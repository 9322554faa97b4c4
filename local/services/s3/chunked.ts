import { AwsError, type AwsRequest } from '../../cloud.ts';

/** The content of a request and all its headers, trailers among them. */
export interface Content {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

const incomplete = (): AwsError =>
  new AwsError('IncompleteBody', 'The request body terminated unexpectedly or is not in aws-chunked form.');

/**
 * Unpacks `aws-chunked` content, with signed or unsigned chunks and trailers
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html); any other content is returned as it is.
 */
export const requestContent = (request: AwsRequest): Content => {
  const encodings = (request.headers['content-encoding'] ?? '').split(',').map((name) => name.trim());
  const streaming = (request.headers['x-amz-content-sha256'] ?? '').startsWith('STREAMING-');
  if (!streaming && !encodings.includes('aws-chunked')) return { body: request.body, headers: request.headers };
  const { chunks, trailers } = unpack(request.body);
  const body = Buffer.concat(chunks);
  const announced = request.headers['x-amz-decoded-content-length'];
  if (announced !== undefined && Number(announced) !== body.length) throw incomplete();
  const { 'content-encoding': _encoding, ...headers } = request.headers;
  const rest = encodings.filter((name) => name !== 'aws-chunked' && name !== '');
  return {
    body,
    headers: { ...headers, ...trailers, ...(rest.length === 0 ? {} : { 'content-encoding': rest.join(',') }) },
  };
};

const unpack = (raw: Buffer): { chunks: Buffer[]; trailers: Record<string, string> } => {
  const chunks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const end = raw.indexOf('\r\n', at);
    if (end < 0) throw incomplete();
    const size = /^([0-9a-fA-F]{1,8})(;.*)?$/.exec(raw.subarray(at, end).toString('latin1'))?.[1];
    if (size === undefined) throw incomplete();
    const length = Number.parseInt(size, 16);
    at = end + 2;
    if (length === 0) return { chunks, trailers: readTrailers(raw.subarray(at)) };
    if (at + length + 2 > raw.length || raw.toString('latin1', at + length, at + length + 2) !== '\r\n')
      throw incomplete();
    chunks.push(raw.subarray(at, at + length));
    at += length + 2;
  }
};

const readTrailers = (raw: Buffer): Record<string, string> =>
  Object.fromEntries(
    raw
      .toString('latin1')
      .split('\r\n')
      .filter((line) => line.includes(':'))
      .map((line) => [line.slice(0, line.indexOf(':')).trim().toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
