import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as v from 'valibot';
import { named } from '../../../../shared/api/components.ts';
import { openApiDocument, segments } from '../../../../shared/api/document.ts';
import { examples } from '../../../../shared/api/examples.ts';
import { apiMarkdown } from '../../../../shared/api/markdown.ts';
import { operations } from '../../../../shared/api/operations.ts';
import { ProblemError, problems } from '../../../../shared/http/problem.ts';
import { problemKinds } from '../../../../shared/http/problem-kinds.ts';
import { routes } from '../../../../shared/http/routes.ts';

const docs = join(import.meta.dirname, '../../../../docs');
const document = openApiDocument('/v1');
type Json = Record<string, unknown>;

describe('The OpenAPI document', () => {
  test('is what docs/ holds (npm run docs:api)', () => {
    expect(readFileSync(join(docs, 'openapi.json'), 'utf8')).toBe(`${JSON.stringify(document, null, 2)}\n`);
    expect(readFileSync(join(docs, 'api.md'), 'utf8')).toBe(`${apiMarkdown(document).trimEnd()}\n`);
  });

  test('describes every route, each under a name of its own', () => {
    const paths = document['paths'] as Record<string, Record<string, Json>>;
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId }]) => `${operationId} ${method.toUpperCase()} ${path}`),
    );
    expect(described.sort()).toEqual(
      routes.map(({ operation, method, path }) => `${operation} ${method} ${path}`).sort(),
    );
    expect(Object.keys(operations).sort()).toEqual(routes.map(({ operation }) => operation).sort());
  });

  test('has a chapter for each operation, also in docs/api.md', () => {
    const chapters = (document['tags'] as { name: string }[]).map(({ name }) => name);
    for (const { tag } of Object.values(operations)) expect(chapters).toContain(tag);
    const page = apiMarkdown(document);
    for (const { method, path } of routes) expect(page).toContain(`### ${method} /v1${path}`);
  });

  test('has only schemas that are JSON Schema, and references that lead somewhere', () => {
    const text = JSON.stringify(document);
    const { schemas } = document['components'] as { schemas: Record<string, Json> };
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g))
      expect(Object.keys(schemas)).toContain(name);
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    for (const [name, schema] of Object.entries(schemas))
      expect([name, ajv.validateSchema(schema)]).toEqual([name, true]);
    const valid = ajv.compile(schemas['SiteInput'] ?? {});
    expect(valid({ name: 'x', timeZone: 'UTC' })).toBe(true);
    expect(valid({ name: 'x' })).toBe(false);
  });

  test('shows for each named body what somebody would send, and it is accepted', () => {
    const inputs = Object.entries(named).filter(([, [, mode]]) => mode === 'input');
    expect(Object.keys(examples).sort()).toEqual(inputs.map(([name]) => name).sort());
    const { schemas } = document['components'] as { schemas: Record<string, Json> };
    for (const [name, [schema]] of inputs) {
      const [example] = (schemas[name]?.['examples'] ?? []) as unknown[];
      expect(example).toBeDefined();
      expect([name, v.safeParse(schema, example).issues]).toEqual([name, undefined]);
    }
    for (const id of JSON.stringify(examples).match(/\bd-[0-9a-z]+/g) ?? []) expect(id).toMatch(/^d-[0-9a-z]{24}$/);
  });

  test('says what each parameter is, and which must be given', () => {
    const used = new Set(routes.flatMap(({ path }) => [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)));
    expect(Object.keys(segments).sort()).toEqual([...used].sort());
    const paths = document['paths'] as Record<string, Record<string, { parameters?: Json[] }>>;
    const exported = paths['/audit/archive']?.['get']?.parameters ?? [];
    expect(exported.map(({ name, required = false }) => [name, required])).toEqual([
      ['from', true],
      ['to', true],
      ['site', false],
      ['cursor', false],
    ]);
    const listed = paths['/devices']?.['get']?.parameters ?? [];
    expect(listed.find(({ name }) => name === 'limit')?.['schema']).toEqual({
      type: 'integer',
      minimum: 1,
      maximum: 100,
      default: 50,
    });
  });

  test('has no pattern that JSON Schema in other languages does not read', () => {
    for (const [, pattern = ''] of JSON.stringify(document).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)) {
      expect(JSON.parse(pattern)).not.toMatch(/\\p\{/);
      expect(() => new RegExp(JSON.parse(pattern), 'u')).not.toThrow();
    }
  });

  test('asks for sign-in everywhere but where the route is public', () => {
    const paths = document['paths'] as Record<string, Record<string, Json>>;
    for (const route of routes) {
      const operation = paths[route.path]?.[route.method.toLowerCase()];
      expect([route.operation, operation?.['security']]).toEqual([route.operation, 'public' in route ? [] : undefined]);
    }
  });
});

describe('problemKinds', () => {
  test('has every kind that the code makes', () => {
    const made = [
      problems.invalid('x'),
      problems.unauthenticated('x'),
      problems.forbidden('x'),
      problems.notFound('x'),
      problems.conflict('x'),
      problems.preconditionFailed('x'),
      problems.tooLarge('x', 1),
      problems.unsupportedMediaType('x'),
      problems.tooManyRequests('x', 1),
      problems.unavailable('x'),
    ];
    expect(made).toHaveLength(Object.keys(problems).length);
    for (const error of made) {
      expect(error).toBeInstanceOf(ProblemError);
      const { type, title, status } = error.problem;
      expect(problemKinds).toContainEqual(expect.objectContaining({ type, title, status }));
    }
  });
});
