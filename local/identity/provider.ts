import Provider, { type Configuration, interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider';
import type { Store } from '../cloud.ts';
import { storeAdapter } from './adapter.ts';
import { acrValues, userClaims } from './claims.ts';
import type { ProviderKeys } from './keys.ts';
import { type SiteLookup, siteIdsOf } from './sites.ts';
import { audience, tokenSeconds } from './tokens.ts';
import { findUser } from './users.ts';

/** RFC 8707 resource of the management API; clients that name none get it. */
export const apiResource = 'urn:wardline:api';

/** What the provider is made of. */
export interface ProviderOptions {
  readonly issuer: string;
  readonly keys: ProviderKeys;
  /** Where the console may be sent back to. */
  readonly consoleRedirects: readonly string[];
  readonly lookup: SiteLookup;
  readonly store: Store;
}

/**
 * The OpenID provider: authorization code with PKCE for the console and command line tools (public clients), JWT
 * access tokens for the management API, step-up by `acr_values` and `max_age` (RFC 9470).
 */
export function createProvider(options: ProviderOptions): Provider {
  const provider = new Provider(options.issuer, configuration(options));
  // Behind no proxy and on loopback only: cookies and URLs are plain http on purpose.
  provider.proxy = false;
  return provider;
}

function configuration({ keys, consoleRedirects, lookup, store }: ProviderOptions): Configuration {
  return {
    adapter: storeAdapter(store),
    clients: [
      {
        client_id: 'wardline-console',
        client_name: 'Wardline console',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: [...consoleRedirects],
        post_logout_redirect_uris: [...consoleRedirects],
      },
      {
        client_id: 'wardline-cli',
        client_name: 'Wardline command line',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        // RFC 8252: a native client listens on any port of the loopback address.
        redirect_uris: ['http://127.0.0.1/callback'],
      },
    ],
    jwks: { keys: [keys.signingKey] },
    cookies: { keys: [keys.cookieSecret] },
    acrValues: [...acrValues],
    claims: { openid: ['sub'], profile: ['name'], acr: null, amr: null, auth_time: null },
    scopes: ['openid', 'profile', 'offline_access'],
    pkce: { required: () => true },
    ttl: { AccessToken: tokenSeconds, IdToken: tokenSeconds, Interaction: 900, Session: 43_200, Grant: 43_200 },
    interactions: { policy: signInPolicy(), url: (_context, interaction) => `/sign-in/${interaction.uid}` },
    clientBasedCORS: () => true,
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => apiResource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'openid profile offline_access',
          audience,
          accessTokenTTL: tokenSeconds,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    findAccount: (_context, id) => {
      const user = findUser(id);
      return user === undefined
        ? undefined
        : { accountId: user.name, claims: () => ({ sub: user.name, name: user.displayName }) };
    },
    extraTokenClaims: async (context, token) => {
      const user = 'accountId' in token && token.accountId !== undefined ? findUser(token.accountId) : undefined;
      if (user === undefined) return undefined;
      return { ...userClaims(user, await siteIdsOf(user, lookup)), ...authentication(context) };
    },
    // There is nobody to ask for consent: both clients are the product's own.
    loadExistingGrant: async (context) => {
      const { client, session, provider } = context.oidc;
      if (client === undefined || session?.accountId === undefined) return undefined;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope('openid profile offline_access');
      grant.addResourceScope(apiResource, 'openid profile offline_access');
      await grant.save();
      return grant;
    },
  };
}

/** How and when the user signed in, from the code or refresh token that is being exchanged. */
function authentication(context: KoaContextWithOIDC): Record<string, unknown> {
  const { AuthorizationCode: code, RefreshToken: refresh } = context.oidc.entities;
  const { acr, amr, authTime } = code ?? refresh ?? {};
  return {
    ...(acr === undefined ? {} : { acr }),
    ...(amr === undefined ? {} : { amr }),
    ...(authTime === undefined ? {} : { auth_time: authTime }),
  };
}

/** Sign in when there is no session, it is too old (`max_age`), or it is weaker than `acr_values` asks for. */
function signInPolicy(): interactionPolicy.DefaultPolicy {
  const policy = interactionPolicy.base();
  policy.remove('consent');
  policy.get('login')?.checks.add(
    new interactionPolicy.Check('acr_values', 'A stronger sign-in is requested', ({ oidc }) => {
      const wanted = requestedAcr(oidc.params?.['acr_values']);
      const reached = oidc.result?.login?.acr ?? oidc.session?.acr;
      return wanted.length > 0 && !(typeof reached === 'string' && wanted.includes(reached));
    }),
  );
  return policy;
}

/** The classes of `acr_values` that this provider knows; unknown ones are a wish that cannot be met and is not waited for. */
export function requestedAcr(parameter: unknown): string[] {
  if (typeof parameter !== 'string') return [];
  return parameter.split(' ').filter((value) => acrValues.some((known) => known === value));
}
