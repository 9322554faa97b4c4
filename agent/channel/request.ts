import { type Agent, request as sendRequest } from 'node:https';

/** A device's own certificate and key, PEM. */
export interface HttpsIdentity {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** One request over HTTPS. */
export interface HttpsRequest {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** PEM of the authority that the server's certificate ends in; the system's list when left out. */
  readonly ca?: string;
  readonly identity?: HttpsIdentity;
  /** Keeps the connection between requests. */
  readonly agent?: Agent;
  readonly signal?: AbortSignal;
  /** Of the whole exchange; 30 s when left out. */
  readonly timeoutMs?: number;
}

/** The answer: body as text, header names in lower case. */
export interface HttpsAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** No answer of this protocol is larger; more is an error, so that a bad server cannot fill the device's memory. */
const LARGEST_ANSWER = 1024 * 1024;

/** Sends a request and reads the whole answer. Rejects when the connection fails, takes too long or says too much. */
export async function httpsRequest(call: HttpsRequest): Promise<HttpsAnswer> {
  const timeout = AbortSignal.timeout(call.timeoutMs ?? 30_000);
  const { promise, resolve, reject } = Promise.withResolvers<HttpsAnswer>();
  const request = sendRequest(
    call.url,
    {
      method: call.method,
      headers: {
        accept: '*/*',
        ...call.headers,
        ...(call.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(call.body)) }),
      },
      signal: call.signal === undefined ? timeout : AbortSignal.any([call.signal, timeout]),
      ...(call.ca === undefined ? {} : { ca: call.ca }),
      ...(call.identity === undefined ? {} : { cert: call.identity.certificatePem, key: call.identity.privateKeyPem }),
      ...(call.agent === undefined ? {} : { agent: call.agent }),
    },
    (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > LARGEST_ANSWER) request.destroy(new Error(`${call.url} answered more than ${LARGEST_ANSWER} bytes`));
        else chunks.push(chunk);
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: Object.fromEntries(
            Object.entries(response.headers).map(([name, value]) => [
              name,
              Array.isArray(value) ? value.join(', ') : (value ?? ''),
            ]),
          ),
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    },
  );
  request.on('error', reject);
  request.end(call.body);
  return promise;
}
