import { text } from './api.ts';

/** Access tokens of the local OpenID provider for a demo user, as `npm run token` gets them; with a second factor, just now. */
export function localToken(issuer: string, user: string): () => Promise<string> {
  return async () => {
    const response = await fetch(`${issuer}/local/token`, {
      method: 'POST',
      body: new URLSearchParams({ user, mfa: 'yes' }),
      signal: AbortSignal.timeout(10_000),
    });
    const token = response.ok ? text(await response.json(), 'access_token') : undefined;
    if (token === undefined)
      throw new Error(`the local OpenID provider gave no token for ${user} (${response.status})`);
    return token;
  };
}
