import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type DetailedError,
  policySetTextToParts,
  policyToJson,
  preparsePolicySet,
  preparseSchema,
  statefulIsAuthorized,
  validate,
} from '@cedar-policy/cedar-wasm/nodejs';
import type { Action } from './actions.ts';
import type { Caller } from './caller.ts';
import { placesOf, type Resource, uid } from './resource.ts';

/** Where the policies lie: beside this file in the source tree, beside the bundle in a function. */
export const policyFolder = join(import.meta.dirname, 'policies');

/** One policy, as its file has it. */
export interface Policy {
  /** `@id` */
  readonly id: string;
  /** `@reason`: what a refused caller is told. */
  readonly reason?: string;
  /** `@step_up`: signing in again, at most this many seconds ago and with a second factor, removes the obstacle. */
  readonly stepUpSeconds?: number;
  readonly text: string;
}

/** How the caller signed in, in the words of the schema. */
export interface Authentication {
  readonly mfa: boolean;
  readonly signInAgeSeconds: number;
}

/** The outcome of a decision. */
export interface Decision {
  readonly allowed: boolean;
  /** The policies that determined it; empty when no policy permits. */
  readonly policies: readonly Policy[];
}

/**
 * A set of Cedar policies, parsed once. Default is deny: what no policy permits is not done.
 */
export class PolicySet {
  readonly policies: ReadonlyMap<string, Policy>;
  /** Whether a policy names a single device, so that equal devices may be decided differently. */
  readonly namesDevices: boolean;
  readonly #name: string;

  /**
   * @param name identifies the set inside the engine
   * @param schema Cedar schema, in its readable form
   * @param files texts of Cedar files; each policy needs an `@id` of its own
   * @throws Error that names the policy and what is wrong with it; a set that is not valid is never used
   */
  constructor(name: string, schema: string, files: readonly string[]) {
    this.#name = name;
    this.policies = byId(files.flatMap(policiesOf));
    this.namesDevices = files.some((file) => file.includes('Device::"'));
    const staticPolicies = Object.fromEntries([...this.policies].map(([id, policy]) => [id, policy.text]));
    const checked = validate({ schema, policies: { staticPolicies } });
    if (checked.type === 'failure') throw new Error(`The policies are not valid: ${messages(checked.errors)}`);
    const [wrong] = checked.validationErrors;
    if (wrong !== undefined) throw new Error(`The policy "${wrong.policyId}" is not valid: ${wrong.error.message}`);
    for (const answer of [preparseSchema(name, schema), preparsePolicySet(name, { staticPolicies })]) {
      if (answer.type === 'failure') throw new Error(`The policies are not valid: ${messages(answer.errors)}`);
    }
  }

  /**
   * Whether `caller` may do `action` on `resource`. An error inside a policy counts as that policy not being there,
   * except that an error in a `forbid` denies: a guard that cannot be evaluated is not passed.
   */
  decide(caller: Caller, action: Action, resource: Resource, context: Authentication): Decision {
    const principal = uid('User', caller.sub);
    const answer = statefulIsAuthorized({
      principal,
      action: uid('Action', action),
      resource: resource.entity.uid,
      context: { mfa: context.mfa, signInAgeSeconds: context.signInAgeSeconds },
      preparsedSchemaName: this.#name,
      preparsedPolicySetId: this.#name,
      validateRequest: true,
      entities: [
        {
          uid: principal,
          attrs: { places: placesOf(caller.sites), status: caller.status },
          parents: caller.roles.map((role) => uid('Role', role)),
        },
        resource.entity,
      ],
    });
    if (answer.type === 'failure') throw new Error(`The policies could not be asked: ${messages(answer.errors)}`);
    const { decision, diagnostics } = answer.response;
    const failed = diagnostics.errors.map((error) => error.policyId).filter((id) => this.#isForbid(id));
    const determining = [...diagnostics.reason, ...failed].flatMap((id) => this.policies.get(id) ?? []);
    return { allowed: decision === 'allow' && failed.length === 0, policies: determining };
  }

  #isForbid(id: string): boolean {
    const policy = this.policies.get(id);
    return policy === undefined || effectOf(policy.text) === 'forbid';
  }
}

/**
 * Reads all `*.cedar` files and the schema of a folder.
 *
 * @throws Error when a file cannot be read or a policy is not valid
 */
export function loadPolicies(folder: string = policyFolder): PolicySet {
  const names = readdirSync(folder).sort();
  const text = (suffix: string) =>
    names.filter((name) => name.endsWith(suffix)).map((name) => readFileSync(join(folder, name), 'utf8'));
  return new PolicySet(folder, text('.cedarschema').join('\n'), text('.cedar'));
}

function policiesOf(file: string): Policy[] {
  const parts = policySetTextToParts(file);
  if (parts.type === 'failure') throw new Error(`A policy file is not valid Cedar: ${messages(parts.errors)}`);
  if (parts.policy_templates.length > 0) throw new Error('Policy templates are not supported.');
  return parts.policies.map((text) => {
    const annotations = jsonOf(text).annotations ?? {};
    const { id, reason, step_up: stepUp } = annotations;
    if (id === undefined || id === '') throw new Error(`A policy has no @id: ${text.slice(0, 200)}`);
    if (stepUp !== undefined && !/^\d{1,8}$/.test(stepUp)) {
      throw new Error(`@step_up of the policy "${id}" must be a number of seconds, for example @step_up("900")`);
    }
    return {
      id,
      text,
      ...(reason === undefined ? {} : { reason }),
      ...(stepUp === undefined ? {} : { stepUpSeconds: Number(stepUp) }),
    };
  });
}

function byId(policies: readonly Policy[]): Map<string, Policy> {
  const map = new Map<string, Policy>();
  for (const policy of policies) {
    if (map.has(policy.id)) throw new Error(`Two policies have the @id "${policy.id}"`);
    map.set(policy.id, policy);
  }
  return map;
}

function effectOf(text: string): 'permit' | 'forbid' {
  return jsonOf(text).effect;
}

function jsonOf(text: string) {
  const answer = policyToJson(text);
  if (answer.type === 'failure') throw new Error(`A policy is not valid Cedar: ${messages(answer.errors)}`);
  return answer.json;
}

function messages(errors: readonly DetailedError[]): string {
  return errors.map((error) => error.message).join('; ');
}
