import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import type { LocalAuthority, Store } from '../cloud.ts';

const SPACE = 'local-authority';
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const COMMON_NAME = '2.5.4.3';
const DAY = 86_400_000;
const SUBJECT = 'Wardline local cloud';

interface Stored {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/**
 * The authority of this local cloud's TLS servers. Its key stays in the store, so that clients of a cloud with `--data`
 * can go on trusting it after a restart; its certificate is written to `file`.
 */
export function localAuthority(store: Store, file: string): LocalAuthority {
  const stored = usable(store.get<Stored>(SPACE, 'ca')) ?? createAuthority();
  store.put(SPACE, 'ca', stored);
  writeFileSync(file, stored.certificatePem);
  const key = createPrivateKey(stored.privateKeyPem);
  return {
    certificatePem: stored.certificatePem,
    certificateFile: file,
    serverCertificate: (names) => {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const alternatives = new SubjectAlternativeName([
        ...names.map((dNSName) => new GeneralName({ dNSName })),
        new GeneralName({ iPAddress: '127.0.0.1' }),
      ]);
      return {
        certificatePem: issue(key, {
          subject: names[0] ?? 'localhost',
          publicKey: pair.publicKey,
          days: 397,
          extensions: [
            extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: false })),
            extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.digitalSignature)),
            extension(id_ce_extKeyUsage, false, new ExtendedKeyUsage([id_kp_serverAuth])),
            extension(id_ce_subjectAltName, false, alternatives),
          ],
        }),
        privateKeyPem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      };
    },
  };
}

function usable(stored: Stored | undefined): Stored | undefined {
  if (stored === undefined) return undefined;
  return new X509Certificate(stored.certificatePem).validToDate.getTime() - Date.now() > 30 * DAY ? stored : undefined;
}

function createAuthority(): Stored {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    certificatePem: issue(pair.privateKey, {
      subject: SUBJECT,
      publicKey: pair.publicKey,
      days: 3650,
      extensions: [
        extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: true, pathLenConstraint: 0 })),
        extension(id_ce_keyUsage, true, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign)),
      ],
    }),
    privateKeyPem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

interface Issue {
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly days: number;
  readonly extensions: Extension[];
}

/** Node.js makes keys and signatures but no certificates; this puts one together (RFC 5280) and signs it. */
function issue(issuerKey: KeyObject, { subject, publicKey, days, extensions }: Issue): string {
  const algorithm = new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
  const serial = randomBytes(16);
  // A serial number is a positive integer in its shortest form: neither a sign bit nor a leading zero.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const identifiers = [
    extension(id_ce_subjectKeyIdentifier, false, new SubjectKeyIdentifier(keyIdentifier(publicKey))),
    extension(
      id_ce_authorityKeyIdentifier,
      false,
      new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(keyIdentifier(createPublicKey(issuerKey))) }),
    ),
  ];
  const tbs = new TBSCertificate({
    version: Version.v3,
    serialNumber: new Uint8Array(serial).buffer,
    signature: algorithm,
    issuer: name(SUBJECT),
    validity: new Validity({ notBefore: new Date(Date.now() - DAY), notAfter: new Date(Date.now() + days * DAY) }),
    subject: name(subject),
    subjectPublicKeyInfo: AsnConvert.parse(publicKey.export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo),
    extensions: new Extensions([...extensions, ...identifiers]),
  });
  const signature = sign('sha256', Buffer.from(AsnConvert.serialize(tbs)), issuerKey);
  const certificate = new Certificate({
    tbsCertificate: tbs,
    signatureAlgorithm: algorithm,
    signatureValue: new Uint8Array(signature).buffer,
  });
  return new X509Certificate(Buffer.from(AsnConvert.serialize(certificate))).toString();
}

/** The SHA-1 hash of the public key's bits, as RFC 5280 section 4.2.1.2 proposes. */
function keyIdentifier(key: KeyObject): ArrayBuffer {
  const info = AsnConvert.parse(key.export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo);
  return new Uint8Array(createHash('sha1').update(Buffer.from(info.subjectPublicKey)).digest()).buffer;
}

function name(commonName: string): Name {
  return new Name([
    new RelativeDistinguishedName([
      new AttributeTypeAndValue({ type: COMMON_NAME, value: new AttributeValue({ utf8String: commonName }) }),
    ]),
  ]);
}

function extension(extnID: string, critical: boolean, value: unknown): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}
