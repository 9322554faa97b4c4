import type { Json } from '../cloud.ts';
import { type Answer, headerOf, type Incoming, jsonAnswer } from './incoming.ts';

/** A client certificate as API Gateway shows it to functions. */
export type ClientCertificate = {
  readonly clientCertPem: string;
  readonly subjectDN: string;
  readonly issuerDN: string;
  readonly serialNumber: string;
  readonly validity: { readonly notBefore: string; readonly notAfter: string };
};

/** Where a request arrived, for the event. */
export interface HttpApiContext {
  readonly account: string;
  readonly apiId: string;
  readonly domainName: string;
  readonly stage: string;
  readonly routeKey: string;
  readonly pathParameters: Readonly<Record<string, string>>;
  readonly clientCertificate: ClientCertificate | undefined;
  readonly requestId: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * The event of an HTTP API, payload format 2.0.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 */
export function httpApiEvent(incoming: Incoming, context: HttpApiContext): Json {
  const headers: Record<string, string> = {};
  const cookies: string[] = [];
  for (const [name, value] of incoming.headers) {
    const key = name.toLowerCase();
    if (key === 'cookie') cookies.push(...value.split(/;\s*/));
    else headers[key] = headers[key] === undefined ? value : `${headers[key]},${value}`;
  }
  const query: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(incoming.rawQuery)) {
    query[name] = query[name] === undefined ? value : `${query[name]},${value}`;
  }
  const rawPath = context.stage === '$default' ? incoming.path : `/${context.stage}${incoming.path}`;
  const isText = isTextType(headerOf(incoming, 'content-type'));
  return {
    version: '2.0',
    routeKey: context.routeKey,
    rawPath: decodePath(rawPath),
    rawQueryString: incoming.rawQuery,
    ...(cookies.length === 0 ? {} : { cookies }),
    headers,
    ...(Object.keys(query).length === 0 ? {} : { queryStringParameters: query }),
    ...(Object.keys(context.pathParameters).length === 0 ? {} : { pathParameters: { ...context.pathParameters } }),
    requestContext: {
      accountId: context.account,
      apiId: context.apiId,
      ...(context.clientCertificate === undefined
        ? {}
        : {
            authentication: {
              clientCert: { ...context.clientCertificate, validity: { ...context.clientCertificate.validity } },
            },
          }),
      domainName: context.domainName,
      domainPrefix: context.domainName.split('.')[0] ?? '',
      http: {
        method: incoming.method,
        path: decodePath(rawPath),
        protocol: `HTTP/${incoming.httpVersion}`,
        sourceIp: incoming.sourceIp,
        userAgent: headerOf(incoming, 'user-agent') ?? '',
      },
      requestId: context.requestId,
      routeKey: context.routeKey,
      stage: context.stage,
      time: commonLogTime(context.now),
      timeEpoch: Math.round(context.now),
    },
    ...(incoming.body.length === 0 ? {} : { body: incoming.body.toString(isText ? 'utf8' : 'base64') }),
    isBase64Encoded: incoming.body.length > 0 && !isText,
  };
}

/** What an HTTP API answers for a function's result: a response object, or any other value as a JSON body. */
export function httpApiAnswer(result: Json): Answer {
  if (result === null || typeof result !== 'object' || Array.isArray(result) || result['statusCode'] === undefined) {
    return jsonAnswer(200, result);
  }
  const status = Number(result['statusCode']);
  if (!Number.isInteger(status) || status < 100 || status > 599)
    return jsonAnswer(500, { message: 'Internal Server Error' });
  const headers: [string, string][] = [];
  for (const [name, value] of entriesOf(result['headers'])) headers.push([name.toLowerCase(), String(value)]);
  for (const [name, values] of entriesOf(result['multiValueHeaders'])) {
    for (const value of [values].flat()) headers.push([name.toLowerCase(), String(value)]);
  }
  for (const cookie of [result['cookies'] ?? []].flat()) headers.push(['set-cookie', String(cookie)]);
  const body = result['body'];
  if (body !== undefined && body !== null && typeof body !== 'string')
    return jsonAnswer(500, { message: 'Internal Server Error' });
  if (!headers.some(([name]) => name === 'content-type')) headers.push(['content-type', 'text/plain; charset=utf-8']);
  return { status, headers, body: Buffer.from(body ?? '', result['isBase64Encoded'] === true ? 'base64' : 'utf8') };
}

/** Whether an HTTP API hands a body of this type on as text; anything else arrives in base64. */
export function isTextType(contentType: string | undefined): boolean {
  const type = contentType?.split(';')[0]?.trim().toLowerCase() ?? '';
  return type.startsWith('text/') || TEXT_TYPES.has(type);
}

const TEXT_TYPES = new Set(['application/json', 'application/xml', 'application/javascript']);

/** The time of a request as access logs have it, e.g. `09/Apr/2026:12:34:56 +0000`. */
export function commonLogTime(now: number): string {
  const [, day, month, year, time] = /^\w+, (\d+) (\w+) (\d+) ([\d:]+)/.exec(new Date(now).toUTCString()) ?? [];
  return `${day}/${month}/${year}:${time} +0000`;
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch (error) {
    // A path that is not valid percent-encoding is handed on as it came.
    if (error instanceof URIError) return path;
    throw error;
  }
}

function entriesOf(value: Json | undefined): [string, Json][] {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? Object.entries(value) : [];
}
