import type { Json } from '../cloud.ts';
import { type BoundPiece, type Matcher, matcher, type Piece, parsePattern } from './glob.ts';

/**
 * AWS IoT policies: what a certificate may do over MQTT. A document is compiled once; `bindPolicies` fills in the
 * variables of one connection and leaves tests that a message passes in well under a microsecond.
 * https://docs.aws.amazon.com/iot/latest/developerguide/iot-policies.html
 */
export interface CompiledPolicy {
  readonly name: string;
  readonly statements: readonly Statement[];
}

interface Statement {
  readonly allow: boolean;
  readonly actions: readonly Matcher[];
  readonly resources: readonly (readonly Piece[])[];
  readonly conditions: readonly Condition[];
}

interface Condition {
  readonly operator: keyof typeof operators;
  readonly quantifier: 'one' | 'ForAllValues' | 'ForAnyValue';
  readonly key: string;
  readonly values: readonly (readonly Piece[])[];
}

/** The values of one connection. A variable without a value makes the statement that names it not apply. */
export interface PolicyContext {
  /** e.g. `iot:Connection.Thing.ThingName`; undefined when the connection has no such value. */
  variable(name: string): string | undefined;
  /** Keys with several values, e.g. `iot:ConnectAttributes`. */
  list(name: string): readonly string[] | undefined;
}

/** What one connection may do. */
export interface BoundPolicies {
  /** e.g. `allows('iot:Publish', 'arn:aws:iot:us-east-1:000000000000:topic/a/b')`. Deny wins, and nothing said means no. */
  allows(action: string, resource: string): boolean;
}

const ACTIONS = ['iot:connect', 'iot:publish', 'iot:subscribe', 'iot:receive', 'iot:retainpublish'] as const;

/**
 * Characters that could turn a name into a wider pattern: `*` and `?` in policies, `+` and `#` in topic filters, `$` in
 * variables and reserved topics. A value with one of them is never put into an Allow.
 */
