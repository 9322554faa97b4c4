import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type Provider from 'oidc-provider';
import type { Clock, Cloud, Part } from '../cloud.ts';
import { acrOf, amrOf } from './claims.ts';
import { type ProviderKeys, providerKeys } from './keys.ts';
import { signInPage } from './page.ts';
import { createProvider, requestedAcr } from './provider.ts';
import { type SiteLookup, siteIdsOf, siteLookup } from './sites.ts';
import { mintToken } from './tokens.ts';
import { demoUsers, findUser } from './users.ts';

/** What runs between start and stop. */
interface Running {
  readonly clock: Clock;
  readonly issuer: string;
  readonly keys: ProviderKeys;
  readonly provider: Provider;
  readonly lookup: SiteLookup;
}

/**
 * The OpenID provider of the local cloud, on `cloud.ports.issuer`, plain http on loopback. It stands for the
 * hospital's identity provider; nothing of it is deployed.
 */
export function identityPart(): Part {
  let cloud: Cloud | undefined;
  let server: Server | undefined;
  return {
    name: 'identity',
    attach(given) {
      cloud = given;
    },
    async start() {
      if (cloud === undefined) throw new Error('the identity part was not attached');
      server = createServer(listener(await prepare(cloud)));
      await listen(server, cloud.ports.issuer);
    },
    async stop() {
      const running = server;
      server = undefined;
      if (running === undefined) return;
      running.closeAllConnections();
      await new Promise<void>((resolve) => running.close(() => resolve()));
    },
  };
}

async function prepare(cloud: Cloud): Promise<Running> {
  const issuer = `http://localhost:${cloud.ports.issuer}`;
  const api = `http://localhost:${cloud.ports.api}`;
  const keys = await providerKeys(cloud.store);
  const lookup = siteLookup(`${api}/v1`, () => administratorToken(issuer, keys, cloud.clock));
  const provider = createProvider({
    issuer,
    keys,
    lookup,
    store: cloud.store,
    consoleRedirects: [`${api}/`, `${api}/console/`],
  });
  return { clock: cloud.clock, issuer, keys, provider, lookup };
}

/** By the cloud's clock, which the functions that verify tokens follow. */
const secondsOf = (clock: Clock): number => Math.floor(clock.now() / 1000);

/** The token that the provider itself reads the sites with. */
function administratorToken(issuer: string, keys: ProviderKeys, clock: Clock): Promise<string> {
  const administrator = demoUsers.find((user) => user.roles.includes('administrator') && user.status === 'active');
  if (administrator === undefined) throw new Error('there is no demo administrator');
  return mintToken(issuer, keys, administrator, [], { mfa: false, authTime: secondsOf(clock) });
}

function listener(running: Running): (request: IncomingMessage, response: ServerResponse) => void {
  const standard = running.provider.callback();
  return (request, response) => {
    const path = new URL(request.url ?? '/', running.issuer).pathname;
    const answered =
      path === '/local/token'
        ? directToken(running, request, response)
        : path.startsWith('/sign-in/')
          ? signIn(running, request, response)
          : undefined;
    if (answered === undefined) {
      standard(request, response);
      return;
    }
    answered.catch((error: unknown) => {
      answer(response, 500, 'text/plain', error instanceof Error ? error.message : 'failed');
    });
  };
}

/** `POST /local/token` with the form fields `user` and `mfa=yes`: an access token without a browser. */
async function directToken(running: Running, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const form = await readForm(request);
  const user = findUser(form.get('user') ?? '');
  if (request.method !== 'POST' || user === undefined) {
    const names = demoUsers.map(({ name }) => name);
    answer(response, 404, 'application/json', JSON.stringify({ error: 'unknown user', users: names }));
    return;
  }
  const token = await mintToken(running.issuer, running.keys, user, await siteIdsOf(user, running.lookup), {
    mfa: form.get('mfa') === 'yes',
    authTime: secondsOf(running.clock),
  });
  answer(response, 200, 'application/json', JSON.stringify({ access_token: token, token_type: 'Bearer' }));
}

/** The sign-in page, and the form that it sends. */
async function signIn({ provider }: Running, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const details = await provider.interactionDetails(request, response);
  if (request.method !== 'POST') {
    const hint = details.params['login_hint'];
    const page = signInPage({
      action: `/sign-in/${details.uid}`,
      users: demoUsers,
      mfa: requestedAcr(details.params['acr_values']).includes('phr'),
      ...(typeof hint === 'string' ? { hint } : {}),
    });
    answer(response, 200, 'text/html; charset=utf-8', page);
    return;
  }
  const form = await readForm(request);
  const user = findUser(form.get('user') ?? '');
  if (user === undefined) {
    answer(response, 400, 'text/plain', 'unknown user');
    return;
  }
  const method = { mfa: form.get('mfa') === 'yes' };
  await provider.interactionFinished(
    request,
    response,
    { login: { accountId: user.name, acr: acrOf(method), amr: amrOf(method) } },
    { mergeWithLastSubmission: false },
  );
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > 16_384) throw new Error('the form is too large');
    chunks.push(part);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}

function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, 'localhost', () => {
      server.off('error', reject);
      resolve();
    });
  });
}
