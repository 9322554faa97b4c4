import { randomUUID } from 'node:crypto';
import type { APIGatewayProxyEvent, APIGatewayProxyResult, Context } from 'aws-lambda';
import { type Operation, routes } from '../../shared/http/routes.ts';
import { type Caller, toContext } from '../../shared/identity/caller.ts';

// Set before any handler is made: what a function prints is not what these tests look at.
process.env['POWERTOOLS_LOG_LEVEL'] ??= 'SILENT';
process.env['POWERTOOLS_METRICS_DISABLED'] ??= 'true';

/** Handlers of the management API. */
export type ApiHandler = (event: APIGatewayProxyEvent, context: Context) => Promise<APIGatewayProxyResult>;

/** A request as a test writes it. */
export interface TestRequest {
  /** Undefined: no authorizer spoke. */
  readonly caller?: Caller | undefined;
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is. */
  readonly raw?: string;
  readonly base64?: boolean;
}

/** An answer with its body parsed. */
export interface TestAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Record<string, unknown>;
}

/** The event that API Gateway makes of a request to this operation. */
export function eventFor(operation: Operation, request: TestRequest): APIGatewayProxyEvent {
  const route = routes.find((candidate) => candidate.operation === operation);
  if (route === undefined) throw new Error(`no route ${operation}`);
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => request.path?.[name] ?? '');
  const query = Object.keys(request.query ?? {}).length === 0 ? null : { ...request.query };
  const body = request.raw ?? (request.body === undefined ? null : JSON.stringify(request.body));
  return {
    resource: route.path,
    path,
    httpMethod: route.method,
    headers: { ...(request.body === undefined ? {} : { 'Content-Type': 'application/json' }), ...request.headers },
    multiValueHeaders: {},
    queryStringParameters: query,
    multiValueQueryStringParameters:
      query === null ? null : Object.fromEntries(Object.entries(query).map(([name, value]) => [name, [value]])),
    pathParameters: request.path === undefined ? null : { ...request.path },
    stageVariables: null,
    body,
    isBase64Encoded: request.base64 ?? false,
    requestContext: {
      accountId: '000000000000',
      apiId: 'api',
      authorizer: request.caller === undefined ? undefined : { ...toContext(request.caller) },
      protocol: 'HTTP/1.1',
      httpMethod: route.method,
      identity: { sourceIp: '127.0.0.1' } as APIGatewayProxyEvent['requestContext']['identity'],
      path: `/v1${path}`,
      stage: 'v1',
      domainName: 'api.example.org',
      requestId: randomUUID(),
      requestTimeEpoch: 0,
      resourceId: 'r',
      resourcePath: route.path,
    },
  };
}

/** Calls a handler as API Gateway would. */
export async function call(handler: ApiHandler, operation: Operation, request: TestRequest): Promise<TestAnswer> {
  const result = await handler(eventFor(operation, request), { functionName: 'test' } as Context);
  return {
    status: result.statusCode,
    headers: Object.fromEntries(Object.entries(result.headers ?? {}).map(([name, value]) => [name, String(value)])),
    body: result.body === '' ? {} : (JSON.parse(result.body) as Record<string, unknown>),
  };
}

/** A caller with one role, everywhere unless said otherwise, without a second factor. */
export function callerWith(role: string, changes: Partial<Caller> = {}): Caller {
  return { sub: `${role}-1`, roles: [role], sites: ['*'], status: 'active', amr: ['pwd'], ...changes };
}

/** A sign-in with a second factor, just now. */
export const freshMfa = (): Pick<Caller, 'acr' | 'amr' | 'authTime'> => ({
  acr: 'phr',
  amr: ['hwk', 'mfa'],
  authTime: Math.floor(Date.now() / 1000),
});