const WIDENING = /[*?+#$]/;

const VARIABLES: readonly RegExp[] = [
  /^iot:ClientId$/i,
  /^iot:Connection\.Thing\.(ThingName|ThingTypeName|IsAttached)$/i,
  /^iot:Connection\.Thing\.Attributes\[[a-zA-Z0-9_.,@/:#-]+\]$/i,
  /^iot:Certificate\.(Subject|Issuer)\.[A-Za-z]+$/i,
  /^iot:Certificate\.(SerialNumber|AvailableKeys)$/i,
  /^iot:ConnectAttributes$/i,
  /^aws:SourceIp$/i,
];

/** Compiles a policy document (an object, or its JSON text). Throws a sentence that names the fault. */
export function compilePolicy(name: string, document: Json): CompiledPolicy {
  const fail = (problem: string): never => {
    throw new Error(`IoT policy ${name}: ${problem}`);
  };
  let parsed: Json = document;
  if (typeof document === 'string') {
    try {
      parsed = JSON.parse(document) as Json;
    } catch (error) {
      fail(`not JSON: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (!isObject(parsed)) return fail('not a JSON object');
  const version = parsed['Version'];
  if (version !== '2012-10-17') fail(`Version must be 2012-10-17, not ${JSON.stringify(version)}`);
  const statements = asList(parsed['Statement']).map((statement) => compileStatement(statement, fail));
  if (statements.length === 0) fail('no statement');
  return { name, statements };
}

/** Fills in the variables of a connection. */
export function bindPolicies(policies: readonly CompiledPolicy[], context: PolicyContext): BoundPolicies {
  const byAction = new Map<string, { allow: Matcher[]; deny: Matcher[] }>();
  for (const action of ACTIONS) byAction.set(action, { allow: [], deny: [] });
  for (const policy of policies) {
    for (const statement of policy.statements) {
      if (!statement.conditions.every((condition) => conditionHolds(condition, context))) continue;
      const resources = statement.resources.flatMap((pieces) => {
        const bound = bind(pieces, context, statement.allow);
        return bound === undefined ? [] : [matcher(bound)];
      });
      if (resources.length === 0) continue;
      for (const [action, lists] of byAction) {
        if (statement.actions.some((matches) => matches(action)))
          lists[statement.allow ? 'allow' : 'deny'].push(...resources);
      }
    }
  }
  return {
    allows(action, resource) {
      const lists = byAction.get(action.toLowerCase());
      if (lists === undefined) return false;
      return lists.allow.some((matches) => matches(resource)) && !lists.deny.some((matches) => matches(resource));
    },
  };
}

function compileStatement(statement: Json, fail: (problem: string) => never): Statement {
  if (!isObject(statement)) return fail('a statement is not an object');
  for (const key of Object.keys(statement)) {
    if (!['Sid', 'Effect', 'Action', 'Resource', 'Condition'].includes(key)) fail(`${key} is not emulated`);
  }
  const effect = statement['Effect'];
  if (effect !== 'Allow' && effect !== 'Deny') return fail('Effect must be Allow or Deny');
  const actions = strings(statement['Action'], 'Action', fail);
  for (const action of actions) if (action !== '*' && !/^iot:/i.test(action)) fail(`${action} is no IoT action`);
  const resources = strings(statement['Resource'], 'Resource', fail);
  return {
    allow: effect === 'Allow',
    // Action names are compared without regard to case.
    actions: actions.map((action) => matcher(literalPieces(parse(action.toLowerCase(), fail), fail))),
    resources: resources.map((resource) => parse(resource, fail)),
    conditions: compileConditions(statement['Condition'], fail),
  };
}

function compileConditions(conditions: Json | undefined, fail: (problem: string) => never): Condition[] {
  if (conditions === undefined) return [];
  if (!isObject(conditions)) return fail('Condition must be an object');
  return Object.entries(conditions).flatMap(([written, keys]) => {
    const [quantifier, operator] = written.includes(':')
      ? (written.split(':') as [string, string])
      : (['one', written] as const);
    if (quantifier !== 'one' && quantifier !== 'ForAllValues' && quantifier !== 'ForAnyValue') {
      return fail(`condition ${written} is not emulated`);
    }
    if (!isOperator(operator)) return fail(`condition operator ${operator} is not emulated`);
    if (!isObject(keys)) return fail(`condition ${written} must hold keys`);
    return Object.entries(keys).map(([key, values]) => {
      checkVariable(key, fail);
      return { operator, quantifier, key, values: asList(values).map((value) => parse(scalar(value, fail), fail)) };
    });
  });
}

/** Each compares one actual value with one bound pattern. */
const operators = {
  Bool: (actual: string, wanted: readonly BoundPiece[]) => actual.toLowerCase() === plain(wanted).toLowerCase(),
  StringEquals: (actual: string, wanted: readonly BoundPiece[]) => actual === plain(wanted),
  StringNotEquals: (actual: string, wanted: readonly BoundPiece[]) => actual === plain(wanted),
  StringEqualsIgnoreCase: (actual: string, wanted: readonly BoundPiece[]) =>
    actual.toLowerCase() === plain(wanted).toLowerCase(),
  StringLike: (actual: string, wanted: readonly BoundPiece[]) => matcher(wanted)(actual),
  StringNotLike: (actual: string, wanted: readonly BoundPiece[]) => matcher(wanted)(actual),
} as const;

function isOperator(name: string): name is keyof typeof operators {
  return Object.hasOwn(operators, name);
}

function conditionHolds(condition: Condition, context: PolicyContext): boolean {
  const compare = operators[condition.operator];
  const negated = condition.operator === 'StringNotEquals' || condition.operator === 'StringNotLike';
  const bound = condition.values.flatMap((pieces) => {
    const one = bind(pieces, context, true);
    return one === undefined ? [] : [one];
  });
  const matchesSome = (actual: string): boolean => bound.some((pattern) => compare(actual, pattern)) !== negated;
  if (condition.quantifier === 'one') {
    const actual = context.variable(condition.key);
    return actual === undefined ? negated : matchesSome(actual);
  }
  const actuals = context.list(condition.key) ?? [];
  return condition.quantifier === 'ForAllValues' ? actuals.every(matchesSome) : actuals.some(matchesSome);
}

/** Undefined when a variable has no value, or one that an Allow must not take in. */
function bind(pieces: readonly Piece[], context: PolicyContext, allow: boolean): BoundPiece[] | undefined {
  const bound: BoundPiece[] = [];
  for (const piece of pieces) {
    if (piece.kind !== 'variable') {
      bound.push(piece);
      continue;
    }
    const value = context.variable(piece.name);
    if (value === undefined || value === '' || (allow && WIDENING.test(value))) return undefined;
    // As text, so that nothing in it is a wildcard.
    bound.push({ kind: 'text', text: value });
  }
  return bound;
}

function plain(pieces: readonly BoundPiece[]): string {
  return pieces.map((piece) => (piece.kind === 'text' ? piece.text : piece.kind === 'any' ? '*' : '?')).join('');
}

function parse(pattern: string, fail: (problem: string) => never): Piece[] {
  let pieces: Piece[] = [];
  try {
    pieces = parsePattern(pattern);
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error));
  }
  for (const piece of pieces) if (piece.kind === 'variable') checkVariable(piece.name, fail);
  return pieces;
}

function literalPieces(pieces: readonly Piece[], fail: (problem: string) => never): BoundPiece[] {
  return pieces.map((piece) => (piece.kind === 'variable' ? fail('a variable cannot stand in Action') : piece));
}

function checkVariable(name: string, fail: (problem: string) => never): void {
  if (!VARIABLES.some((known) => known.test(name))) fail(`variable ${name} is not emulated`);
}

function strings(value: Json | undefined, name: string, fail: (problem: string) => never): string[] {
  const list = asList(value);
  if (list.length === 0) fail(`${name} is missing`);
  return list.map((entry) => (typeof entry === 'string' ? entry : fail(`${name} must hold strings`)));
}

function scalar(value: Json, fail: (problem: string) => never): string {
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') return String(value);
  return fail('a condition value must be a string, number or boolean');
}

function asList(value: Json | undefined): Json[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
