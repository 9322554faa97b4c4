import { derOf, readDeviceCertificate } from './certificate.ts';
import { type CertificateRequest, InvalidCertificateRequest, parseCertificateRequest } from './csr.ts';
import { Refusal, refusalSentences } from './decide.ts';
import { EnrollmentBusy, type EnrollmentMeans, enrollDevice } from './enroll.ts';
import { basicPassword, certificatesAnswer, type EstAnswer, refusalAnswer } from './est.ts';
import { type RenewalStore, renewalSentences, renewDevice } from './renew.ts';
import { looksLikeToken, tokenHash } from './token.ts';

/** What a request brings that matters to EST. */
export interface EstRequest {
  /** Value of the header `Authorization`. */
  readonly authorization?: string | undefined;
  /** Client certificate of the TLS connection, PEM. */
  readonly clientCertificate?: string | undefined;
  /** Body as sent: base64 text, or DER. */
  readonly body: string | Uint8Array;
}

/** An answer, with the words for the log: never the token, never the body. */
export interface EstOutcome {
  readonly answer: EstAnswer;
  readonly log: Readonly<Record<string, string>>;
}

/** What the server needs. */
export type EstMeans = EnrollmentMeans & { readonly store: RenewalStore };

const challenge = { 'www-authenticate': 'Basic realm="Wardline enrolment", charset="UTF-8"' };

/** GET `cacerts` (RFC 7030, section 4.1): the certificate of the device CA, to anybody. */
export function caCertificates(authorityPem: string): EstAnswer {
  return certificatesAnswer([derOf(authorityPem)], 'none');
}

/**
 * POST `simpleenroll` (RFC 7030, section 4.2.1) with an enrolment token as HTTP Basic password. 200 with the
 * certificate; 401 without a token that we know; 400 for a request that cannot be certified; 403 with the reason when
 * it is refused; 503 with Retry-After when it could not be completed now.
 */
export async function simpleEnroll(request: EstRequest, means: EstMeans): Promise<EstOutcome> {
  const secret = basicPassword(request.authorization);
  if (secret === undefined) {
    return refused(401, 'no-token', 'Send the enrolment token as the password of HTTP Basic.', challenge);
  }
  const hash = tokenHash(secret);
  const token = looksLikeToken(secret) ? await means.store.token(hash) : undefined;
  if (token === undefined) {
    await means.store.recordRefusal({ action: 'EnrollDevice', reason: Refusal.TokenUnknown, at: means.now() });
    return refused(401, Refusal.TokenUnknown, refusalSentences['token-unknown'], challenge);
  }
  const parsed = parse(request.body);
  if (parsed instanceof InvalidCertificateRequest) {
    await means.store.recordRefusal({
      action: 'EnrollDevice',
      reason: `invalid-request: ${parsed.message}`,
      token: { hash, id: token.id, ...(token.siteId === undefined ? {} : { siteId: token.siteId }) },
      at: means.now(),
    });
    return refused(400, 'invalid-request', parsed.message);
  }
  return whenBusy(async () => {
    const result = await enrollDevice(hash, parsed, means);
    if (result.outcome === 'refused') return refused(403, result.reason, refusalSentences[result.reason]);
    return issued(result.certificate);
  });
}

/**
 * POST `simplereenroll` (RFC 7030, section 4.2.2) on the host that asks for client certificates: the certificate of the
 * connection is the identity. 200 with the next certificate; 400, 403 and 503 as in `simpleEnroll`.
 */
export async function simpleReenroll(request: EstRequest, means: EstMeans): Promise<EstOutcome> {
  const { clientCertificate } = request;
  if (clientCertificate === undefined) {
    return refused(403, 'no-client-certificate', 'Renewal needs the certificate that is to be renewed.');
  }
  const parsed = parse(request.body);
  if (parsed instanceof InvalidCertificateRequest) {
    const id = readDeviceCertificate(clientCertificate, means.authorityPem)?.commonName;
    const device = id === undefined ? undefined : await means.store.device(id);
    await means.store.recordRefusal({
      action: 'RenewCertificate',
      reason: `invalid-request: ${parsed.message}`,
      ...(id === undefined ? {} : { deviceId: id }),
      ...(device === undefined ? {} : { device }),
      at: means.now(),
    });
    return refused(400, 'invalid-request', parsed.message);
  }
  return whenBusy(async () => {
    const result = await renewDevice(clientCertificate, parsed, means);
    if (result.outcome === 'refused') return refused(403, result.reason, renewalSentences[result.reason]);
    return issued(result.certificate);
  });
}

function parse(body: string | Uint8Array): CertificateRequest | InvalidCertificateRequest {
  try {
    return parseCertificateRequest(body);
  } catch (error) {
    if (error instanceof InvalidCertificateRequest) return error;
    throw error;
  }
}

async function whenBusy(run: () => Promise<EstOutcome>): Promise<EstOutcome> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof EnrollmentBusy)) throw error;
    return refused(503, 'busy', 'Many devices enrol at this moment. Ask again in a few seconds.', {
      'retry-after': '5',
    });
  }
}

function issued(certificate: { pem: string; deviceId: string; fingerprint: string }): EstOutcome {
  return {
    answer: certificatesAnswer([derOf(certificate.pem)], 'certs-only'),
    log: { outcome: 'issued', deviceId: certificate.deviceId, certificate: certificate.fingerprint },
  };
}

function refused(status: number, reason: string, sentence: string, headers: Record<string, string> = {}): EstOutcome {
  return { answer: refusalAnswer(status, sentence, headers), log: { outcome: 'refused', reason } };
}
