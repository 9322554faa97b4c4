import { certsOnly } from './certs-only.ts';
import { wrappedBase64 } from './pem.ts';

/** An HTTP answer of the EST server. */
export interface EstAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * The password of HTTP Basic credentials (RFC 7617), which is the enrolment token; the user name is of no interest.
 *
 * @param header value of `Authorization`
 * @returns undefined when there are no such credentials
 */
export function basicPassword(header: string | undefined): string | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/=_-]+) *$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const credentials = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = credentials.indexOf(':');
  return colon === -1 ? undefined : credentials.slice(colon + 1);
}

/** Certificates as RFC 7030 hands them out: a certs-only PKCS#7 in base64. */
export function certificatesAnswer(certificates: readonly Uint8Array[], smimeType: 'certs-only' | 'none'): EstAnswer {
  return {
    statusCode: 200,
    headers: {
      'content-type': smimeType === 'none' ? 'application/pkcs7-mime' : 'application/pkcs7-mime; smime-type=certs-only',
      'content-transfer-encoding': 'base64',
    },
    body: `${wrappedBase64(certsOnly(certificates))}\n`,
  };
}

/** A refusal: EST gives the reason as plain text (RFC 7030, section 4.2.3). */
export function refusalAnswer(
  statusCode: number,
  sentence: string,
  headers: Readonly<Record<string, string>> = {},
): EstAnswer {
  return {
    statusCode,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', ...headers },
    body: `${sentence}\n`,
  };
}
