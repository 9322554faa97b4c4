import type { Json } from '../../cloud.ts';
import { isObject, type JsonObject } from '../fields.ts';

/** A pattern that is not an event pattern; the message says where and why. */
export class InvalidPattern extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvalidPattern';
  }
}

/** Whether an event matches. */
export type Matcher = (event: Json) => boolean;

/** Tests one value of the event; `undefined` when the field is not there. */
type ValueTest = (value: Json | undefined) => boolean;

/**
 * Compiles an event pattern as EventBridge rules and the filters of event source mappings have them
 * (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html): exact values, `prefix`,
 * `suffix`, `equals-ignore-case`, `wildcard`, `anything-but`, `numeric`, `exists` and `$or`. A list in the event matches when one of
 * its elements does. Throws InvalidPattern for anything else, so that no condition is ever overlooked.
 */
export const compilePattern = (pattern: Json): Matcher => {
  if (!isObject(pattern)) throw new InvalidPattern('An event pattern must be a JSON object');
  const test = compileObject(pattern, '');
  return (event) => test(event);
};

const compileObject = (pattern: JsonObject, path: string): ValueTest => {
  const entries = Object.entries(pattern);
  if (entries.length === 0) throw new InvalidPattern(`The event pattern is empty at "${path}"`);
  const tests = entries.map(([name, condition]) => {
    const here = path === '' ? name : `${path}.${name}`;
    if (name === '$or' && Array.isArray(condition)) return compileOr(condition, here);
    const test = compileCondition(condition, here);
    return (value: Json | undefined) => test(isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined);
  });
  const all: ValueTest = (value) => tests.every((test) => test(value));
  // In a list of objects, one object must fulfil the pattern.
  return (value) => (Array.isArray(value) ? value.some(all) : all(value));
};

const compileOr = (alternatives: Json[], path: string): ValueTest => {
  if (alternatives.length < 2) throw new InvalidPattern(`${path} needs at least two alternatives`);
  const tests = alternatives.map((alternative, index) => {
    if (!isObject(alternative)) throw new InvalidPattern(`${path}[${index}] must be an object`);
    return compileObject(alternative, `${path}[${index}]`);
  });
  return (value) => tests.some((test) => test(value));
};

const compileCondition = (condition: Json | undefined, path: string): ValueTest => {
  if (isObject(condition)) return compileObject(condition, path);
  if (!Array.isArray(condition)) throw new InvalidPattern(`"${path}" must be a list of values or an object`);
  if (condition.length === 0) throw new InvalidPattern(`The list of values at "${path}" is empty`);
  const tests = condition.map((one) => compileValue(one, path));
  return (value) => tests.some((test) => test(value));
};

/** Makes a test of one value hold for a list when one of its elements passes. */
const anyElement =
  (test: (value: Json) => boolean): ValueTest =>
  (value) => {
    if (value === undefined) return false;
    return Array.isArray(value) ? value.some(test) : test(value);
  };

const compileValue = (condition: Json, path: string): ValueTest => {
  if (Array.isArray(condition)) throw new InvalidPattern(`"${path}" holds a list in a list`);
  if (!isObject(condition)) return anyElement((value) => value === condition);
  const entries = Object.entries(condition);
  const [entry] = entries;
  if (entry === undefined || entries.length !== 1)
    throw new InvalidPattern(`"${path}" must hold exactly one operator in each object`);
  const [operator, operand] = entry;
  switch (operator) {
    case 'exists':
      if (typeof operand !== 'boolean') throw new InvalidPattern(`exists at "${path}" must be true or false`);
      return (value) => (value !== undefined && !isObject(value)) === operand;
    case 'anything-but':
      return compileAnythingBut(operand ?? null, path);
    case 'numeric':
      return anyElement(compileNumeric(operand ?? null, path));
    case 'prefix':
    case 'suffix':
    case 'wildcard':
    case 'equals-ignore-case':
      return anyElement(compileText(operator, operand ?? null, path));
    default:
      throw new InvalidPattern(`"${path}" uses the operator "${operator}", which the local cloud does not know`);
  }
};

const text = (operand: Json, operator: string, path: string): string => {
  if (typeof operand === 'string') return operand;
  throw new InvalidPattern(`${operator} at "${path}" must be text`);
};

