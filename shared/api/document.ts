import { idempotencyKeyForm, idForm } from '../http/api-forms.ts';
import type { AnswerSpec, OperationSpec } from '../http/operation.ts';
import { problemKinds } from '../http/problem-kinds.ts';
import { type Method, type Route, routes } from '../http/routes.ts';
import { components, schemaOf } from './components.ts';
import { operations } from './operations.ts';

/** A JSON object under construction. */
type Members = Readonly<Record<string, unknown>>;

const tags: Readonly<Record<string, string>> = {
  Places:
    'Sites (hospitals, clinics) and their care units. Devices are placed in them; permissions are scoped to them.',
  Enrollment: 'Tokens that let devices enroll over EST (RFC 7030).',
  Devices: 'The devices of the network: pre-registered, enrolled, revoked.',
  Imports: 'Pre-register devices from a list, thousands of rows at a time.',
  Commands: 'What devices are asked to do, and the results.',
  Approvals: 'Requests that need a second person. Destructive actions take two people.',
  Reviews: 'What one person did alone in an emergency (break-glass), for another to review within 72 hours.',
  Limits: 'How many devices destructive or disruptive actions may reach within an hour.',
  Brake: 'Stops everything destructive or disruptive at once. One person pulls it, two release it.',
  'Clinical interlock':
    'Whether a device is in use: signals from other systems, and trials of other settings on past decisions.',
  Rollouts: 'Update many devices in waves: plan, approve with a second person, watch, stop.',
  Audit: 'Who did what, when, and by which policy.',
  Description: 'The API itself.',
};

/**
 * The OpenAPI 3.1 document of the management API, made from the routes and from the schemas that requests are validated
 * with.
 *
 * @param serverUrl where the API is, up to and including the stage (`/v1`); relative to where the document is read
 */
export function openApiDocument(serverUrl: string): Members {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = paths[route.path] ?? {};
    path[route.method.toLowerCase()] = describe(route, operations[route.operation]);
    paths[route.path] = path;
  }
  return {
    openapi: '3.1.0',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: {
      title: 'Wardline management API',
      version: '1',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description: [
        'Device management for hospitals.',
        '',
        'Send an access token of the configured OpenID provider with every request: `Authorization: Bearer …`. Cedar',
        'policies decide, for each action and resource, what the caller may do.',
        '',
        'Errors are problem documents (RFC 9457, `application/problem+json`) with a stable `type`; `errors` points to each',
        'invalid value by JSON Pointer. Lists are paged: pass `next` as `cursor` until it is absent. Where an operation',
        'needs `If-Match`, send the `ETag` of the resource as last read.',
      ].join('\n'),
    },
    servers: [{ url: serverUrl }],
    security: [{ bearer: [] }],
    tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: { ...components(), Problem: problemSchema },
    },
  };
}

const problemSchema = {
  type: 'object',
  required: ['type', 'title', 'status'],
  properties: {
    type: { type: 'string', format: 'uri-reference', description: 'Kind of problem; stable' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'What went wrong, for people' },
    instance: {
      type: 'string',
      description: 'Identifies this occurrence; find it in the logs by the request id it contains',
    },
    errors: {
      type: 'array',
      description: 'One entry for each invalid value',
      items: {
        type: 'object',
        required: ['pointer', 'detail'],
        properties: {
          pointer: { type: 'string', description: 'JSON Pointer into the body, or `query/<name>`' },
          detail: { type: 'string' },
        },
      },
    },
    policyIds: { type: 'array', items: { type: 'string' }, description: 'The policies that decided' },
    reasons: { type: 'array', items: { type: 'string' }, description: 'Why they decided so' },
  },
};

function describe(route: Route, spec: OperationSpec): Members {
  const parameters = [...pathParameters(route.path), ...queryParameters(spec), ...headerParameters(spec)];
  const requestBody = bodyOf(spec);
  return {
    operationId: route.operation,
    summary: spec.summary,
    ...(spec.description === undefined ? {} : { description: spec.description }),
    tags: [spec.tag],
    ...(route.public ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(requestBody === undefined ? {} : { requestBody }),
    responses: { ...answersOf(spec), ...problemsOf(route, spec) },
  };
}

function pathParameters(path: string): Members[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    description: segments[name] ?? name,
    schema: { type: 'string', pattern: idForm.source },
  }));
}

