import { createHash, randomBytes } from 'node:crypto';
import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer } from 'node:net';
import type { APIGatewayTokenAuthorizerEvent } from 'aws-lambda';
import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { Cloud, Part, Store } from '../../../../local/cloud.ts';
import { identityPart } from '../../../../local/identity/index.ts';
import { homeSite } from '../../../../local/identity/users.ts';
import { AccessTokens, TokenRefused } from '../../../../shared/identity/access-token.ts';
import { fromContext } from '../../../../shared/identity/caller.ts';

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, 'localhost', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });

class MemoryStore implements Store {
  readonly #entries = new Map<string, unknown>();
  get<T>(space: string, key: string): T | undefined {
    return this.#entries.get(`${space}/${key}`) as T | undefined;
  }
  put(space: string, key: string, value: unknown): void {
    this.#entries.set(`${space}/${key}`, value);
  }
  delete(space: string, key: string): void {
    this.#entries.delete(`${space}/${key}`);
  }
  list<T>(space: string): { key: string; value: T }[] {
    const prefix = `${space}/`;
    return [...this.#entries]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => ({ key: key.slice(prefix.length), value: value as T }));
  }
  transaction<T>(run: () => T): T {
    return run();
  }
}

const store = new MemoryStore();
let part: Part;
let issuer: string;
let api: Server;
let ports: { issuer: number; api: number };
const rules = () => ({ issuers: [issuer], audience: 'wardline', rolesClaim: 'roles', sitesClaim: 'sites' });

const startPart = async (): Promise<Part> => {
  const started = identityPart();
  // The provider uses no more of the cloud than this.
  await started.attach?.({ store, ports, clock: { now: Date.now, at: () => () => undefined } } as unknown as Cloud);
  await started.start?.();
  return started;
};

beforeAll(async () => {
  ports = { issuer: await freePort(), api: 0 };
  // Stands for the management API: the site that some users work at has the id `s-home`.
  api = createHttpServer((request, response) => {
    const next = new URL(request.url ?? '/', 'http://x').searchParams.get('cursor') === null;
    const items = next ? [{ id: 's-other', name: 'Other' }] : [{ id: 's-home', name: homeSite }];
    response
      .setHeader('content-type', 'application/json')
      .end(JSON.stringify({ items, ...(next ? { next: 'c' } : {}) }));
  });
  await new Promise<void>((resolve) => api.listen(0, 'localhost', resolve));
  const address = api.address();
  ports.api = typeof address === 'object' && address !== null ? address.port : 0;
  issuer = `http://localhost:${ports.issuer}`;
  part = await startPart();
});
afterAll(async () => {
  await part.stop?.();
  api.closeAllConnections();
  await new Promise((resolve) => api.close(resolve));
});

const directToken = async (user: string, mfa = false): Promise<string> => {
  const response = await fetch(`${issuer}/local/token`, {
    method: 'POST',
    body: new URLSearchParams({ user, ...(mfa ? { mfa: 'yes' } : {}) }),
  });
  const answer = (await response.json()) as { access_token: string };
  return answer.access_token;
};

/** A browser: follows redirects, keeps cookies, submits the sign-in form. */
class Browser {
  readonly #cookies = new Map<string, string>();

