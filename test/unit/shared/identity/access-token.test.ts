import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AccessTokens, TokenRefused } from '../../../../shared/identity/access-token.ts';

/** An issuer that publishes one key, as a hospital's identity provider does. */
class TestIssuer {
  readonly kid: string;
  readonly keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  readonly #server: Server;

  constructor(kid: string) {
    this.kid = kid;
    this.#server = createServer((request, response) => {
      const jwk = { ...this.keys.publicKey.export({ format: 'jwk' }), kid, use: 'sig' };
      const found = request.url?.endsWith('/openid-configuration')
        ? { issuer: this.url, jwks_uri: `${this.url}/keys` }
        : { keys: [jwk] };
      response.setHeader('content-type', 'application/json').end(JSON.stringify(found));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  start = () => new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  stop = () => new Promise<void>((resolve) => this.#server.close(() => resolve()));
}

const now = () => Math.floor(Date.now() / 1000);
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token as an attacker makes it: nothing is checked on the way. */
const signed = (header: object, claims: object, key: KeyObject): string => {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
};

describe('AccessTokens', () => {
  const [first, second] = [new TestIssuer('a'), new TestIssuer('b')];
  let tokens: AccessTokens;
  const claims = (issuer: TestIssuer, changes: object = {}) => ({
    iss: issuer.url,
    aud: 'wardline',
    sub: 'ida',
    exp: now() + 300,
    roles: ['site-it'],
    sites: ['s-1'],
    ...changes,
  });
  const good = (issuer: TestIssuer, changes: object = {}, header: object = {}) =>
    signed({ alg: 'RS256', kid: issuer.kid, ...header }, claims(issuer, changes), issuer.keys.privateKey);

  beforeAll(async () => {
    await Promise.all([first.start(), second.start()]);
    tokens = new AccessTokens({
      issuers: [first.url, second.url],
      audience: 'wardline',
      rolesClaim: 'roles',
      sitesClaim: 'sites',
    });
  });
  afterAll(() => Promise.all([first.stop(), second.stop()]));

  test('verify: takes a token of each issuer, and keeps people of the same name apart', async () => {
    expect(await tokens.verify(good(first))).toMatchObject({ sub: `${first.url}#ida`, roles: ['site-it'] });
    expect(await tokens.verify(good(second, { aud: ['other', 'wardline'] }))).toMatchObject({
      sub: `${second.url}#ida`,
    });
  });

  test('verify: refuses a token that one issuer signs in the name of the other', async () => {
    for (const kid of ['a', 'b', undefined]) {
      const forged = signed({ alg: 'RS256', kid }, claims(first), second.keys.privateKey);
      await expect(tokens.verify(forged)).rejects.toThrow(TokenRefused);
    }
  });

  test('verify: refuses the public key as a secret, no signature, and keys that the token brings along', async () => {
    const pem = first.keys.publicKey.export({ type: 'spki', format: 'pem' });
    const jwk = first.keys.publicKey.export({ format: 'jwk' });
    const text = `${part({ alg: 'HS256', kid: 'a' })}.${part(claims(first))}`;
    for (const secret of [pem, JSON.stringify(jwk), jwk.n ?? '']) {
      const mac = createHmac('sha256', secret).update(text).digest('base64url');
      await expect(tokens.verify(`${text}.${mac}`)).rejects.toThrow(TokenRefused);
    }
    for (const alg of ['none', 'None', 'nOnE']) {
      await expect(tokens.verify(`${part({ alg })}.${part(claims(first))}.`)).rejects.toThrow(TokenRefused);
    }
    const own = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const brought = { jwk: own.publicKey.export({ format: 'jwk' }), jku: `${second.url}/keys`, x5u: second.url };
    for (const kid of ['a', 'unknown', undefined]) {
      const forged = signed({ alg: 'RS256', kid, ...brought }, claims(first), own.privateKey);
      await expect(tokens.verify(forged)).rejects.toThrow(TokenRefused);
    }
  });

  test.each([
    ['expired', { exp: now() - 60 }],
    ['not valid yet', { nbf: now() + 300 }],
    ['without an end', { exp: undefined }],
    ['of nobody', { sub: undefined }],
    ['for another audience', { aud: 'other' }],
    ['for none', { aud: undefined }],
    ['of an issuer that is not configured', { iss: 'https://evil.example.org' }],
    ['of an issuer by almost its name', { iss: 'http://127.0.0.1' }],
  ])('verify: refuses a token that is %s', async (_, changes) => {
    await expect(tokens.verify(good(first, changes))).rejects.toThrow(TokenRefused);
  });

  test('verify: refuses critical extensions that it does not know', async () => {
    await expect(tokens.verify(good(first, {}, { crit: ['b64'], b64: false }))).rejects.toThrow(TokenRefused);
  });
});
