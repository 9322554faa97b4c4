import type { Cloud, Json } from '../cloud.ts';
import { compilePolicy, decide, type Statement } from '../iam/policy.ts';
import type { Refusal } from './gateway-responses.ts';
import { headerOf, type Incoming } from './incoming.ts';

/** A Lambda authorizer of a REST API. */
export interface Authorizer {
  readonly id: string;
  readonly kind: 'TOKEN' | 'REQUEST';
  readonly functionArn: string;
  /** e.g. `method.request.header.Authorization`. */
  readonly identitySources: readonly string[];
  readonly validation: RegExp | undefined;
  readonly cacheSeconds: number;
  readonly cache: Map<string, Verdict>;
}

/** What the authorizer's function has said about an identity. */
export interface Verdict {
  readonly principalId: string;
  readonly statements: readonly Statement[];
  /** Strings, numbers and booleans that functions find in `requestContext.authorizer`. */
  readonly context: Readonly<Record<string, Json>>;
  /** Cloud time, ms. */
  readonly until: number;
}

/** Either what functions find in `requestContext.authorizer`, or why the request is refused. */
export type Authorization = { readonly authorizer: Readonly<Record<string, Json>> } | { readonly refusal: Refusal };

/** Entries of one authorizer's cache. */
const CACHE_SIZE = 10_000;

/** Asks the authorizer, or its cache, whether this request may call the method. */
export async function authorizeRequest(
  authorizer: Authorizer,
  incoming: Incoming,
  methodArn: string,
  event: () => Json,
  sourceArn: string,
  cloud: Cloud,
): Promise<Authorization> {
  const identity = authorizer.identitySources.map((source) => identityOf(source, incoming));
  const [token] = identity;
  // With a cache, or with a token, the identity must be there.
  if (
    (authorizer.kind === 'TOKEN' || authorizer.cacheSeconds > 0) &&
    identity.some((value) => value === undefined || value === '')
  ) {
    return { refusal: { type: 'UNAUTHORIZED' } };
  }
  if (authorizer.kind === 'TOKEN' && authorizer.validation?.test(token ?? '') === false) {
    return { refusal: { type: 'UNAUTHORIZED' } };
  }
  const key = JSON.stringify(identity);
  const now = cloud.clock.now();
  const cached = authorizer.cacheSeconds > 0 ? authorizer.cache.get(key) : undefined;
  const verdict =
    cached !== undefined && cached.until > now
      ? cached
      : await ask(authorizer, token, methodArn, event, sourceArn, cloud);
  if ('refusal' in verdict) return verdict;
  if (authorizer.cacheSeconds > 0) {
    if (authorizer.cache.size >= CACHE_SIZE) authorizer.cache.clear();
    authorizer.cache.set(key, verdict);
  }
  const decision = decide(verdict.statements, { action: 'execute-api:Invoke', resource: methodArn }, {});
  if (decision === 'allowed') return { authorizer: { ...verdict.context, principalId: verdict.principalId } };
  const message = DEFAULT_DENIAL + (decision === 'denied' ? ' with an explicit deny in an identity-based policy' : '');
  return { refusal: { type: 'ACCESS_DENIED', message } };
}

const DEFAULT_DENIAL = 'User is not authorized to access this resource';

async function ask(
  authorizer: Authorizer,
  token: string | undefined,
  methodArn: string,
  event: () => Json,
  sourceArn: string,
  cloud: Cloud,
): Promise<Verdict | { readonly refusal: Refusal }> {
  cloud.authorizeInvoke(authorizer.functionArn, 'apigateway.amazonaws.com', sourceArn);
  const payload: Json =
    authorizer.kind === 'TOKEN' ? { type: 'TOKEN', methodArn, authorizationToken: token ?? '' } : event();
  const started = performance.now();
  const result = await cloud.functions.invoke(authorizer.functionArn, payload);
  if (result.functionError !== undefined) {
    const { payload: error } = result;
    const message =
      error !== null && typeof error === 'object' && !Array.isArray(error) ? error['errorMessage'] : undefined;
    // This exact message is how an authorizer says 401; whatever else it throws is its own failure.
    return { refusal: { type: message === 'Unauthorized' ? 'UNAUTHORIZED' : 'AUTHORIZER_FAILURE' } };
  }
  try {
    return readVerdict(
      result.payload,
      cloud.clock.now() + authorizer.cacheSeconds * 1000,
      Math.round(performance.now() - started),
    );
  } catch (error) {
    cloud.log.warn(`authorizer ${authorizer.functionArn}: ${error instanceof Error ? error.message : String(error)}`);
    return { refusal: { type: 'AUTHORIZER_CONFIGURATION_ERROR' } };
  }
}

function readVerdict(payload: Json, until: number, integrationLatency: number): Verdict {
  if (payload === null || typeof payload !== 'object' || Array.isArray(payload))
    throw new Error('its answer is not an object');
  const { principalId, policyDocument, context = {} } = payload;
  if (typeof principalId !== 'string') throw new Error('its answer has no principalId');
  if (context === null || typeof context !== 'object' || Array.isArray(context))
    throw new Error('context is not an object');
  for (const [name, value] of Object.entries(context)) {
    if (value !== null && typeof value === 'object')
      throw new Error(`context.${name} is an object or list, which API Gateway refuses`);
  }
  // Functions receive every value as text.
  const shown = Object.fromEntries(
    Object.entries(context).map(([name, value]) => [name, value === null ? null : String(value)]),
  );
  return {
    principalId,
    statements: compilePolicy(policyDocument ?? null),
    context: { ...shown, integrationLatency },
    until,
  };
}

function identityOf(source: string, incoming: Incoming): string | undefined {
  const [, place, name] = /^method\.request\.(header|querystring)\.(.+)$/.exec(source) ?? [];
  if (name === undefined) return undefined;
  return place === 'header'
    ? headerOf(incoming, name.toLowerCase())
    : (new URLSearchParams(incoming.rawQuery).get(name) ?? undefined);
}