/** What the variable segments of paths are. A test holds this list against the routes. */
export const segments: Readonly<Record<string, string>> = {
  siteId: 'Id of a site, `s-…`',
  unitId: 'Id of a care unit of the site, `u-…`',
  tokenId: 'Id of an enrollment token, `t-…`; not the secret',
  deviceId: 'Id of a device, `d-…`; derived from its serial number',
  importId: 'Id of an import, `i-…`',
  commandId: 'Id of a command of the device',
  approvalId: 'Id of an approval request, `ap-…`',
  reviewId: 'Id of a review, `rv-…`',
  rolloutId: 'Id of a rollout, `ro-…`',
  kind: 'Kind of signal: `ehr-occupancy` or `session`',
};

function queryParameters({ query }: OperationSpec): Members[] {
  if (query === undefined) return [];
  const { properties = {}, required = [] } = schemaOf(query, 'input');
  const needed = new Set(required as string[]);
  return Object.entries(properties as Record<string, Members>).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    ...(needed.has(name) ? { required: true } : {}),
    ...(description === undefined ? {} : { description }),
    // A query carries text; what a client writes into it is a number all the same.
    schema: schema['type'] === 'integer' ? { ...schema, default: Number(schema['default']) } : schema,
  }));
}

const ifMatch = {
  name: 'If-Match',
  in: 'header',
  required: true,
  description: 'The `ETag` of the resource as last read, or `*` to overwrite any version',
  schema: { type: 'string', pattern: '^(\\*|"[0-9]{1,15}")$' },
};

const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'A key chosen by the client; repeating it within 24 hours returns the same result',
  schema: { type: 'string', pattern: idempotencyKeyForm.source },
};

function headerParameters(spec: OperationSpec): Members[] {
  return [...(spec.conditional ? [ifMatch] : []), ...(spec.idempotencyKey ? [idempotencyKey] : [])];
}

function bodyOf({ body, bodyOptional, file }: OperationSpec): Members | undefined {
  if (body !== undefined) {
    return { required: bodyOptional !== true, content: { 'application/json': { schema: schemaOf(body, 'input') } } };
  }
  if (file === undefined) return undefined;
  const description = `At most ${file.limitBytes} bytes`;
  const schemaFor = (type: string): Members =>
    type === 'application/json'
      ? { type: ['array', 'object'], items: { type: 'object' }, description }
      : { type: 'string', description };
  const content = file.mediaTypes.map((type) => [type, { schema: schemaFor(type) }] as const);
  return { required: true, content: Object.fromEntries(content) };
}

function answersOf({ answer, also = [] }: OperationSpec): Members {
  return Object.fromEntries([answer, ...also].map((each) => [each.status, answerOf(each)]));
}

function answerOf(answer: AnswerSpec): Members {
  const header = (description: string) => ({ description, schema: { type: 'string' } });
  const headers = {
    ...(answer.etag ? { ETag: header('Version of the resource, for `If-Match`') } : {}),
    ...(answer.location ? { Location: header('Path of the new resource') } : {}),
  };
  const schema = answer.schema === undefined ? { type: 'object' } : schemaOf(answer.schema, 'output');
  return {
    description: answer.description,
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(answer.status === 204 ? {} : { content: { [answer.mediaType ?? 'application/json']: { schema } } }),
  };
}

const hasInput: readonly Method[] = ['POST', 'PUT', 'PATCH'];

function problemsOf(route: Route, spec: OperationSpec): Members {
  const statuses = new Set<number>([500, 503, ...(spec.problems ?? [])]);
  if (!route.public) for (const status of [401, 403, 429]) statuses.add(status);
  if (spec.query !== undefined || hasInput.includes(route.method)) statuses.add(400);
  if (route.path.includes('{')) statuses.add(404);
  if (spec.conditional) for (const status of [412, 428]) statuses.add(status);
  if (spec.body !== undefined) for (const status of [413, 415]) statuses.add(status);
  return Object.fromEntries(
    [...statuses]
      .sort((a, b) => a - b)
      .map((status) => [
        status,
        {
          description: problemKinds.find((kind) => kind.status === status)?.title ?? 'Problem',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      ]),
  );
}
