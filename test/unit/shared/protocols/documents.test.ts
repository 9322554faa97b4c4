import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { commandTraits, parameterSchemas } from '../../../../shared/commands/types.ts';
import { asyncApiDocument, protocolFiles, schemaFiles } from '../../../../shared/protocols/agent/documents.ts';
import { parseCheckIn } from '../../../../shared/protocols/agent/parse.ts';

const docs = join(import.meta.dirname, '..', '..', '..', '..', 'docs');
const ajv = new Ajv.default({
  strict: true,
  formats: { 'date-time': (text: string) => !Number.isNaN(Date.parse(text)) },
});

test('docs/protocols holds exactly what the code says (npm run docs:protocols writes it)', () => {
  const files = protocolFiles();
  for (const [path, text] of Object.entries(files))
    expect(readFileSync(join(docs, 'protocols', path), 'utf8')).toBe(text);
  const present = readdirSync(join(docs, 'protocols'), { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.json'),
  );
  expect(present.sort()).toEqual(Object.keys(files).sort());
});

test('every schema is a valid JSON Schema', () => {
  for (const schema of Object.values(schemaFiles)) expect(() => ajv.compile(schema)).not.toThrow();
});

test('what the code accepts as a check-in, the schema accepts too', () => {
  const matches = ajv.compile(schemaFiles['check-in.schema.json'] ?? {});
  const time = fc
    .date({ noInvalidDate: true, min: new Date(0), max: new Date('2100-01-01') })
    .map((date) => date.toISOString());
  /** Mostly what is right, sometimes anything. */
  const mostly = (right: fc.Arbitrary<unknown>) =>
    fc.oneof({ weight: 9, arbitrary: right }, { weight: 1, arbitrary: fc.jsonValue() });
  const object = mostly(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 })));
  const result = fc.record(
    {
      commandId: mostly(fc.constant('5-01ARZ3NDEKTSV4RRFFQ69G5FAV')),
      status: mostly(fc.constantFrom('acknowledged', 'failed', 'deferred')),
      reason: mostly(fc.string({ maxLength: 220 })),
      until: mostly(time),
      detail: object,
    },
    { requiredKeys: ['commandId', 'status'] },
  );
  const message = fc.record(
    {
      at: mostly(time),
      clientToken: mostly(fc.string({ maxLength: 70 })),
      inventory: object,
      posture: object,
      clinical: mostly(fc.record({ state: mostly(fc.constantFrom('idle', 'in-use', 'unknown')), at: mostly(time) })),
      desiredVersion: mostly(fc.maxSafeNat()),
      wake: mostly(fc.maxSafeNat()),
      results: mostly(fc.array(result, { maxLength: 3 })),
    },
    { requiredKeys: ['at'] },
  );
  let accepted = 0;
  fc.assert(
    fc.property(message, (value) => {
      try {
        parseCheckIn(Buffer.from(JSON.stringify(value)));
      } catch {
        return;
      }
      accepted += 1;
      expect(matches(JSON.parse(JSON.stringify(value)))).toBe(true);
    }),
    { numRuns: 500 },
  );
  expect(accepted).toBeGreaterThan(20);
});

test('every reference of the AsyncAPI document leads somewhere', () => {
  const document = asyncApiDocument();
  const references: string[] = [];
  JSON.stringify(document, (name, value: unknown) => {
    if (name === '$ref') references.push(String(value));
    return value;
  });
  expect(references.length).toBeGreaterThan(5);
  for (const reference of references) {
    const target = reference
      .slice(2)
      .split('/')
      .reduce<unknown>((part, name) => (part as Record<string, unknown> | undefined)?.[name], document);
    expect(target).toBeDefined();
  }
});

test('every command type is explained on the page', () => {
  const page = readFileSync(join(docs, 'protocols', 'agent.md'), 'utf8');
  for (const type of Object.keys(parameterSchemas)) expect(page).toContain(`| \`${type}\` |`);
  expect(Object.keys(commandTraits)).toEqual(Object.keys(parameterSchemas));
});

test('the examples on the page are valid', () => {
  const page = readFileSync(join(docs, 'protocols', 'agent.md'), 'utf8');
  const examples = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map(([, text]) => JSON.parse(text ?? ''));
  const files = ['check-in.schema.json', 'check-in-reply.schema.json', 'check-in-refusal.schema.json'];
  expect(examples).toHaveLength(files.length);
  for (const [n, file] of files.entries()) {
    const matches = ajv.compile(schemaFiles[file] ?? {});
    expect([file, matches(examples[n]), matches.errors]).toEqual([file, true, null]);
  }
});
