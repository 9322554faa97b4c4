import { createServer, type Server } from 'node:http';
import { AwsError, type Cloud, type Json } from '../cloud.ts';
import { LOOPBACK } from '../runtime/ports.ts';
import { type Authorizer, authorizeRequest } from './authorizer.ts';
import { type GatewayResponse, type Refusal, refuse } from './gateway-responses.ts';
import { type Answer, headerOf, type Incoming, jsonAnswer, readIncoming, writeAnswer } from './incoming.ts';
import type { BodyCheck } from './models.ts';
import { newRequestId, type RestContext, requestAuthorizerEvent, restAnswer, restEvent } from './rest-event.ts';
import type { RouteTable } from './routes.ts';

/** How long a function may take, ms. */
const INTEGRATION_LIMIT = 29_000;

/** A method of a REST API. */
export interface RestMethod {
  readonly resourceId: string;
  /** With variables, e.g. `/devices/{id}`. */
  readonly path: string;
  readonly integration: { readonly functionArn: string } | MockIntegration;
  readonly authorizer: Authorizer | undefined;
  /** Required parameters, e.g. `method.request.querystring.site`; undefined: parameters are not validated. */
  readonly requiredParameters: readonly string[] | undefined;
  /** By content type; undefined: bodies are not validated. */
  readonly models: ReadonlyMap<string, BodyCheck> | undefined;
}

/** A fixed answer without a function behind it. */
export interface MockIntegration {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
}

/** A REST API. */
export interface RestApi {
  readonly id: string;
  readonly binaryMediaTypes: readonly string[];
  readonly methods: RouteTable<RestMethod>;
  readonly responses: Map<string, GatewayResponse>;
}

/** Serves REST APIs, each below the path of its stage; returns the server, listening. */
export async function serveRestApis(stages: ReadonlyMap<string, RestApi>, port: number, cloud: Cloud): Promise<Server> {
  const server = createServer((request, response) => {
    readIncoming(request)
      .then((incoming) => answer(request.url ?? '/', incoming, stages, cloud))
      .then(
        (result) => writeAnswer(response, result),
        (error: unknown) => {
          if (response.destroyed) return;
          cloud.log.warn(`REST API: ${error instanceof Error ? error.message : String(error)}`);
          writeAnswer(response, jsonAnswer(500, { message: 'Internal server error' }));
        },
      );
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, LOOPBACK, resolve);
  });
  return server;
}

async function answer(
  url: string,
  incoming: Incoming | undefined,
  stages: ReadonlyMap<string, RestApi>,
  cloud: Cloud,
): Promise<Answer> {
  const fullPath = url.split('?')[0] ?? '/';
  const [, stage = '', rest = ''] = /^\/([^/]*)(\/.*)?$/.exec(fullPath) ?? [];
  const api = stages.get(stage);
  if (api === undefined) return jsonAnswer(403, { message: 'Forbidden' });
  const requestId = newRequestId();
  const refused = (refusal: Refusal) => refuse(refusal, api.responses, requestId);
  if (incoming === undefined) return refused({ type: 'REQUEST_TOO_LARGE' });
  const path = rest === '' ? '/' : rest;
  const match = api.methods.match(incoming.method, path);
  if (match === undefined) return refused({ type: 'MISSING_AUTHENTICATION_TOKEN' });
  const { route: method, pathParameters } = match;
  const context: RestContext = {
    account: cloud.account,
    region: cloud.region,
    apiId: api.id,
    stage,
    resourceId: method.resourceId,
    resourcePath: method.path,
    path,
    pathParameters,
    requestId,
    now: cloud.clock.now(),
    binaryMediaTypes: api.binaryMediaTypes,
    authorizer: undefined,
  };
  let authorizer: Readonly<Record<string, Json>> | undefined;
  if (method.authorizer !== undefined) {
    const methodArn = cloud.arn('execute-api', `${api.id}/${stage}/${incoming.method}${path}`);
    const source = cloud.arn('execute-api', `${api.id}/authorizers/${method.authorizer.id}`);
    const event = () => requestAuthorizerEvent(incoming, context, methodArn);
    const authorization = await authorizeRequest(method.authorizer, incoming, methodArn, event, source, cloud);
    if ('refusal' in authorization) return refused(authorization.refusal);
    authorizer = authorization.authorizer;
  }
  const invalid = validate(incoming, method, pathParameters);
  if (invalid !== undefined) return refused(invalid);
  if (!('functionArn' in method.integration)) {
    return { status: method.integration.status, headers: method.integration.headers, body: Buffer.alloc(0) };
  }
  const source = cloud.arn('execute-api', `${api.id}/${stage}/${incoming.method}${method.path}`);
  const event = restEvent(incoming, { ...context, authorizer });
  const result = await withinLimit(invoke(method.integration.functionArn, event, source, cloud));
  if ('refusal' in result) return refused(result.refusal);
  const answered = restAnswer(result.payload, headerOf(incoming, 'accept'), api.binaryMediaTypes);
  if (answered === undefined) return refused({ type: 'API_CONFIGURATION_ERROR' });
  return { ...answered, headers: [...answered.headers, ['x-amzn-RequestId', requestId]] };
}

function validate(incoming: Incoming, method: RestMethod, path: Readonly<Record<string, string>>): Refusal | undefined {
  const query = new URLSearchParams(incoming.rawQuery);
  const missing = (method.requiredParameters ?? [])
    .map((parameter) => /^method\.request\.(path|querystring|header)\.(.+)$/.exec(parameter))
    .filter((parameter) => {
      const name = parameter?.[2] ?? '';
      if (parameter?.[1] === 'path') return path[name] === undefined;
      const value = parameter?.[1] === 'header' ? headerOf(incoming, name.toLowerCase()) : query.get(name);
      return value === undefined || value === null || value === '';
    })
    .map((parameter) => parameter?.[2] ?? '');
  if (missing.length > 0) {
    return { type: 'BAD_REQUEST_PARAMETERS', message: `Missing required request parameters: [${missing.join(', ')}]` };
  }
  const contentType = headerOf(incoming, 'content-type')?.split(';')[0]?.trim().toLowerCase() ?? 'application/json';
  const validationError = method.models?.get(contentType)?.(incoming.body.toString());
  return validationError === undefined ? undefined : { type: 'BAD_REQUEST_BODY', validationError };
}

type Integrated = { readonly payload: Json } | { readonly refusal: Refusal };

async function invoke(functionArn: string, event: Json, source: string, cloud: Cloud): Promise<Integrated> {
  cloud.authorizeInvoke(functionArn, 'apigateway.amazonaws.com', source);
  try {
    const result = await cloud.functions.invoke(functionArn, event);
    if (result.functionError !== undefined) return { refusal: { type: 'API_CONFIGURATION_ERROR' } };
    return { payload: result.payload };
  } catch (error) {
    if (!(error instanceof AwsError)) throw error;
    return { refusal: { type: error.status === 413 ? 'REQUEST_TOO_LARGE' : 'API_CONFIGURATION_ERROR' } };
  }
}

async function withinLimit(work: Promise<Integrated>): Promise<Integrated> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Integrated>((resolve) => {
    timer = setTimeout(() => resolve({ refusal: { type: 'INTEGRATION_TIMEOUT' } }), INTEGRATION_LIMIT);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
