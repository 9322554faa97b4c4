import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import { X509Certificates } from '@peculiar/x509';
import { type HttpsIdentity, httpsRequest } from '../channel/request.ts';

/** The server refused an EST request. */
export class EstError extends Error {
  /** HTTP status. */
  readonly status: number;
  /** Whether asking again later can help: 202 with Retry-After, 429 and 5xx. */
  readonly temporary: boolean;
  /** What the server asks to wait, seconds. */
  readonly retryAfterSeconds: number | undefined;
  constructor(status: number, message: string, retryAfterSeconds?: number) {
    super(message);
    this.name = 'EstError';
    this.status = status;
    this.temporary = status === 202 || status === 429 || status >= 500;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** What an EST request needs. */
export interface EstRequest {
  /** Base URL of the host, without the well-known path. */
  readonly url: string;
  /** PKCS#10, DER. */
  readonly request: Uint8Array;
  /** PEM of the authority that the server's certificate ends in; the public ones that Node.js knows when left out. */
  readonly ca?: string;
}

/**
 * EST `simpleenroll` (RFC 7030 section 4.2) with HTTP Basic authentication: the enrolment token is the password.
 * Gives the issued certificate in PEM; throws `EstError` when refused.
 */
export function simpleEnroll(enrol: EstRequest & { token: string; signal?: AbortSignal }): Promise<string> {
  const credentials = Buffer.from(`device:${enrol.token}`).toString('base64');
  return ask('simpleenroll', enrol, { authorization: `Basic ${credentials}` });
}

/** EST `simplereenroll` (RFC 7030 section 4.2.2), authenticated by the certificate that is about to be replaced. */
export function simpleReenroll(renew: EstRequest & { identity: HttpsIdentity; signal?: AbortSignal }): Promise<string> {
  return ask('simplereenroll', renew, {}, renew.identity);
}

async function ask(
  operation: string,
  { url, request, ca, signal }: EstRequest & { signal?: AbortSignal },
  headers: Record<string, string>,
  identity?: HttpsIdentity,
): Promise<string> {
  const answer = await httpsRequest({
    url: `${url.replace(/\/+$/, '')}/.well-known/est/${operation}`,
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/pkcs10', 'content-transfer-encoding': 'base64' },
    body: Buffer.from(request).toString('base64'),
    ...(ca === undefined ? {} : { ca }),
    ...(identity === undefined ? {} : { identity }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (answer.status !== 200) {
    const wait = Number(answer.headers['retry-after']);
    throw new EstError(
      answer.status,
      `${operation} was answered with ${answer.status}: ${answer.body.slice(0, 500).trim()}`,
      Number.isFinite(wait) && wait > 0 ? wait : undefined,
    );
  }
  return issuedCertificate(answer.body);
}

/**
 * The certificate in an EST answer: base64 (line breaks allowed) of a certs-only PKCS#7. It may carry the chain as
 * well; the device's own is the one that no other in it was issued by.
 */
export function issuedCertificate(body: string): string {
  let certificates: X509Certificate[];
  try {
    const store = new X509Certificates(Buffer.from(body.replace(/\s+/g, ''), 'base64'));
    certificates = [...store].map((certificate) => new X509Certificate(Buffer.from(certificate.rawData)));
  } catch (error) {
    throw new Error(`the answer is not a certs-only PKCS#7: ${error instanceof Error ? error.message : String(error)}`);
  }
  const own = certificates.find((candidate) => !certificates.some((other) => other.checkIssued(candidate)));
  if (own === undefined) throw new Error('the answer holds no certificate of a device');
  return own.toString();
}