const compileText = (
  operator: 'prefix' | 'suffix' | 'wildcard' | 'equals-ignore-case',
  operand: Json,
  path: string,
): ((value: Json) => boolean) => {
  if ((operator === 'prefix' || operator === 'suffix') && isObject(operand)) {
    const folded = operand['equals-ignore-case'];
    if (Object.keys(operand).length !== 1 || typeof folded !== 'string') {
      throw new InvalidPattern(`${operator} at "${path}" must be text or {"equals-ignore-case": text}`);
    }
    const wanted = folded.toLowerCase();
    return (value) =>
      typeof value === 'string' &&
      (operator === 'prefix' ? value.toLowerCase().startsWith(wanted) : value.toLowerCase().endsWith(wanted));
  }
  const wanted = text(operand, operator, path);
  switch (operator) {
    case 'prefix':
      return (value) => typeof value === 'string' && value.startsWith(wanted);
    case 'suffix':
      return (value) => typeof value === 'string' && value.endsWith(wanted);
    case 'equals-ignore-case': {
      const folded = wanted.toLowerCase();
      return (value) => typeof value === 'string' && value.toLowerCase() === folded;
    }
    case 'wildcard':
      return compileWildcard(wanted, path);
  }
};

/** `*` stands for any characters, `\*` and `\\` for themselves; two stars in a row are not allowed. */
const compileWildcard = (wanted: string, path: string): ((value: Json) => boolean) => {
  const parts: string[] = [''];
  for (let index = 0; index < wanted.length; index += 1) {
    const character = wanted.charAt(index);
    if (character === '*') {
      if (wanted.charAt(index + 1) === '*') throw new InvalidPattern(`wildcard at "${path}" has two stars in a row`);
      parts.push('');
      continue;
    }
    if (character === '\\') {
      const next = wanted.charAt(index + 1);
      if (next !== '*' && next !== '\\')
        throw new InvalidPattern(`wildcard at "${path}" has a backslash before neither * nor \\`);
      index += 1;
      parts[parts.length - 1] += next;
      continue;
    }
    parts[parts.length - 1] += character;
  }
  const [first = '', ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return (value) => value === first;
  // Each part is searched from where the one before ended, so that the time is linear in the value's length.
  return (value) => {
    if (typeof value !== 'string' || value.length < first.length + last.length) return false;
    if (!value.startsWith(first) || !value.endsWith(last)) return false;
    let at = first.length;
    const end = value.length - last.length;
    for (const part of rest) {
      const found = value.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
};

/** True for a value that is there and equals none of the operand. */
const compileAnythingBut = (operand: Json, path: string): ValueTest => {
  if (isObject(operand)) {
    const [entry, ...more] = Object.entries(operand);
    if (entry === undefined || more.length > 0)
      throw new InvalidPattern(`anything-but at "${path}" must hold exactly one operator`);
    const [operator, inner] = entry;
    if (
      operator !== 'prefix' &&
      operator !== 'suffix' &&
      operator !== 'wildcard' &&
      operator !== 'equals-ignore-case'
    ) {
      throw new InvalidPattern(
        `anything-but at "${path}" uses the operator "${operator}", which the local cloud does not know`,
      );
    }
    const tests = (Array.isArray(inner) ? inner : [inner ?? null]).map((one) => compileText(operator, one, path));
    return anyElement((value) => !tests.some((test) => test(value)));
  }
  const refused = Array.isArray(operand) ? operand : [operand];
  if (refused.length === 0 || refused.some((value) => typeof value === 'object')) {
    throw new InvalidPattern(`anything-but at "${path}" must be text, numbers or a list of them`);
  }
  return anyElement((value) => !refused.includes(value));
};

const COMPARISONS: Readonly<Record<string, (value: number, bound: number) => boolean>> = {
  '=': (value, bound) => value === bound,
  '<': (value, bound) => value < bound,
  '<=': (value, bound) => value <= bound,
  '>': (value, bound) => value > bound,
  '>=': (value, bound) => value >= bound,
};

const compileNumeric = (operand: Json, path: string): ((value: Json) => boolean) => {
  if (!Array.isArray(operand) || operand.length === 0 || operand.length % 2 !== 0 || operand.length > 4) {
    throw new InvalidPattern(`numeric at "${path}" must be a list of one or two pairs of operator and number`);
  }
  const tests: ((value: number) => boolean)[] = [];
  for (let index = 0; index < operand.length; index += 2) {
    const [operator, bound] = operand.slice(index, index + 2);
    const compare =
      typeof operator === 'string' && Object.hasOwn(COMPARISONS, operator) ? COMPARISONS[operator] : undefined;
    if (compare === undefined || typeof bound !== 'number') {
      throw new InvalidPattern(`numeric at "${path}" must be a list of one or two pairs of operator and number`);
    }
    tests.push((value) => compare(value, bound));
  }
  return (value) => typeof value === 'number' && tests.every((test) => test(value));
};
