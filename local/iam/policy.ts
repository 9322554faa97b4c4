import type { Json, Permission } from '../cloud.ts';
import { type Condition, type Context, compileCondition } from './condition.ts';
import { wildcard } from './wildcard.ts';

/** A compiled statement of a policy. */
export interface Statement {
  readonly allows: boolean;
  /** Whether the statement is about this action on this resource; what its condition says comes on top. */
  covers(action: string, resource: string): boolean;
  readonly condition: Condition | undefined;
  /** Whom the statement of a resource policy is about; undefined in policies of roles. */
  readonly principals: readonly string[] | undefined;
}

/** What a set of policies says about a call. `none`: no statement allows it, which denies. */
export type Decision = 'allowed' | 'denied' | 'none';

const ELEMENTS = new Set(['Sid', 'Effect', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition', 'Principal']);

/** Compiles a policy document. Throws for an element, operator or policy variable that the local cloud does not know. */
export function compilePolicy(document: Json): Statement[] {
  if (document === null || typeof document !== 'object' || Array.isArray(document))
    throw new Error('a policy must be an object');
  const statements = document['Statement'];
  return (Array.isArray(statements) ? statements : [statements]).map((statement) => {
    if (statement === null || typeof statement !== 'object' || Array.isArray(statement)) {
      throw new Error('a policy statement must be an object');
    }
    return compileStatement(statement);
  });
}

/** IAM's rule: an explicit deny wins, then an allow; otherwise nothing is allowed. */
export function decide(statements: readonly Statement[], permission: Permission, context: Context): Decision {
  let decision: Decision = 'none';
  for (const statement of statements) {
    if (!statement.covers(permission.action, permission.resource)) continue;
    if (statement.condition !== undefined && !statement.condition(context)) continue;
    if (!statement.allows) return 'denied';
    decision = 'allowed';
  }
  return decision;
}

function compileStatement(statement: { readonly [key: string]: Json }): Statement {
  for (const element of Object.keys(statement)) {
    if (!ELEMENTS.has(element)) throw new Error(`policy element ${element} is not known to the local cloud`);
  }
  const effect = statement['Effect'];
  if (effect !== 'Allow' && effect !== 'Deny')
    throw new Error(`Effect must be Allow or Deny, not ${JSON.stringify(effect)}`);
  // Actions compare without regard to case, resources with it.
  const actions = compileList(statement['Action'] ?? statement['NotAction'], 'i');
  const negatedActions = statement['Action'] === undefined;
  const resources = compileList(statement['Resource'] ?? statement['NotResource'] ?? '*', '');
  const negatedResources = statement['Resource'] === undefined && statement['NotResource'] !== undefined;
  const condition = statement['Condition'];
  return {
    allows: effect === 'Allow',
    covers: (action, resource) =>
      actions.some((pattern) => pattern.test(action)) !== negatedActions &&
      resources.some((pattern) => pattern.test(resource)) !== negatedResources,
    condition: condition === undefined ? undefined : compileCondition(condition),
    principals: principalsOf(statement['Principal']),
  };
}

/** The ARNs, accounts and `*` of a `Principal` element. Services are not among them: they do not call through roles. */
function principalsOf(principal: Json | undefined): readonly string[] | undefined {
  if (principal === undefined) return undefined;
  if (principal === '*') return ['*'];
  if (principal === null || typeof principal !== 'object' || Array.isArray(principal))
    throw new Error('Principal is malformed');
  return [principal['AWS'] ?? []].flat().map(String);
}

function compileList(value: Json | undefined, flags: string): RegExp[] {
  if (value === undefined) throw new Error('a policy statement needs Action or NotAction');
  return (Array.isArray(value) ? value : [value]).map((item) => {
    if (typeof item !== 'string') throw new Error(`expected text in a policy, found ${JSON.stringify(item)}`);
    if (item.includes('${')) throw new Error(`policy variables are not known to the local cloud: ${item}`);
    return wildcard(item, flags);
  });
}
