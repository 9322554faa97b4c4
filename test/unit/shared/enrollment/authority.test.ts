import { X509Certificate } from 'node:crypto';
import { ensureAuthority, type Truststore } from '../../../../shared/enrollment/authority.ts';
import { testAuthority } from '../../../support/pki.ts';

const now = Date.parse('2030-01-01T00:00:00Z');
const year = 365 * 24 * 60 * 60 * 1000;

class MemoryTruststore implements Truststore {
  readonly versions: string[] = [];
  async read() {
    const pem = this.versions.at(-1);
    return pem === undefined ? undefined : { pem, version: `v${this.versions.length}` };
  }
  async write(pem: string) {
    this.versions.push(pem);
    return `v${this.versions.length}`;
  }
}

const namesIn = (pem = '') =>
  pem
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .filter(Boolean)
    .map((one) => new X509Certificate(one).subject);

describe('ensureAuthority', () => {
  test('makes the certificate once: Create again, and Update, find it and change nothing', async () => {
    const { publicKey, sign } = await testAuthority(now);
    const truststore = new MemoryTruststore();
    const first = await ensureAuthority({ commonName: 'CA', publicKey, sign, now }, truststore);
    const again = await ensureAuthority({ commonName: 'CA', publicKey, sign, now: now + year }, truststore);
    expect(again).toEqual(first);
    expect(first.truststoreVersion).toBe('v1');
    expect(truststore.versions).toEqual([first.certificatePem]);
  });

  test('a new key gets a new certificate, and that of the old key stays trusted until it expires', async () => {
    const [old, young] = await Promise.all([testAuthority(now), testAuthority(now)]);
    const truststore = new MemoryTruststore();
    await ensureAuthority({ commonName: 'old', ...old, now }, truststore);
    const { certificatePem, truststoreVersion } = await ensureAuthority(
      { commonName: 'young', ...young, now },
      truststore,
    );
    expect(truststoreVersion).toBe('v2');
    expect(namesIn(certificatePem)).toEqual(['CN=young']);
    expect(namesIn(truststore.versions.at(-1))).toEqual(['CN=young', 'CN=old']);
    const third = await testAuthority(now);
    await ensureAuthority({ commonName: 'third', ...third, now: now + 21 * year }, truststore);
    expect(namesIn(truststore.versions.at(-1))).toEqual(['CN=third']);
  });

  test('a certificate near its end is made anew for the same key', async () => {
    const { publicKey, sign } = await testAuthority(now);
    const truststore = new MemoryTruststore();
    await ensureAuthority({ commonName: 'CA', publicKey, sign, now }, truststore);
    await ensureAuthority({ commonName: 'CA', publicKey, sign, now: now + 19 * year }, truststore);
    expect(truststore.versions).toHaveLength(2);
    expect(namesIn(truststore.versions.at(-1))).toEqual(['CN=CA']);
  });

  test('a truststore that somebody broke is made anew', async () => {
    const { publicKey, sign } = await testAuthority(now);
    const truststore = new MemoryTruststore();
    await truststore.write('nonsense');
    await ensureAuthority({ commonName: 'CA', publicKey, sign, now }, truststore);
    expect(namesIn(truststore.versions.at(-1))).toEqual(['CN=CA']);
  });
});
