import { Logger } from '@aws-lambda-powertools/logger';
import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { logMetrics } from '@aws-lambda-powertools/metrics/middleware';
import middy, { type MiddlewareObj } from '@middy/core';
import type { APIGatewayProxyEvent, APIGatewayProxyResult, Context } from 'aws-lambda';
import { type Caller, fromContext } from '../identity/caller.ts';
import { organizationId } from '../identity/resource.ts';
import { idempotencyKeyForm, idForm } from './api-forms.ts';
import { header, mediaTypeOf, readBody, readJson } from './body.ts';
import { requireIfMatch } from './etag.ts';
import { describeFailure, problemOf } from './failure.ts';
import type { ApiRequest, ApiResponse, OperationSpec } from './operation.ts';
import { problems } from './problem.ts';
import { type ManagementFunction, type Operation, routes } from './routes.ts';
import { assertReadable } from './text.ts';
import { validate } from './validate.ts';

/** An operation together with what carries it out. */
export interface BoundOperation {
  run(event: APIGatewayProxyEvent, caller: Caller, receivedAt: Date): Promise<APIGatewayProxyResult>;
}

/** The operations that the function `F` must serve. */
type OperationsOf<F extends ManagementFunction> = Extract<(typeof routes)[number], { function: F }>['operation'];

/**
 * The Lambda handler of a management function: finds the operation, makes sure that somebody is signed in, answers
 * every error as problem+json (RFC 9457), and leaves one log line and two metrics for each request, without payload.
 *
 * @param operations one for each route that `routes.ts` gives to the function
 */
export function serve<F extends ManagementFunction>(
  name: F,
  operations: Readonly<Record<OperationsOf<F>, BoundOperation>>,
): (event: APIGatewayProxyEvent, context: Context) => Promise<APIGatewayProxyResult> {
  const logger = new Logger({ serviceName: name });
  const metrics = new Metrics({ namespace: 'Wardline', serviceName: name });
  const bound = new Map<string, BoundOperation>(Object.entries(operations));
  return middy<APIGatewayProxyEvent, APIGatewayProxyResult>()
    .use(injectLambdaContext(logger, { resetKeys: true }))
    .use(logMetrics(metrics))
    .use(answerErrors(logger, metrics))
    .handler(async (event) => {
      const receivedAt = new Date();
      const operation = operationOf(event);
      logger.appendKeys({ operation, requestId: event.requestContext.requestId });
      const handler = operation === undefined ? undefined : bound.get(operation);
      if (handler === undefined) throw problems.notFound('There is no such operation.');
      const caller = fromContext(event.requestContext.authorizer);
      if (caller === undefined) throw problems.unauthenticated('Sign in first.', { 'www-authenticate': 'Bearer' });
      logger.appendKeys({ sub: caller.sub });
      const result = await handler.run(event, caller, receivedAt);
      logger.info('answered', { status: result.statusCode, milliseconds: Date.now() - receivedAt.getTime() });
      metrics.addDimension('operation', operation ?? 'none');
      metrics.addMetric('Answered', MetricUnit.Count, 1);
      return result;
    });
}

/** Binds a specification to its implementation; `body` and `query` reach it validated. */
export function operation<Body = undefined, Query = undefined>(
  spec: OperationSpec<Body, Query>,
  handle: (request: ApiRequest<Body, Query>) => Promise<ApiResponse>,
): BoundOperation {
  return {
    async run(event, caller, receivedAt) {
      const path = pathParameters(event);
      // Without a schema the type parameter is `undefined`, and so is the value.
      const query = (spec.query && validate(spec.query, queryParameters(event), 'query')) as Query;
      const ifMatch = spec.conditional ? requireIfMatch(event.headers) : 'any';
      const without = spec.bodyOptional === true && (event.body ?? '') === '';
      const body = (spec.body && validate(spec.body, without ? {} : readJsonObject(event))) as Body;
      const idempotencyKey = spec.idempotencyKey ? readIdempotencyKey(event) : undefined;
      const response = await handle({
        caller,
        path,
        query,
        body,
        ifMatch,
        file: readFile(spec, event),
        receivedAt,
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      });
      return resultOf(spec, response, event);
    },
  };
}

