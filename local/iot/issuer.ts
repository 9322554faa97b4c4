import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { Cloud } from '../cloud.ts';

/** A key pair in PEM, as IoT hands it out with a certificate that it made. */
export interface KeyPairPem {
  readonly publicKey: string;
  readonly privateKey: string;
}

const STORE = 'iot.issuer';
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** Certificates of Amazon's own CA end on the last second of 2049. */
const LAST = new Date('2049-12-31T23:59:59Z');
const SUBJECT = 'CN=AWS IoT Certificate';
const ISSUER = 'O=Local cloud, CN=AWS IoT certificate authority of the local cloud';

/** Stands for Amazon's own certificate authority: claim certificates and certificates from a CSR where no certificate provider is set. */
export class Issuer {
  readonly #cloud: Cloud;
  #key: Promise<webcrypto.CryptoKey> | undefined;

  constructor(cloud: Cloud) {
    this.#cloud = cloud;
  }

  /** A new key pair (P-256) and its certificate. */
  async createKeysAndCertificate(end?: number): Promise<{ certificatePem: string; keyPair: KeyPairPem }> {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    return {
      certificatePem: await this.#sign(keys.publicKey, end),
      keyPair: {
        publicKey: x509.PemConverter.encode(await webcrypto.subtle.exportKey('spki', keys.publicKey), 'PUBLIC KEY'),
        privateKey: x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY'),
      },
    };
  }

  /** The certificate for a certificate signing request in PEM. Throws when the request is malformed or its signature wrong. */
  async certify(certificateSigningRequest: string): Promise<string> {
    const request = new x509.Pkcs10CertificateRequest(certificateSigningRequest);
    if (!(await request.verify(webcrypto))) throw new Error('the signature of the request is wrong');
    return this.#sign(await request.publicKey.export(webcrypto));
  }

  async #sign(publicKey: webcrypto.CryptoKey, end?: number): Promise<string> {
    this.#key ??= this.#signingKey();
    const certificate = await x509.X509CertificateGenerator.create(
      {
        // Positive and without a leading zero, as DER writes integers.
        serialNumber: `5a${randomBytes(15).toString('hex')}`,
        subject: SUBJECT,
        issuer: ISSUER,
        // Backdated, so that a device whose clock is a little behind can use it at once.
        notBefore: new Date(this.#cloud.clock.now() - 120_000),
        notAfter: end === undefined ? LAST : new Date(end),
        publicKey,
        signingKey: await this.#key,
        signingAlgorithm: ALGORITHM,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        ],
      },
      webcrypto,
    );
    return `${certificate.toString('pem')}\n`;
  }

  async #signingKey(): Promise<webcrypto.CryptoKey> {
    const kept = this.#cloud.store.get<string>(STORE, 'key');
    if (kept !== undefined) {
      return webcrypto.subtle.importKey('pkcs8', Buffer.from(kept, 'base64'), ALGORITHM, false, ['sign']);
    }
    const { privateKey } = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const exported = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey)).toString('base64');
    this.#cloud.store.put(STORE, 'key', exported);
    return privateKey;
  }
}
