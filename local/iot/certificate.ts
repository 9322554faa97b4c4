import { createHash, X509Certificate } from 'node:crypto';

/** What the broker and the registry read from an X.509 certificate. */
export interface ParsedCertificate {
  /** IoT's certificate id: SHA-256 of the DER form, lower-case hex. */
  readonly id: string;
  readonly pem: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Serial number as lower-case hex. */
  readonly serialNumber: string;
  /** By IoT's names, e.g. `CommonName`; the first value where a name occurs more than once. */
  readonly subject: Readonly<Record<string, string>>;
  readonly issuer: Readonly<Record<string, string>>;
}

/** OpenSSL's short names -> the names in policy variables `iot:Certificate.Subject.<name>`. */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  CN: 'CommonName',
  C: 'Country',
  O: 'Organization',
  OU: 'OrganizationalUnit',
  ST: 'State',
  serialNumber: 'SerialNumber',
  dnQualifier: 'DistinguishedNameQualifier',
  title: 'Title',
  SN: 'Surname',
  GN: 'GivenName',
  initials: 'Initials',
  pseudonym: 'Pseudonym',
  generationQualifier: 'GenerationQualifier',
};

/** Reads a certificate in PEM. Throws when it is none. */
export function parseCertificate(pem: string): ParsedCertificate {
  return describe(new X509Certificate(pem));
}

/** The certificate id of a certificate in DER, as TLS presents it. */
export function certificateIdOf(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('hex');
}

function describe(certificate: X509Certificate): ParsedCertificate {
  return {
    id: certificateIdOf(certificate.raw),
    pem: certificate.toString(),
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
    serialNumber: certificate.serialNumber.toLowerCase(),
    subject: attributes(certificate.subject),
    issuer: attributes(certificate.issuer),
  };
}

function attributes(distinguishedName: string): Record<string, string> {
  const named: Record<string, string> = {};
  for (const line of distinguishedName.split('\n')) {
    const equals = line.indexOf('=');
    const name = ATTRIBUTES[line.slice(0, equals)];
    if (name !== undefined && named[name] === undefined) named[name] = line.slice(equals + 1);
  }
  return named;
}
