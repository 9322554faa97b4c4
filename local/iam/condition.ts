import type { Json } from '../cloud.ts';
import { arnWildcard, wildcard } from './wildcard.ts';

/** Values of condition keys, names in lower case. */
export type Context = Readonly<Record<string, string | readonly string[]>>;

/** A compiled condition block. */
export type Condition = (context: Context) => boolean;

/** How one operator compares a value of the request with a value of the policy. */
type Comparison = (policy: string) => (value: string) => boolean;

const COMPARISONS: Readonly<Record<string, Comparison>> = {
  StringEquals: (policy) => (value) => value === policy,
  StringEqualsIgnoreCase: (policy) => (value) => value.toLowerCase() === policy.toLowerCase(),
  StringLike: (policy) => matching(wildcard(policy)),
  ArnEquals: (policy) => matching(arnWildcard(policy)),
  ArnLike: (policy) => matching(arnWildcard(policy)),
  NumericLessThan: (policy) => (value) => Number(value) < Number(policy),
  NumericLessThanEquals: (policy) => (value) => Number(value) <= Number(policy),
  NumericGreaterThan: (policy) => (value) => Number(value) > Number(policy),
  NumericGreaterThanEquals: (policy) => (value) => Number(value) >= Number(policy),
  NumericEquals: (policy) => (value) => Number(value) === Number(policy),
  Bool: (policy) => (value) => value.toLowerCase() === policy.toLowerCase(),
};

/** Operators that hold when the one they negate does not. */
const NEGATIONS: Readonly<Record<string, string>> = {
  StringNotEquals: 'StringEquals',
  StringNotEqualsIgnoreCase: 'StringEqualsIgnoreCase',
  StringNotLike: 'StringLike',
  ArnNotEquals: 'ArnEquals',
  ArnNotLike: 'ArnLike',
};

/**
 * Compiles the `Condition` block of a statement: every operator and every key must hold. An operator that is not known
 * throws, so that a policy is never read as wider or narrower than it is.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
 */
export function compileCondition(block: Json): Condition {
  if (block === null || typeof block !== 'object' || Array.isArray(block))
    throw new Error('Condition must be an object');
  const tests = Object.entries(block).flatMap(([operator, keys]) => {
    if (keys === null || typeof keys !== 'object' || Array.isArray(keys))
      throw new Error(`${operator} must be an object`);
    return Object.entries(keys).map(([key, values]) =>
      compileTest(operator, key.toLowerCase(), (Array.isArray(values) ? values : [values]).map(String)),
    );
  });
  return (context) => tests.every((test) => test(context));
}

function compileTest(operator: string, key: string, policyValues: readonly string[]): Condition {
  const [, quantifier, bare = '', ifExists] =
    /^(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?$/.exec(operator) ?? [];
  if (bare === 'Null') return (context) => (context[key] === undefined) === (policyValues[0] === 'true');
  const negated = NEGATIONS[bare];
  const comparison = COMPARISONS[negated ?? bare];
  if (comparison === undefined) throw new Error(`condition operator ${operator} is not known to the local cloud`);
  const comparisons = policyValues.map(comparison);
  const some = (value: string) => comparisons.some((compare) => compare(value));
  const holds = negated === undefined ? some : (value: string) => !some(value);
  return (context) => {
    const present = context[key];
    const values = present === undefined ? [] : typeof present === 'string' ? [present] : present;
    if (quantifier === 'ForAllValues') return values.every(holds);
    if (quantifier === 'ForAnyValue') return values.some(holds);
    // A negated operator also holds when the key is not there at all.
    if (present === undefined) return ifExists !== undefined || negated !== undefined;
    return values.length > 0 && values.every(holds);
  };
}

function matching(pattern: RegExp): (value: string) => boolean {
  return (value) => pattern.test(value);
}
