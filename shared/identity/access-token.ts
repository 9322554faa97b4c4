import { createRemoteJWKSet, decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose';
import * as v from 'valibot';
import type { Caller } from './caller.ts';

/** Which access tokens are accepted, and where in them the roles and sites are. */
export interface TokenRules {
  /** Issuers (OpenID Connect Discovery), https; http only on a loopback address. */
  readonly issuers: readonly string[];
  readonly audience: string;
  /** Name of the claim with the role names: its exact name, or a dotted path into nested claims. */
  readonly rolesClaim: string;
  /** Name of the claim with the site ids, `*` for every site. */
  readonly sitesClaim: string;
}

/** Why a token was not accepted, in a word that is safe to log. Never holds the token or its claims. */
export class TokenRefused extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'TokenRefused';
  }
}

/** Asymmetric signatures only: with a symmetric one, whoever can verify can also sign. */
const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];

/** How far the clocks of issuer and verifier may be apart, seconds. */
const clockToleranceSeconds = 30;

/** A header line above this is not a token of a sane issuer; API Gateway's limit for all headers is 10,240 bytes. */
const longestToken = 10_240;

const Metadata = v.object({ issuer: v.string(), jwks_uri: v.pipe(v.string(), v.url()) });

type KeySet = ReturnType<typeof createRemoteJWKSet>;

/**
 * Verifies access tokens (RFC 9068 and plain JWT) of the configured issuers. Keys are found by OpenID Connect
 * Discovery, kept for the life of the worker, and fetched again when a token names an unknown key (at most once in 30
 * seconds).
 */
export class AccessTokens {
  readonly #rules: TokenRules;
  readonly #keys = new Map<string, Promise<KeySet>>();

  /** @throws Error when an issuer is not https (or http on loopback) */
  constructor(rules: TokenRules) {
    if (rules.issuers.length === 0) throw new Error('no OpenID issuer is configured');
    for (const issuer of rules.issuers) assertSafe(new URL(issuer));
    this.#rules = rules;
  }

  /**
   * The caller that the token names.
   *
   * @throws TokenRefused when the token is not acceptable; any other error means that the issuer could not be asked
   */
  async verify(token: string): Promise<Caller> {
    const issuer = this.#issuerOf(token);
    const keys = await this.#keysOf(issuer);
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience: this.#rules.audience,
        algorithms,
        clockTolerance: clockToleranceSeconds,
        requiredClaims: ['sub', 'exp'],
      });
      return callerOf(payload, this.#rules);
    } catch (error) {
      if (error instanceof errors.JWKSTimeout) throw error;
      if (error instanceof errors.JOSEError) throw new TokenRefused(error.code);
      throw error;
    }
  }

  #issuerOf(token: string): string {
    if (token.length > longestToken) throw new TokenRefused('too long');
    let claimed: unknown;
    try {
      claimed = decodeJwt(token).iss;
    } catch {
      throw new TokenRefused('not a JWT');
    }
    const issuer = this.#rules.issuers.find((known) => known === claimed);
    if (issuer === undefined) throw new TokenRefused('unknown issuer');
    return issuer;
  }

  #keysOf(issuer: string): Promise<KeySet> {
    const known = this.#keys.get(issuer);
    if (known !== undefined) return known;
    const found = discover(issuer);
    this.#keys.set(issuer, found);
    // A failed look-up is not kept: the next request asks again.
    found.catch(() => this.#keys.delete(issuer));
    return found;
  }
}

/** Maps verified claims to a caller. Claims of the wrong shape give nothing rather than something. */
export function callerOf(claims: JWTPayload, rules: TokenRules): Caller {
  const sub = claims.sub ?? '';
  const acr = claims['acr'];
  const authTime = claims['auth_time'];
  const status = claims['status'];
  return {
    // Two issuers may use the same `sub` for two people.
    sub: rules.issuers.length > 1 ? `${claims.iss}#${sub}` : sub,
    roles: strings(claim(claims, rules.rolesClaim)),
    sites: strings(claim(claims, rules.sitesClaim)),
    status: status === undefined ? 'active' : String(status),
    amr: strings(claims['amr']),
    ...(typeof acr === 'string' ? { acr } : {}),
    ...(typeof authTime === 'number' ? { authTime } : {}),
  };
}

function claim(claims: JWTPayload, name: string): unknown {
  // Issuers name custom claims by URL, dots included: the exact name comes first.
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = Object.entries(value).find(([key]) => key === part)?.[1];
  }
  return value;
}

function strings(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

async function discover(issuer: string): Promise<KeySet> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const response = await fetch(url, { signal: AbortSignal.timeout(3000), redirect: 'error' });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  const metadata = v.parse(Metadata, await response.json());
  if (metadata.issuer !== issuer) throw new Error(`${url} names the issuer ${metadata.issuer}`);
  const keys = new URL(metadata.jwks_uri);
  assertSafe(keys);
  return createRemoteJWKSet(keys, { timeoutDuration: 3000, cooldownDuration: 30_000, cacheMaxAge: 3_600_000 });
}

function assertSafe(url: URL): void {
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) {
    throw new Error(`${url.origin} is not https`);
  }
}
