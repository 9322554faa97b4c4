import { randomUUID } from 'node:crypto';
import type { Json } from '../cloud.ts';
import { commonLogTime } from './http-event.ts';
import { type Answer, headerOf, type Incoming } from './incoming.ts';

/** Where a request to a REST API arrived, for the event. */
export interface RestContext {
  readonly account: string;
  readonly region: string;
  readonly apiId: string;
  readonly stage: string;
  readonly resourceId: string;
  /** With variables, e.g. `/devices/{id}`. */
  readonly resourcePath: string;
  /** Percent-encoded, without the stage. */
  readonly path: string;
  readonly pathParameters: Readonly<Record<string, string>>;
  readonly requestId: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly binaryMediaTypes: readonly string[];
  /** What the authorizer said, if there was one. */
  readonly authorizer: Readonly<Record<string, Json>> | undefined;
}

/**
 * The event of a REST API with Lambda proxy integration.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
 */
export function restEvent(incoming: Incoming, context: RestContext): Json {
  const isBinary = matchesMediaType(headerOf(incoming, 'content-type'), context.binaryMediaTypes);
  const headers = lastOfEach(incoming.headers);
  const query = [...new URLSearchParams(incoming.rawQuery)];
  return {
    resource: context.resourcePath,
    path: context.path,
    httpMethod: incoming.method,
    headers,
    multiValueHeaders: allOfEach(incoming.headers),
    queryStringParameters: orNull(lastOfEach(query)),
    multiValueQueryStringParameters: orNull(allOfEach(query)),
    pathParameters: orNull({ ...context.pathParameters }),
    stageVariables: null,
    requestContext: requestContextOf(incoming, context),
    body: incoming.body.length === 0 ? null : incoming.body.toString(isBinary ? 'base64' : 'utf8'),
    isBase64Encoded: incoming.body.length > 0 && isBinary,
  };
}

/** The event of a REQUEST authorizer. */
export function requestAuthorizerEvent(incoming: Incoming, context: RestContext, methodArn: string): Json {
  const query = [...new URLSearchParams(incoming.rawQuery)];
  return {
    type: 'REQUEST',
    methodArn,
    resource: context.resourcePath,
    path: context.path,
    httpMethod: incoming.method,
    headers: lastOfEach(incoming.headers),
    multiValueHeaders: allOfEach(incoming.headers),
    queryStringParameters: lastOfEach(query),
    multiValueQueryStringParameters: allOfEach(query),
    pathParameters: { ...context.pathParameters },
    stageVariables: {},
    requestContext: requestContextOf(incoming, context),
  };
}

function requestContextOf(incoming: Incoming, context: RestContext): Json {
  const domainPrefix = context.apiId;
  return {
    resourceId: context.resourceId,
    resourcePath: context.resourcePath,
    httpMethod: incoming.method,
    extendedRequestId: Buffer.from(context.requestId).toString('base64').slice(0, 16),
    requestTime: commonLogTime(context.now),
    path: `/${context.stage}${context.path}`,
    accountId: context.account,
    protocol: `HTTP/${incoming.httpVersion}`,
    stage: context.stage,
    domainPrefix,
    requestTimeEpoch: Math.round(context.now),
    requestId: context.requestId,
    identity: {
      cognitoIdentityPoolId: null,
      accountId: null,
      cognitoIdentityId: null,
      caller: null,
      sourceIp: incoming.sourceIp,
      principalOrgId: null,
      accessKey: null,
      cognitoAuthenticationType: null,
      cognitoAuthenticationProvider: null,
      userArn: null,
      userAgent: headerOf(incoming, 'user-agent') ?? null,
      user: null,
    },
    domainName: `${domainPrefix}.execute-api.${context.region}.amazonaws.com`,
    apiId: context.apiId,
    ...(context.authorizer === undefined ? {} : { authorizer: { ...context.authorizer } }),
  };
}

/** What a REST API answers for a function's result; undefined when it is not a proxy response, which is answered 502. */
export function restAnswer(
  result: Json,
  accept: string | undefined,
  binaryMediaTypes: readonly string[],
): Answer | undefined {
  if (result === null || typeof result !== 'object' || Array.isArray(result)) return undefined;
  const unknown = Object.keys(result).filter((key) => !RESPONSE_KEYS.has(key));
  const status = Number(result['statusCode'] ?? 200);
  const body = result['body'];
  if (unknown.length > 0 || !Number.isInteger(status) || status < 100 || status > 599) return undefined;
  if (body !== undefined && body !== null && typeof body !== 'string') return undefined;
  const headers: [string, string][] = [];
  const multiple = entriesOf(result['multiValueHeaders']).flatMap(([name, values]) =>
    [values].flat().map((value): [string, string] => [name, String(value)]),
  );
  const repeated = new Set(multiple.map(([name]) => name.toLowerCase()));
  for (const [name, value] of entriesOf(result['headers'])) {
    if (!repeated.has(name.toLowerCase())) headers.push([name, String(value)]);
  }
  headers.push(...multiple);
  if (!headers.some(([name]) => name.toLowerCase() === 'content-type'))
    headers.push(['Content-Type', 'application/json']);
  // Base64 is decoded only for a client that asks for a binary type first.
  const decode = result['isBase64Encoded'] === true && matchesMediaType(accept?.split(',')[0], binaryMediaTypes);
  return { status, headers, body: Buffer.from(body ?? '', decode ? 'base64' : 'utf8') };
}

const RESPONSE_KEYS = new Set(['statusCode', 'headers', 'multiValueHeaders', 'body', 'isBase64Encoded']);

/** A new request id. */
export function newRequestId(): string {
  return randomUUID();
}

function matchesMediaType(type: string | undefined, patterns: readonly string[]): boolean {
  const bare = type?.split(';')[0]?.trim().toLowerCase();
  return patterns.some((pattern) => {
    if (pattern === '*/*') return true;
    if (bare === undefined) return false;
    return pattern.endsWith('/*') ? bare.startsWith(pattern.slice(0, -1)) : bare === pattern.toLowerCase();
  });
}

function lastOfEach(entries: readonly (readonly [string, string])[]): Record<string, string> {
  return Object.fromEntries(entries);
}

function allOfEach(entries: readonly (readonly [string, string])[]): Record<string, string[]> {
  const all: Record<string, string[]> = {};
  for (const [name, value] of entries) {
    const values = all[name] ?? [];
    values.push(value);
    all[name] = values;
  }
  return all;
}

function orNull<T extends { [key: string]: Json }>(members: T): T | null {
  return Object.keys(members).length === 0 ? null : members;
}

function entriesOf(value: Json | undefined): [string, Json][] {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? Object.entries(value) : [];
}