  async get(url: string, init: RequestInit = {}): Promise<{ url: string; response: Response }> {
    let next = url;
    let request = init;
    for (let hops = 0; hops < 10; hops += 1) {
      const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await fetch(next, { ...request, redirect: 'manual', headers: { ...request.headers, cookie } });
      for (const set of response.headers.getSetCookie()) {
        const [pair = ''] = set.split(';');
        this.#cookies.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
      }
      const location = response.headers.get('location');
      if (location === null) return { url: next, response };
      next = new URL(location, next).href;
      if (next.startsWith('http://127.0.0.1')) return { url: next, response };
      request = {};
    }
    throw new Error('too many redirects');
  }
}

const authorize = async (browser: Browser, more: Record<string, string> = {}) => {
  const verifier = randomBytes(32).toString('base64url');
  const redirect = 'http://127.0.0.1:4711/callback';
  const parameters = new URLSearchParams({
    client_id: 'wardline-cli',
    response_type: 'code',
    redirect_uri: redirect,
    scope: 'openid profile',
    state: 'x',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...more,
  });
  const page = await browser.get(`${issuer}/auth?${parameters}`);
  const exchange = async (callback: string): Promise<Record<string, string>> => {
    const code = new URL(callback).searchParams.get('code') ?? '';
    const response = await fetch(`${issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: 'wardline-cli',
        code,
        code_verifier: verifier,
        redirect_uri: redirect,
      }),
    });
    return (await response.json()) as Record<string, string>;
  };
  return { page, exchange };
};

const submit = (browser: Browser, url: string, form: Record<string, string>) =>
  browser.get(url, { method: 'POST', body: new URLSearchParams(form) });

describe('The local OpenID provider', () => {
  test('signs a user in with the page, and steps up when asked', async () => {
    const browser = new Browser();
    const first = await authorize(browser);
    expect(await first.page.response.text()).toContain('Ada, administrator');
    const back = await submit(browser, first.page.url, { user: 'ada.admin' });
    const token = await first.exchange(back.url);
    const caller = await new AccessTokens(rules()).verify(String(token['access_token']));
    expect(caller).toMatchObject({
      sub: 'ada.admin',
      roles: ['administrator'],
      sites: ['*'],
      status: 'active',
      acr: 'pwd',
      amr: ['pwd'],
    });
    expect(caller.authTime).toBeGreaterThan(Date.now() / 1000 - 60);

    // The session answers without asking again, unless something stronger is wanted.
    const second = await authorize(browser);
    expect(second.page.url).toMatch(/^http:\/\/127\.0\.0\.1:4711\/callback/);
    const stepUp = await authorize(browser, { acr_values: 'phr mfa', max_age: '900' });
    expect(await stepUp.page.response.text()).toContain('value="yes" checked');
    const stronger = await stepUp.exchange(
      (await submit(browser, stepUp.page.url, { user: 'ada.admin', mfa: 'yes' })).url,
    );
    expect(await new AccessTokens(rules()).verify(String(stronger['access_token']))).toMatchObject({
      acr: 'phr',
      amr: ['pwd', 'hwk', 'mfa'],
    });
  });

  test('gives tokens without a browser, limited to the sites of the user', async () => {
    const tokens = new AccessTokens(rules());
    expect(await tokens.verify(await directToken('bea.biomed'))).toMatchObject({
      roles: ['biomed'],
      sites: ['s-home'],
      acr: 'pwd',
    });
    expect(await tokens.verify(await directToken('Amy.Auditor', true))).toMatchObject({
      sub: 'amy.auditor',
      sites: ['*'],
      acr: 'phr',
    });
    expect(await tokens.verify(await directToken('sid.suspended'))).toMatchObject({ status: 'suspended' });
    const unknown = await fetch(`${issuer}/local/token`, {
      method: 'POST',
      body: new URLSearchParams({ user: 'mallory' }),
    });
    expect(unknown.status).toBe(404);
    expect(((await unknown.json()) as { users: string[] }).users).toContain('ada.admin');
  });

  test('keeps its keys and sessions when it is started again', async () => {
    const token = await directToken('ada.admin');
    const browser = new Browser();
    await submit(browser, (await authorize(browser)).page.url, { user: 'ben.admin' });
    await part.stop?.();
    part = await startPart();
    expect((await new AccessTokens(rules()).verify(token)).sub).toBe('ada.admin');
    expect((await authorize(browser)).page.url).toContain('/callback?code=');
  });
});

describe('AccessTokens', () => {
  const sign = async (claims: Record<string, unknown>, header: Record<string, unknown> = {}) => {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
    const jwk = await exportJWK(publicKey);
    return new SignJWT({ iss: issuer, aud: 'wardline', sub: 'x', exp: Math.floor(Date.now() / 1000) + 60, ...claims })
      .setProtectedHeader({ alg: 'RS256', ...header, jwk })
      .sign(privateKey);
  };
  const unsigned = (claims: object, header: object) =>
    `${[header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`;

  test('refuses tokens that are foreign, altered, unsigned or for somebody else', async () => {
    const tokens = new AccessTokens(rules());
    const good = await directToken('hal.helpdesk');
    const [header = '', payload = '', signature = ''] = good.split('.');
    const altered = Buffer.from(JSON.stringify({ ...decodeJwt(good), roles: ['administrator'] })).toString('base64url');
    const bad = [
      `${header}.${altered}.${signature}`,
      `${header}.${payload}.${signature.split('').reverse().join('')}`,
      unsigned({ ...decodeJwt(good) }, { alg: 'none' }),
      await sign({}),
      await sign({ iss: 'https://evil.example.org' }),
      'garbage',
      '',
      'x'.repeat(20_000),
    ];
    for (const token of bad) await expect(tokens.verify(token)).rejects.toThrow(TokenRefused);
    await expect(new AccessTokens({ ...rules(), audience: 'other' }).verify(good)).rejects.toThrow(TokenRefused);
    expect((await tokens.verify(good)).roles).toEqual(['help-desk']);
  });

  test('wants https, except on loopback', () => {
    expect(() => new AccessTokens({ ...rules(), issuers: ['http://idp.example.org'] })).toThrow(/not https/);
    expect(() => new AccessTokens({ ...rules(), issuers: [] })).toThrow(/no OpenID issuer/);
  });

  test('an issuer that does not answer is an error, not a refusal, and is asked again', async () => {
    const port = await freePort();
    const gone = `http://localhost:${port}`;
    const tokens = new AccessTokens({ ...rules(), issuers: [gone] });
    const token = await sign({ iss: gone });
    await expect(tokens.verify(token)).rejects.not.toThrow(TokenRefused);
    await expect(tokens.verify(token)).rejects.toThrow('fetch failed');
  });
});

describe('functions/authorize', () => {
  test('answers who calls, for the whole stage, or Unauthorized', async () => {
    Object.assign(process.env, {
      OIDC_ISSUER: issuer,
      OIDC_AUDIENCE: 'wardline',
      ROLES_CLAIM: 'roles',
      SITES_CLAIM: 'sites',
      POWERTOOLS_LOG_LEVEL: 'SILENT',
    });
    const { handler } = await import('../../../../functions/authorize/handler.ts');
    const event = (authorizationToken: string): APIGatewayTokenAuthorizerEvent => ({
      type: 'TOKEN',
      methodArn: 'arn:aws:execute-api:us-east-1:000000000000:abc/v1/GET/sites',
      authorizationToken,
    });
    const answer = await handler(event(`Bearer ${await directToken('ada.admin', true)}`));
    expect(answer).toMatchObject({
      principalId: 'ada.admin',
      policyDocument: {
        Statement: [
          {
            Effect: 'Allow',
            Action: 'execute-api:Invoke',
            Resource: 'arn:aws:execute-api:us-east-1:000000000000:abc/v1/*',
          },
        ],
      },
    });
    expect(fromContext(answer.context)).toMatchObject({
      sub: 'ada.admin',
      roles: ['administrator'],
      sites: ['*'],
      acr: 'phr',
    });
    for (const wrong of ['', 'Bearer', 'Basic YTpi', 'Bearer a.b.c', 'Bearer x']) {
      await expect(handler(event(wrong))).rejects.toThrow(/^Unauthorized$/);
    }
  });
});
