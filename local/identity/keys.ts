import { randomBytes } from 'node:crypto';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import type { Store } from '../cloud.ts';

/** What the provider signs with: an RS256 key for tokens and a secret for its cookies. */
export interface ProviderKeys {
  readonly signingKey: JWK & { readonly kid: string };
  readonly cookieSecret: string;
}

/** The keys in the store, made on first use: tokens stay valid when the local cloud is started again with its data. */
export async function providerKeys(store: Store): Promise<ProviderKeys> {
  const stored = store.get<ProviderKeys>('identity', 'keys');
  if (stored !== undefined) return stored;
  const { privateKey } = await generateKeyPair('RS256', { modulusLength: 2048, extractable: true });
  const keys: ProviderKeys = {
    signingKey: { ...(await exportJWK(privateKey)), kid: randomBytes(8).toString('hex'), alg: 'RS256', use: 'sig' },
    cookieSecret: randomBytes(32).toString('base64url'),
  };
  store.put('identity', 'keys', keys);
  return keys;
}
