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
    'Sites (hospitals, clinics) and their care units. Devices are placed in them, permissions are limited to them.',
  Enrollment: 'Tokens that let devices enrol over EST (RFC 7030).',
  Devices: 'The devices of the network: pre-registered, enrolled, revoked.',
  Imports: 'Pre-registration of whole lists, thousands of rows at a time.',
  Commands: 'What devices are asked to do, and what became of it.',
  Approvals: 'What waits for a second person. Destructive commands are done by two.',
  Reviews: 'What one person did alone in an emergency, for another one to look at within 72 hours.',
  Limits: 'To how many devices something destructive may be done within an hour.',
  Brake: 'Stops everything destructive or disruptive at once. One person pulls it, two release it.',
  'Clinical interlock':
    'Whether a device is in use: signals of other systems, and what other rules would have decided.',
  Rollouts: 'Updates that go to many devices in waves: prepared, approved by a second person, watched, stopped.',
  Audit: 'Who changed what.',
  Description: 'The API about itself.',
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
        'Every request carries an access token of the configured OpenID provider as `Authorization: Bearer …`. What the',
        'caller may do is decided by Cedar policies for each action and resource.',
        '',
        'Errors are problem documents (RFC 9457, `application/problem+json`) with a stable `type`; `errors` names each',
        'value that is wrong by JSON Pointer. Lists are paged: pass `next` as `cursor` until there is none. Updates need',
        '`If-Match` with the `ETag` that was read.',
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
    type: { type: 'string', format: 'uri-reference', description: 'Which kind of problem; stable' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'What happened, for the reader' },
    instance: { type: 'string', description: 'Names this occurrence; the log has it under the request id in it' },
    errors: {
      type: 'array',
      description: 'One entry for each value that is wrong',
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
    reasons: { type: 'array', items: { type: 'string' }, description: 'Their reasons' },
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
  tokenId: 'Id of an enrolment token, `t-…`; not the token itself',
  deviceId: 'Id of a device, `d-…`; it follows from the serial number',
  importId: 'Id of an import, `i-…`',
  commandId: 'Id of a command of the device',
  approvalId: 'Id of a request, `ap-…`',
  reviewId: 'Id of a review, `rv-…`',
  rolloutId: 'Id of a rollout, `ro-…`',
  kind: 'What the signal tells: `ehr-occupancy` or `session`',
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
  description: 'The `ETag` that was read, or `*` to overwrite whatever is there',
  schema: { type: 'string', pattern: '^(\\*|"[0-9]{1,15}")$' },
};

const idempotencyKey = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'Chosen by the client; the same key within 24 hours gives the same result',
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
    ...(answer.etag ? { ETag: header('For `If-Match` of the next change') } : {}),
    ...(answer.location ? { Location: header('Where the new resource is') } : {}),
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
