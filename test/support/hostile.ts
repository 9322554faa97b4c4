import fc from 'fast-check';
import { components } from '../../shared/api/components.ts';

/** A JSON Schema, as far as the API's schemas use it. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
}

/** Texts that have broken programs: names of JavaScript, control characters, half characters, days that are none, and long ones. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    ...['', ' ', '*', '__proto__', 'constructor', 'toString', '\u0000', '\ud800', 'a\udc00b', '\ufeff', '\u202e'],
    ...['organization', '../../etc/passwd', 'undefined', 'NaN', '-1', '1e3', '22:00', '24:00', 'x'.repeat(10_000)],
    ...['2026-02-30T00:00:00Z', '2026-13-01T00:00:00Z', '2026-01-01T10:00:00+01', '9999-12-31T23:59:59Z'],
    ...['0000-01-01T00:00:00Z', '+275760-09-13T00:00:00.001Z', '2027-02-30T18:00', '+02:00', 'Etc/GMT+25'],
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
);

/** JSON texts that are not what a schema expects: numbers that no table holds, deep nests, members that shadow. */
export const hostileJson: fc.Arbitrary<string> = fc.oneof(
  hostileText.map((text) => JSON.stringify(text)),
  fc.constantFrom(
    ...['null', 'true', '[]', '{}', '[[]]', '{"__proto__":{"x":1}}', '{"constructor":null}', '"\\ud800"'],
    ...['1e999', '-1e999', '1e300', '1e-300', '5e-324', '-0', '-1', '0', '0.5', '9007199254740993'],
    ...['123456789012345678901234567890', `${'['.repeat(5_000)}${']'.repeat(5_000)}`],
  ),
);

/**
 * JSON texts close to what a schema accepts: most are right but for one or two places, so that they get as far as they can.
 *
 * @param known values that name something which is there, for members that are ids; asked anew for each text
 */
export function nearly(schema: JsonSchema, known: () => readonly string[], depth = 0): fc.Arbitrary<string> {
  const right = rightFor(resolved(schema), known, depth);
  return fc.oneof({ weight: 60, arbitrary: right }, { weight: 1, arbitrary: hostileJson });
}

/** An example that is right, with something hostile in one place. */
export function spoilt(example: unknown): fc.Arbitrary<string> {
  const paths = pathsOf(example, []);
  return fc
    .tuple(fc.constantFrom(...paths), hostileJson)
    .map(([path, hostile]) => JSON.stringify(replaced(example, path)).replace(JSON.stringify(mark), () => hostile));
}

const mark = 'the place that is spoilt';

function pathsOf(value: unknown, path: readonly string[]): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([name, member]) => pathsOf(member, [...path, name]))];
}

function replaced(value: unknown, [first, ...rest]: readonly string[]): unknown {
  if (first === undefined) return mark;
  if (Array.isArray(value)) return value.map((entry, at) => (String(at) === first ? replaced(entry, rest) : entry));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, name === first ? replaced(member, rest) : member]),
  );
}

const named = components() as Readonly<Record<string, JsonSchema>>;

function resolved(schema: JsonSchema): JsonSchema {
  return schema.$ref === undefined ? schema : (named[schema.$ref.split('/').at(-1) ?? ''] ?? {});
}

function rightFor(schema: JsonSchema, known: () => readonly string[], depth: number): fc.Arbitrary<string> {
  const choices = schema.anyOf ?? schema.oneOf;
  if (schema.const !== undefined) return fc.constant(JSON.stringify(schema.const));
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum).map((value) => JSON.stringify(value));
  if (choices !== undefined) return fc.oneof(...choices.map((choice) => nearly(choice, known, depth + 1)));
  if (depth > 8) return fc.constant('null');
  switch (schema.type) {
    case 'object':
      return objectFor(schema, known, depth);
    case 'array':
      return fc
        .array(nearly(schema.items ?? {}, known, depth + 1), { maxLength: 3 })
        .map((entries) => `[${entries.join(',')}]`);
    case 'boolean':
      return fc.constantFrom('true', 'false');
    case 'integer':
    case 'number':
      return numberFor(schema);
    case 'string':
      return textFor(schema, known).map((text) => JSON.stringify(text));
    default:
      return hostileJson;
  }
}

function objectFor(schema: JsonSchema, known: () => readonly string[], depth: number): fc.Arbitrary<string> {
  const required = new Set(schema.required ?? []);
  const members = Object.entries(schema.properties ?? {}).map(([name, member]) => {
    const value = nearly(member, known, depth + 1).map((text) => `${JSON.stringify(name)}:${text}`);
    return required.has(name) ? value : fc.option(value, { nil: undefined });
  });
  const names = fc.constantFrom('__proto__', 'constructor', 'extra', '');
  const intruder = fc.tuple(names, hostileJson).map(([name, value]) => `"${name}":${value}`);
  const stranger = fc.oneof({ weight: 40, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: intruder });
  return fc
    .tuple(fc.tuple(...members), stranger)
    .map(([given, extra]) => `{${[...given, extra].filter((member) => member !== undefined).join(',')}}`);
}

function numberFor({ type, minimum = 0, maximum = 1e15 }: JsonSchema): fc.Arbitrary<string> {
  const whole = fc.integer({ min: Math.ceil(minimum), max: Math.floor(maximum) });
  const broken = fc.double({ min: minimum, max: maximum, noNaN: true });
  return (type === 'integer' ? whole : fc.oneof({ weight: 9, arbitrary: whole }, { weight: 1, arbitrary: broken })).map(
    (value) => JSON.stringify(value),
  );
}

function textFor(schema: JsonSchema, known: () => readonly string[]): fc.Arbitrary<string> {
  if (schema.format === 'date-time') {
    const ahead = fc.constantFrom(-3_600_000, 60_000, 3_600_000, 86_400_000);
    return ahead.map((milliseconds) => new Date(Date.now() + milliseconds).toISOString());
  }
  const words = fc.constantFrom(
    'America/Chicago',
    '22:00',
    '04:00',
    '2027-11-24T18:00',
    'Nobody knows why',
    'c2lnbmVk',
  );
  const ids = fc.nat(99).map((at) => known()[at % known().length] ?? 'none');
  if (schema.pattern !== undefined) return fc.oneof(words, ids, matching(schema.pattern));
  const most = Math.min(schema.maxLength ?? 20, 20);
  return fc.oneof(words, ids, fc.string({ unit: 'binary', minLength: 1, maxLength: most }));
}

const patterns = new Map<string, fc.Arbitrary<string>>();

/** Made once for each pattern: that takes longer than all texts of it. */
function matching(pattern: string): fc.Arbitrary<string> {
  const made = patterns.get(pattern) ?? fc.stringMatching(new RegExp(pattern, 'u'));
  patterns.set(pattern, made);
  return made;
}
