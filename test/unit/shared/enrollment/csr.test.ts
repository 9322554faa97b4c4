import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AttributeTypeAndValue, AttributeValue, Name, RelativeDistinguishedName } from '@peculiar/asn1-x509';
import fc from 'fast-check';
import { InvalidCertificateRequest, parseCertificateRequest } from '../../../../shared/enrollment/csr.ts';
import { nameOf } from '../../../../shared/enrollment/subject.ts';
import { deviceKeys, requestDer, requestFor } from '../../../support/pki.ts';

const serial = (value: string) =>
  new RelativeDistinguishedName([
    new AttributeTypeAndValue({ type: '2.5.4.5', value: new AttributeValue({ utf8String: value }) }),
  ]);

const keys = deviceKeys();

describe('parseCertificateRequest', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'wardline-csr-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const openssl = (
    key: readonly string[],
    extra: readonly string[] = [],
    subject = '/O=Ward/serialNumber=ab-12/CN=x',
  ) => {
    const file = join(folder, 'request');
    const all = ['req', '-new', '-nodes', '-keyout', join(folder, 'key'), '-subj', subject, '-out', file];
    execFileSync('openssl', [...all, ...key, ...extra], { stdio: 'pipe' });
    return readFileSync(file);
  };

  test.each([
    ['RSA 2048, SHA-256', ['-newkey', 'rsa:2048', '-sha256']],
    ['RSA 3072, SHA-512', ['-newkey', 'rsa:3072', '-sha512']],
    ['P-256, SHA-256', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-sha256']],
    ['P-384, SHA-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-sha384']],
  ])('takes what openssl makes with %s, as PEM and as DER', (_name, key) => {
    expect(parseCertificateRequest(openssl(key))).toMatchObject({ serial: 'AB-12', commonName: 'x' });
    expect(parseCertificateRequest(openssl(key, ['-outform', 'DER']))).toMatchObject({ serial: 'AB-12' });
  });

  test.each([
    ['RSA 1024', ['-newkey', 'rsa:1024'], /2048 to 4096 bits, this one has 1024/],
    ['RSA with exponent 3', ['-newkey', 'rsa:2048', '-pkeyopt', 'rsa_keygen_pubexp:3'], /exponent/],
    ['P-521', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521'], /P-256 or P-384/],
    ['a curve of Bitcoin', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'], /P-256 or P-384/],
    [
      'a curve by its parameters',
      ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-pkeyopt', 'ec_param_enc:explicit'],
      /P-256 or P-384, given by name|cannot be read/,
    ],
    ['Ed25519', ['-newkey', 'ed25519'], /must be RSA/],
    ['SHA-1', ['-newkey', 'rsa:2048', '-sha1'], /SHA-256, SHA-384 or SHA-512/],
  ])('refuses %s', (_name, key, message) => {
    expect(() => parseCertificateRequest(openssl(key))).toThrow(message);
  });

  test('refuses a subject without serial number, with two, and with one that no device has', () => {
    const of = (subject: Name) => () => parseCertificateRequest(requestDer(keys, subject));
    expect(of(nameOf('only a name'))).toThrow(/has no serialNumber/);
    expect(of(new Name([serial('A1'), serial('B2')]))).toThrow(/one value/);
    expect(of(new Name([serial('')]))).toThrow(/one value/);
    expect(of(new Name([serial('x'.repeat(65))]))).toThrow(/at most 64/);
    expect(of(new Name([serial('a\u0000b')]))).toThrow(InvalidCertificateRequest);
    expect(of(new Name([serial('a\nCN=b')]))).toThrow(InvalidCertificateRequest);
  });

  test('refuses a request that another key signed: no proof of possession', () => {
    const der = requestDer(keys, nameOf('d', 'A1'), deviceKeys().privateKey);
    expect(() => parseCertificateRequest(der)).toThrow(/does not belong to its public key/);
  });

  test('refuses a request whose subject was changed after signing', () => {
    const der = Buffer.from(requestDer(keys, nameOf('d', 'PUMP-1')));
    der.write('PUMP-2', der.indexOf('PUMP-1'));
    expect(() => parseCertificateRequest(new Uint8Array(der))).toThrow(/does not belong to its public key/);
  });

  test('refuses an RSA key with a signature algorithm for EC', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const der = requestDer(rsa, nameOf('d', 'A1'));
    expect(() => parseCertificateRequest(der)).toThrow(/must be signed by its own key/);
  });

  test('refuses what is empty, too large, or followed by more', () => {
    const der = requestDer(keys, nameOf('d', 'A1'));
    expect(() => parseCertificateRequest('')).toThrow(/empty/);
    expect(() => parseCertificateRequest(' \r\n')).toThrow(/empty/);
    expect(() => parseCertificateRequest('M'.repeat(20_000))).toThrow(/larger than/);
    expect(() => parseCertificateRequest(Buffer.concat([der, Buffer.of(0)]))).toThrow(/one complete/);
    expect(() => parseCertificateRequest(der.subarray(0, -1))).toThrow(/one complete/);
  });

  test('gives the hash of the key that will be certified', () => {
    const expected = createHash('sha256')
      .update(keys.publicKey.export({ type: 'spki', format: 'der' }))
      .digest('hex');
    expect(parseCertificateRequest(requestFor('A1', keys)).publicKeyHash).toBe(expected);
  });

  test('the form of the base64 does not matter: line length, line ends, blanks, padding, PEM armour', () => {
    const plain = requestFor('A1', keys);
    const form = fc.record({
      width: fc.integer({ min: 1, max: 200 }),
      ending: fc.constantFrom('\n', '\r\n', ' ', '\t\n', '\n\n'),
      padded: fc.boolean(),
      label: fc.constantFrom(undefined, 'CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'),
      bytes: fc.boolean(),
    });
    fc.assert(
      fc.property(form, ({ width, ending, padded, label, bytes }) => {
        const text = padded ? plain : plain.replace(/=+$/, '');
        const lines = (text.match(new RegExp(`.{1,${width}}`, 'g')) ?? []).join(ending);
        const whole =
          label === undefined
            ? `${ending}${lines}${ending}`
            : `-----BEGIN ${label}-----${ending}${lines}${ending}-----END ${label}-----${ending}`;
        expect(parseCertificateRequest(bytes ? Buffer.from(whole) : whole).serial).toBe('A1');
      }),
    );
  });

  test('hostile bytes are refused, never anything else: no crash, no other error', () => {
    const der = requestDer(keys, nameOf('d', 'A1'));
    const mutated = fc
      .array(fc.tuple(fc.nat(der.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 })
      .map((changes) => {
        const copy = Uint8Array.from(der);
        for (const [at, value] of changes) copy[at] = value;
        return copy;
      });
    const nested = fc.integer({ min: 1, max: 4000 }).map((depth) => nest(depth));
    const anything = fc.oneof(fc.string(), fc.uint8Array({ maxLength: 600 }), fc.base64String(), mutated, nested);
    fc.assert(
      fc.property(anything, (body) => {
        try {
          // Only a request equal to ours in all that counts gets through (a mutation that changed nothing).
          expect(parseCertificateRequest(body).serial).toBe('A1');
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidCertificateRequest);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

/** Sequences within sequences, `depth` of them: what exhausts the stack of a careless parser. */
function nest(depth: number): Uint8Array {
  let content: Buffer = Buffer.alloc(0);
  const parts: Buffer[] = [];
  let length = 0;
  for (let level = 0; level < depth; level += 1) {
    const header = length < 128 ? Buffer.of(0x30, length) : Buffer.of(0x30, 0x82, length >> 8, length & 255);
    parts.unshift(header);
    length += header.length;
  }
  content = Buffer.concat(parts);
  return new Uint8Array(content);
}
