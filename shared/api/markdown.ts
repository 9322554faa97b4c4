import type { AnswerSpec, OperationSpec } from '../http/operation.ts';
import { problemKinds } from '../http/problem-kinds.ts';
import { type Route, routes } from '../http/routes.ts';
import { schemaOf } from './components.ts';
import { operations } from './operations.ts';

type Schema = Readonly<Record<string, unknown>>;

/** `docs/api.md`: the OpenAPI document for people who read. */
export function apiMarkdown(document: Schema): string {
  const info = document['info'] as { description: string };
  const tags = document['tags'] as { name: string; description: string }[];
  const { schemas } = document['components'] as { schemas: Record<string, Schema> };
  return [
    '# Management API',
    '',
    'This page is made from the OpenAPI document (`docs/openapi.json`, served at `/v1/openapi.json`) by `npm run docs:api`.',
    '',
    info.description,
    '',
    ...tags.flatMap((tag) => chapter(tag)),
    '## Problems',
    '',
    '| `type` | Status | Title | What to do |',
    '|---|---|---|---|',
    ...problemKinds.map(({ type, status, title, meaning }) => `| \`${type}\` | ${status} | ${title} | ${meaning} |`),
    '',
    '## Schemas',
    '',
    ...Object.entries(schemas).flatMap(([name, schema]) => [
      `### ${name}`,
      '',
      ...schemaLines(schema),
      '',
      ...exampleLines(schema),
    ]),
  ].join('\n');
}

function chapter(tag: { name: string; description: string }): string[] {
  const served = routes.filter((route) => operations[route.operation].tag === tag.name);
  return [
    `## ${tag.name}`,
    '',
    tag.description,
    '',
    ...served.flatMap((route) => section(route, operations[route.operation])),
  ];
}

function section(route: Route, spec: OperationSpec): string[] {
  const lines = [
    `### ${route.method} /v1${route.path}`,
    '',
    `${spec.summary}.${route.public ? ' No sign-in.' : ''}`,
    '',
  ];
  if (spec.description !== undefined) lines.push(spec.description, '');
  if (spec.query !== undefined) {
    const { properties = {}, required = [] } = schemaOf(spec.query, 'input') as {
      properties?: Record<string, Schema>;
      required?: string[];
    };
    lines.push('| Query | Value | |', '|---|---|---|');
    for (const [name, schema] of Object.entries(properties)) {
      const optional = required.includes(name) ? '' : '?';
      lines.push(
        `| \`${name}\`${optional} | ${cell(typeText(schema))} | ${cell(String(schema['description'] ?? ''))} |`,
      );
    }
    lines.push('');
  }
  if (spec.body !== undefined) lines.push(`Body: ${typeText(schemaOf(spec.body, 'input'))}`, '');
  if (spec.file !== undefined) {
    lines.push(`Body: ${spec.file.mediaTypes.join(', ')}; at most ${spec.file.limitBytes} bytes`, '');
  }
  if (spec.conditional) lines.push('Needs `If-Match`.', '');
  if (spec.idempotencyKey) lines.push('Takes `Idempotency-Key`.', '');
  lines.push(`Answer: ${[spec.answer, ...(spec.also ?? [])].map(answerLine).join('; or ')}`, '');
  return lines;
}

function answerLine({ status, description, schema, etag, location }: AnswerSpec): string {
  const headers = [...(etag ? ['`ETag`'] : []), ...(location ? ['`Location`'] : [])];
  const answer = schema === undefined ? '' : `: ${answerText(schema)}`;
  const words = description.slice(0, 1).toLowerCase() + description.slice(1);
  return `${status}, ${words}${answer}${headers.length === 0 ? '' : ` with ${headers.join(' and ')}`}`;
}

function answerText(schema: NonNullable<OperationSpec['answer']['schema']>): string {
  const converted = schemaOf(schema, 'output');
  const properties = converted['properties'] as Record<string, Schema> | undefined;
  const items = properties?.['items']?.['items'];
  return items === undefined ? typeText(converted) : `\`items\` of ${typeText(items as Schema)}, \`next\``;
}

function schemaLines(schema: Schema): string[] {
  const variants = schema['oneOf'] as Schema[] | undefined;
  if (variants !== undefined) return variants.flatMap((variant) => [...schemaLines(variant), '']);
  const properties = (schema['properties'] ?? {}) as Record<string, Schema>;
  const required = new Set((schema['required'] ?? []) as string[]);
  return [
    '| Member | Type | |',
    '|---|---|---|',
    ...Object.entries(properties).map(
      ([name, member]) =>
        `| \`${name}\`${required.has(name) ? '' : '?'} | ${cell(typeText(member))} | ${cell(String(member['description'] ?? ''))} |`,
    ),
  ];
}

function exampleLines({ examples = [] }: Schema): string[] {
  return (examples as unknown[]).flatMap((example) => ['```json', JSON.stringify(example, null, 2), '```', '']);
}

function typeText(schema: Schema): string {
  const reference = schema['$ref'];
  if (typeof reference === 'string') {
    const name = reference.split('/').at(-1) ?? '';
    return `[${name}](#${name.toLowerCase()})`;
  }
  if (schema['const'] !== undefined) return `\`${String(schema['const'])}\``;
  if (Array.isArray(schema['enum'])) return schema['enum'].map((value) => `\`${String(value)}\``).join(', ');
  const alternatives = (schema['anyOf'] ?? schema['oneOf']) as Schema[] | undefined;
  if (alternatives !== undefined) return alternatives.map(typeText).join(' or ');
  if (schema['type'] === 'array') return `list of ${typeText((schema['items'] ?? {}) as Schema)}`;
  if (schema['type'] === 'object' && schema['properties'] !== undefined) {
    const members = Object.entries(schema['properties'] as Record<string, Schema>);
    return members.length === 0
      ? 'empty object'
      : `{ ${members.map(([name, member]) => `${name}: ${typeText(member)}`).join(', ')} }`;
  }
  if (schema['format'] !== undefined) return String(schema['format']);
  return String(schema['type'] ?? 'any');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
