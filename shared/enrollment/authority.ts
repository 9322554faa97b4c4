import { X509Certificate } from 'node:crypto';
import { isAuthorityOf, issueAuthorityCertificate, type Sign } from './certificate.ts';
import { pemBlocks, pemOf } from './pem.ts';

/** Where the certificates are kept that device certificates may chain to (API Gateway's truststore). */
export interface Truststore {
  /** The PEM text and its version; undefined when there is none yet. */
  read(): Promise<{ readonly pem: string; readonly version: string } | undefined>;
  /** Writes a new version and returns it. */
  write(pem: string): Promise<string>;
}

/** The device CA as the rest of the template uses it. */
export interface Authority {
  /** The certificate of the key that signs now. */
  readonly certificatePem: string;
  readonly truststoreVersion: string;
}

/** A CA certificate with less life than this is made anew (same key, same name: both verify what either signed). */
const renewedBefore = 2 * 365 * 24 * 60 * 60 * 1000;

/**
 * The certificate of the device CA, made when there is none for this key, and the truststore that holds it. The same
 * call again finds what the first one wrote and changes nothing. After a change of key the certificates of older keys
 * stay in the truststore until they expire, so that devices can still come and renew.
 *
 * @param publicKey SubjectPublicKeyInfo of the CA's key, DER
 * @param now milliseconds since the epoch
 */
export async function ensureAuthority(
  options: { readonly commonName: string; readonly publicKey: Uint8Array; readonly sign: Sign; readonly now: number },
  truststore: Truststore,
): Promise<Authority> {
  const stored = await truststore.read();
  const known =
    stored === undefined ? [] : pemBlocks('CERTIFICATE', stored.pem).map((der) => pemOf('CERTIFICATE', der));
  const current = known.find(
    (pem) => isAuthorityOf(pem, options.publicKey) && endOf(pem) - options.now > renewedBefore,
  );
  if (stored !== undefined && current !== undefined) {
    return { certificatePem: current, truststoreVersion: stored.version };
  }
  const { pem } = await issueAuthorityCertificate(options);
  const older = known.filter((one) => !isAuthorityOf(one, options.publicKey) && endOf(one) > options.now);
  return { certificatePem: pem, truststoreVersion: await truststore.write([pem, ...older].join('')) };
}

function endOf(pem: string): number {
  return new X509Certificate(pem).validToDate.getTime();
}
