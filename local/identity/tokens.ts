import { randomUUID } from 'node:crypto';
import { importJWK, SignJWT } from 'jose';
import { acrOf, amrOf, type SignIn, userClaims } from './claims.ts';
import type { ProviderKeys } from './keys.ts';
import type { DemoUser } from './users.ts';

/** `aud` of all access tokens for the management API. */
export const audience = 'wardline';

/** Lifetime of access tokens in seconds, however they were obtained. */
export const tokenSeconds = 3600;

/**
 * A signed access token (RFC 9068) for a demo user without the browser: the same claims as the provider's own tokens.
 * Exists in the local cloud only.
 */
export async function mintToken(
  issuer: string,
  keys: ProviderKeys,
  user: DemoUser,
  siteIds: readonly string[],
  signIn: SignIn,
): Promise<string> {
  // Issued in the moment of signing in.
  const now = signIn.authTime;
  return new SignJWT({
    ...userClaims(user, siteIds),
    acr: acrOf(signIn),
    amr: amrOf(signIn),
    auth_time: signIn.authTime,
    client_id: 'wardline-cli',
  })
    .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid: keys.signingKey.kid })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(user.name)
    .setIssuedAt(now)
    .setExpirationTime(now + tokenSeconds)
    .setJti(randomUUID())
    .sign(await importJWK(keys.signingKey, 'RS256'));
}