/** Which operation an API Gateway event is for. */
export function operationOf(event: Pick<APIGatewayProxyEvent, 'httpMethod' | 'resource'>): Operation | undefined {
  return routes.find((route) => route.method === event.httpMethod && route.path === event.resource)?.operation;
}

function answerErrors(logger: Logger, metrics: Metrics): MiddlewareObj<APIGatewayProxyEvent, APIGatewayProxyResult> {
  return {
    onError: (request) => {
      const { problem, headers } = problemOf(request.error);
      const log = { status: problem.status, type: problem.type };
      if (problem.status >= 500) logger.error('failed', { ...log, ...describeFailure(request.error) });
      else logger.info('refused', log);
      metrics.addDimension('operation', operationOf(request.event) ?? 'none');
      metrics.addMetric(problem.status >= 500 ? 'Failed' : 'Refused', MetricUnit.Count, 1);
      const instance = `urn:wardline:request:${request.event.requestContext.requestId}`;
      request.response = {
        statusCode: problem.status,
        headers: { ...standardHeaders(request.event), 'content-type': 'application/problem+json', ...headers },
        body: JSON.stringify({ ...problem, instance }),
      };
    },
  };
}

function resultOf(spec: OperationSpec, response: ApiResponse, event: APIGatewayProxyEvent): APIGatewayProxyResult {
  const headers = { ...standardHeaders(event), ...response.headers };
  const other = (spec.also ?? []).find((answer) => answer.status === response.status);
  const { status, mediaType } = other ?? spec.answer;
  if (response.body === undefined) return { statusCode: status, headers, body: '' };
  return {
    statusCode: status,
    headers: { ...headers, 'content-type': mediaType ?? 'application/json' },
    body: typeof response.body === 'string' ? response.body : JSON.stringify(response.body),
  };
}

function standardHeaders(event: APIGatewayProxyEvent): Record<string, string> {
  return {
    // Who may see what changes with the token, and devices change by the second.
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-request-id': event.requestContext.requestId,
  };
}

function pathParameters(event: APIGatewayProxyEvent): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const [name, value] of Object.entries(event.pathParameters ?? {})) {
    if (value === undefined || !idForm.test(value) || value === organizationId)
      throw problems.notFound('There is nothing with this id.');
    parameters[name] = value;
  }
  return parameters;
}

function queryParameters(event: APIGatewayProxyEvent): Record<string, string | undefined> {
  for (const [name, values] of Object.entries(event.multiValueQueryStringParameters ?? {})) {
    if ((values?.length ?? 0) > 1) {
      throw problems.invalid('A query parameter is given twice.', [
        { pointer: `query/${name}`, detail: 'may be given only once' },
      ]);
    }
  }
  const values = { ...event.queryStringParameters };
  assertReadable(values, 'query');
  return values;
}

function readFile(spec: OperationSpec, event: APIGatewayProxyEvent): { bytes: Buffer; mediaType: string } {
  if (spec.file === undefined) return { bytes: Buffer.alloc(0), mediaType: '' };
  const mediaType = mediaTypeOf(event.headers);
  if (mediaType === undefined || !spec.file.mediaTypes.includes(mediaType)) {
    throw problems.unsupportedMediaType(`Send one of: ${spec.file.mediaTypes.join(', ')}.`);
  }
  return { bytes: readBody(event, spec.file.limitBytes), mediaType };
}

/** A JSON list would pass a schema whose members are all optional. */
function readJsonObject(event: APIGatewayProxyEvent): unknown {
  const value = readJson(event);
  assertReadable(value, 'body');
  if (Array.isArray(value)) throw problems.invalid('The body must be a JSON object.');
  return value;
}

function readIdempotencyKey(event: APIGatewayProxyEvent): string | undefined {
  const key = header(event.headers, 'idempotency-key');
  if (key === undefined) return undefined;
  if (!idempotencyKeyForm.test(key)) {
    throw problems.invalid('Idempotency-Key must be 1 to 128 visible ASCII characters.');
  }
  return key;
}
