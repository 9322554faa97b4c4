import { X509Certificate } from 'node:crypto';

/** What TLS says of a client's certificate, by the wall clock. */
export interface TlsVerdict {
  readonly authorized: boolean;
  /** OpenSSL's code of what is wrong. */
  readonly error: string | undefined;
}

/** All that may be wrong with a certificate that is good by the cloud's clock. */
const timeOnly = ['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED'];

/**
 * Whether the client is let in, as API Gateway decides by its truststore, but by the cloud's clock: with `--speed` a
 * certificate that was issued a moment ago is of a time that the wall clock has not reached.
 *
 * @param truststore PEM of the authorities
 * @param now the cloud's time, milliseconds since the epoch
 */
export function isTrusted(
  certificate: X509Certificate | undefined,
  { authorized, error }: TlsVerdict,
  truststore: string,
  now: number,
): boolean {
  if (certificate === undefined) return false;
  const { validFrom, validTo } = certificate;
  if (now < Date.parse(validFrom) || now > Date.parse(validTo)) return false;
  if (authorized) return true;
  // OpenSSL names one fault of several: the signature of the authority is checked once more.
  return (
    error !== undefined &&
    timeOnly.includes(error) &&
    authoritiesOf(truststore).some((each) => issued(each, certificate))
  );
}

const issued = (authority: X509Certificate, certificate: X509Certificate): boolean =>
  certificate.checkIssued(authority) && certificate.verify(authority.publicKey);

const authoritiesOf = (pem: string): X509Certificate[] =>
  [...pem.matchAll(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g)].map(
    ([text]) => new X509Certificate(text),
  );
