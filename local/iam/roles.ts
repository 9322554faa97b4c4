import { AwsError, type Json, type Permission, type Principal } from '../cloud.ts';
import type { Context } from './condition.ts';
import { compilePolicy, type Decision, decide, type Statement } from './policy.ts';

/** A role of the template with its policies. */
interface Role {
  readonly name: string;
  readonly trust: readonly Statement[];
  readonly trustDocument: Json;
  readonly statements: Statement[];
  /** Decisions that no condition had a say in, by action and resource. */
  readonly decisions: Map<string, Decision>;
}

/** Entries of the decision cache of one role; enough for every table, queue and topic, small enough for topics of many devices. */
const CACHE_SIZE = 2_000;

/** All roles of the template and what their policies allow. */
export class Roles {
  readonly #account: string;
  readonly #region: string;
  readonly #roles = new Map<string, Role>();
  /** Statements of resource policies by the ARN of the resource. */
  readonly #resources = new Map<string, readonly Statement[]>();

  constructor(account: string, region: string) {
    this.#account = account;
    this.#region = region;
  }

  /** The account's root, which may do everything: for tools and tests, never for functions. */
  get root(): Principal {
    return { roleArn: `arn:aws:iam::${this.#account}:root` };
  }

  /** Makes a role known. */
  define(roleArn: string, trustDocument: Json): void {
    const name = roleArn.split('/').at(-1) ?? roleArn;
    this.#roles.set(roleArn, {
      name,
      trust: compilePolicy(trustDocument),
      trustDocument,
      statements: [],
      decisions: new Map(),
    });
  }

  /** Gives a role (its ARN or name) the statements of a policy document. */
  attach(role: string, document: Json): void {
    const found = this.#find(role);
    found.statements.push(...compilePolicy(document));
    found.decisions.clear();
  }

  /**
   * Adds the policy of a resource (key, bucket, queue, table). Within one account it allows on its own what it allows the
   * caller, and what it denies is denied. A key is used by nobody whom its policy does not let, directly or by leaving
   * it to the policies of roles.
   */
  attachToResource(resourceArn: string, document: Json): void {
    this.#resources.set(resourceArn, [...(this.#resources.get(resourceArn) ?? []), ...compilePolicy(document)]);
    for (const role of this.#roles.values()) role.decisions.clear();
  }

  /** Throws unless the role's trust policy lets the service (`lambda.amazonaws.com`) assume it. */
  assertTrusts(roleArn: string, service: string): void {
    const document = this.#find(roleArn).trustDocument;
    const statements =
      document !== null && typeof document === 'object' && !Array.isArray(document) ? document['Statement'] : [];
    const trusted = (Array.isArray(statements) ? statements : [statements]).some((statement) => {
      if (statement === null || typeof statement !== 'object' || Array.isArray(statement)) return false;
      const principal = statement['Principal'];
      const services =
        principal !== null && typeof principal === 'object' && !Array.isArray(principal)
          ? principal['Service']
          : undefined;
      return statement['Effect'] === 'Allow' && [services].flat().includes(service);
    });
    if (!trusted)
      throw new AwsError('InvalidParameterValueException', `The role ${roleArn} cannot be assumed by ${service}.`);
  }

  /** Throws `AwsError` AccessDenied (403), in AWS's words, unless the principal's policies allow the permission. */
  authorize(principal: Principal, permission: Permission): void {
    if (principal.roleArn === this.root.roleArn) return;
    const decision = this.#decide(principal, permission);
    if (decision === 'allowed') return;
    const session = principal.functionName ?? 'local';
    const name = principal.roleArn.split('/').at(-1) ?? principal.roleArn;
    const why =
      decision === 'denied'
        ? 'with an explicit deny in an identity-based policy'
        : `because no identity-based policy allows the ${permission.action} action`;
    throw new AwsError(
      'AccessDenied',
      `User: arn:aws:sts::${this.#account}:assumed-role/${name}/${session} is not authorized to perform: ${permission.action} on resource: ${permission.resource} ${why}`,
      403,
    );
  }

  #decide(principal: Principal, permission: Permission): Decision {
    const role = this.#find(principal.roleArn);
    const key = `${permission.action} ${permission.resource}`;
    const cached = role.decisions.get(key);
    if (cached !== undefined) return cached;
    const context: Context = {
      'aws:securetransport': 'true',
      'aws:requestedregion': this.#region,
      'aws:principalaccount': this.#account,
      'aws:principalarn': principal.roleArn,
      'kms:calleraccount': this.#account,
      's3:tlsversion': '1.3',
      ...permission.context,
    };
    const resource = this.#resources.get(policyOwner(permission.resource));
    const decision = this.#combine(
      decide(role.statements, permission, context),
      resource,
      principal,
      permission,
      context,
    );
    const conditional = [...role.statements, ...(resource ?? [])].some(
      (statement) => statement.condition !== undefined && statement.covers(permission.action, permission.resource),
    );
    if (!conditional) {
      if (role.decisions.size >= CACHE_SIZE) role.decisions.clear();
      role.decisions.set(key, decision);
    }
    return decision;
  }

  #combine(
    identity: Decision,
    resource: readonly Statement[] | undefined,
    principal: Principal,
    permission: Permission,
    context: Context,
  ): Decision {
    if (resource === undefined || identity === 'denied') return identity;
    const names = (wanted: readonly string[]) => (statement: Statement) =>
      statement.principals?.some((name) => wanted.includes(name)) === true;
    const direct = decide(resource.filter(names(['*', principal.roleArn])), permission, context);
    if (direct !== 'none') return direct;
    if (!permission.action.startsWith('kms:')) return identity;
    const account = resource.filter(names([this.#account, this.root.roleArn]));
    return decide(account, permission, context) === 'allowed' ? identity : 'none';
  }

  #find(role: string): Role {
    const arn = role.startsWith('arn:') ? role : [...this.#roles.keys()].find((key) => key.endsWith(`/${role}`));
    const found = this.#roles.get(arn ?? role);
    if (found === undefined) throw new AwsError('NoSuchEntity', `The role ${role} cannot be found.`, 404);
    return found;
  }
}

/** The ARN of the resource whose policy speaks for this one: the bucket of an object, the table of an index. */
function policyOwner(resource: string): string {
  if (resource.startsWith('arn:aws:s3:::')) return resource.split('/')[0] ?? resource;
  return /^arn:aws:dynamodb:[^/]*:table\/[^/]+(?=\/index\/|$)/.exec(resource)?.[0] ?? resource;
}
