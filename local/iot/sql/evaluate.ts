import type { Json } from '../../cloud.ts';
import { callFunction, type RuleMessage, type Value } from './functions.ts';
import type { BinaryOperator, Expression, Statement } from './parse.ts';

/** What a rule's statement makes of a message. `raw` is the message itself: `SELECT *` of something that is not JSON. */
export type Selection =
  | { readonly kind: 'json'; readonly value: Json }
  | { readonly kind: 'raw'; readonly value: Buffer };

/** A message with its payload read at most once, and only when an expression asks for it. */
export class MessageContext {
  readonly message: RuleMessage;
  #parsed: { readonly value: Value } | undefined;

  constructor(message: RuleMessage) {
    this.message = message;
  }

  /** The payload as JSON; undefined when it is none. */
  payload(): Value {
    this.#parsed ??= { value: parseJson(this.message.payload) };
    return this.#parsed.value;
  }
}

/** The result of a statement for a message that FROM let in; undefined when WHERE keeps it out. */
export function select(statement: Statement, context: MessageContext): Selection | undefined {
  if (statement.where !== undefined && evaluate(statement.where, context) !== true) return undefined;
  const [first] = statement.items;
  if (statement.items.length === 1 && first?.kind === 'all') {
    const payload = context.payload();
    return payload === undefined ? { kind: 'raw', value: context.message.payload } : { kind: 'json', value: payload };
  }
  // A plain object whose keys come from devices: no inherited names.
  const result: Record<string, Json> = Object.create(null) as Record<string, Json>;
  for (const item of statement.items) {
    if (item.kind === 'all') {
      const payload = context.payload();
      if (isObject(payload)) Object.assign(result, payload);
      continue;
    }
    const value = evaluate(item.expression, context);
    if (value !== undefined) result[item.name] = value;
  }
  return { kind: 'json', value: result };
}

/** The value of an expression for a message. What cannot be computed is undefined, as in IoT SQL. */
export function evaluate(expression: Expression, context: MessageContext): Value {
  switch (expression.kind) {
    case 'literal':
      return expression.value;
    case 'everything':
      return context.payload();
    case 'path':
      return follow(context.payload(), expression.steps);
    case 'unary': {
      const operand = evaluate(expression.operand, context);
      return typeof operand === 'boolean' ? !operand : undefined;
    }
    case 'call': {
      const [first] = expression.arguments;
      if (expression.name === 'encode' && first?.kind === 'everything')
        return context.message.payload.toString('base64');
      return callFunction(
        expression.name,
        expression.arguments.map((argument) => evaluate(argument, context)),
        context.message,
      );
    }
    case 'binary':
      return combine(expression.operator, expression, context);
  }
}

function combine(
  operator: BinaryOperator,
  { left, right }: { left: Expression; right: Expression },
  context: MessageContext,
): Value {
  const first = evaluate(left, context);
  if (operator === 'and') return first === false ? false : both(first, evaluate(right, context), (a, b) => a && b);
  if (operator === 'or') return first === true ? true : both(first, evaluate(right, context), (a, b) => a || b);
  const second = evaluate(right, context);
  if (first === undefined || second === undefined) return undefined;
  switch (operator) {
    case '=':
      return same(first, second);
    case '<>':
      return !same(first, second);
    case '<':
    case '<=':
    case '>':
    case '>=':
      return ordered(operator, first, second);
    case '+':
      if (typeof first === 'string' || typeof second === 'string') return `${scalar(first)}${scalar(second)}`;
      return arithmetic(first, second, (a, b) => a + b);
    case '-':
      return arithmetic(first, second, (a, b) => a - b);
    case '*':
      return arithmetic(first, second, (a, b) => a * b);
    case '/':
      return arithmetic(first, second, (a, b) => a / b);
    case '%':
      return arithmetic(first, second, (a, b) => a % b);
  }
}

function both(left: Value, right: Value, combineBooleans: (left: boolean, right: boolean) => boolean): Value {
  return typeof left === 'boolean' && typeof right === 'boolean' ? combineBooleans(left, right) : undefined;
}

function same(left: Json, right: Json): boolean {
  if (typeof left === 'object' || typeof right === 'object') return JSON.stringify(left) === JSON.stringify(right);
  if (typeof left === typeof right) return left === right;
  const numbers = [asNumber(left), asNumber(right)];
  return numbers[0] !== undefined && numbers[0] === numbers[1];
}

function ordered(operator: '<' | '<=' | '>' | '>=', left: Json, right: Json): Value {
  const order =
    typeof left === 'string' && typeof right === 'string'
      ? compareText(left, right)
      : compareNumbers(asNumber(left), asNumber(right));
  if (order === undefined) return undefined;
  if (operator === '<') return order < 0;
  if (operator === '<=') return order <= 0;
  return operator === '>' ? order > 0 : order >= 0;
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function compareNumbers(left: number | undefined, right: number | undefined): number | undefined {
  return left === undefined || right === undefined ? undefined : left - right;
}

function arithmetic(left: Json, right: Json, compute: (left: number, right: number) => number): Value {
  const first = asNumber(left);
  const second = asNumber(right);
  if (first === undefined || second === undefined) return undefined;
  const result = compute(first, second);
  return Number.isFinite(result) ? result : undefined;
}

function asNumber(value: Json): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || !/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value)) return undefined;
  return Number(value);
}

function scalar(value: Json): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function follow(value: Value, steps: readonly (string | number)[]): Value {
  let current = value;
  for (const step of steps) {
    if (typeof step === 'number') current = Array.isArray(current) ? current[step] : undefined;
    else current = isObject(current) && Object.hasOwn(current, step) ? current[step] : undefined;
    if (current === undefined) return undefined;
  }
  return current;
}

function parseJson(payload: Buffer): Value {
  try {
    return JSON.parse(payload.toString('utf8')) as Json;
  } catch {
    return undefined;
  }
}

function isObject(value: Value): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
