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
  /** PEM of the authority that the server's certificate ends in; the public ones that Node.js knows when left out. */
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

/** Codes of an untrusted server certificate; OpenSSL has more, which begin with `CERT_`. */
const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** A failed connection with the name of the host, and with what can be done about it. `code` stays as it was. */
function explained(url: string, error: Error): Error {
  const { host } = new URL(url);
  const code = 'code' in error ? String(error.code) : '';
  const words =
    untrusted.has(code) || code.startsWith('CERT_')
      ? `the certificate of ${host} is not trusted (${code}): is --ca the certificate that it ends in?`
      : code === 'ERR_TLS_CERT_ALTNAME_INVALID'
        ? `the certificate of ${host} is for another host`
        : ['ENOTFOUND', 'EAI_AGAIN'].includes(code)
          ? `the name ${host} is not found`
          : code === 'ECONNREFUSED'
            ? `nothing answers at ${host}`
            : undefined;
  return words === undefined ? error : Object.assign(new Error(words, { cause: error }), { code });
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
  request.on('error', (error) => reject(explained(call.url, error)));
  request.end(call.body);
  return promise;
}
