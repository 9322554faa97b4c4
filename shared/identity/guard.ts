import type { AuditEntry, AuditItem } from '../audit/record.ts';
import { auditRecord } from '../audit/record.ts';
import { type ProblemError, problems } from '../http/problem.ts';
import type { Action } from './actions.ts';
import { actorOf, type Caller, everySite } from './caller.ts';
import type { Authentication, Decision, PolicySet } from './policy-set.ts';
import { organization, type Resource, siteResource } from './resource.ts';
import { authenticationOf, stepUpProblem } from './step-up.ts';

/** Puts one audit record where it belongs. */
export type KeepRecord = (item: AuditItem) => Promise<void>;

/** Stands between a request and what it wants: every handler asks it before it reads or changes anything. */
export class Guard {
  readonly #policies: PolicySet;
  readonly #keep: KeepRecord;

  /** @param keep stores the record of a denied attempt; the record of a change goes into the change's own transaction */
  constructor(policies: PolicySet, keep: KeepRecord) {
    this.#policies = policies;
    this.#keep = keep;
  }

  /** The bare decision, for lists that leave out what the caller may not see. */
  decide(caller: Caller, action: Action, resource: Resource, now: Date): Decision {
    return this.#policies.decide(caller, action, resource, authenticationOf(caller, now));
  }

  /**
   * For lists of devices. Devices that are equal in everything that policies can look at are decided once, unless a
   * policy names a single device: most of a page are equal in that.
   */
  readable(caller: Caller, now: Date): (device: Resource) => boolean {
    const decided = new Map<string, boolean>();
    return (device) => {
      const { uid, attrs, parents } = device.entity;
      const key = JSON.stringify(this.#policies.namesDevices ? [uid, attrs, parents] : [attrs, parents]);
      const known = decided.get(key) ?? this.decide(caller, 'ReadDevice', device, now).allowed;
      decided.set(key, known);
      return known;
    };
  }

  /**
   * For reading.
   *
   * @throws ProblemError 403 that names the policies, or says that none permits
   */
  assertMay(caller: Caller, action: Action, resource: Resource, now: Date): void {
    const authentication = authenticationOf(caller, now);
    const decision = this.#policies.decide(caller, action, resource, authentication);
    if (!decision.allowed) throw this.#denial(caller, action, resource, decision);
  }

  /**
   * For lists: whoever may read no place at all is told so, instead of getting an empty list that looks like the truth.
   * Also for what belongs to no place, and is read by whoever may do so at one of theirs.
   *
   * @throws ProblemError 403
   */
  assertReadsSomewhere(caller: Caller, now: Date, action: Action = 'ReadPlace'): void {
    const sites = caller.sites.filter((site) => site !== everySite);
    const places = caller.sites.includes(everySite) || sites.length === 0 ? [organization()] : sites.map(siteResource);
    if (places.some((place) => this.decide(caller, action, place, now).allowed)) return;
    const [first] = places;
    if (first !== undefined) this.assertMay(caller, action, first, now);
  }

  /**
   * For changing. Returns the beginning of the audit record that the change must carry in its own transaction; a denied
   * attempt is recorded here.
   *
   * @param partition partition key under which the audit trail of the resource lies
   * @throws ProblemError 403, or 401 when signing in again would be enough (RFC 9470)
   */
  async permit(caller: Caller, action: Action, resource: Resource, partition: string, now: Date): Promise<AuditEntry> {
    const decision = this.decide(caller, action, resource, now);
    const entry = {
      actor: actorOf(caller),
      action,
      resource: resource.name,
      ...(resource.siteId === undefined ? {} : { siteId: resource.siteId }),
      policyIds: decision.policies.map((policy) => policy.id),
    };
    if (decision.allowed) return { ...entry, outcome: 'allowed' };
    const denial = this.#denial(caller, action, resource, decision);
    await this.#keep(auditRecord(partition, { ...entry, outcome: 'denied', reason: denial.message }, now));
    throw denial;
  }

  #denial(caller: Caller, action: Action, resource: Resource, decision: Decision): ProblemError {
    const policyIds = decision.policies.map((policy) => policy.id);
    const reasons = decision.policies.flatMap((policy) => policy.reason ?? []);
    const maxAge = this.#stepUp(caller, action, resource, decision);
    if (maxAge !== undefined) return stepUpProblem(maxAge, reasons.join(' '), policyIds);
    if (policyIds.length === 0) {
      return problems.forbidden(`No policy permits ${action} on ${resource.name}.`, { policyIds, reasons });
    }
    const why = reasons.length > 0 ? ` ${reasons.join(' ')}` : '';
    return problems.forbidden(`Forbidden by ${policyIds.join(', ')}.${why}`, { policyIds, reasons });
  }

  /** Seconds for the challenge when a fresh sign-in is all that is missing; asking for one in vain would be rude. */
  #stepUp(caller: Caller, action: Action, resource: Resource, decision: Decision): number | undefined {
    const ages = decision.policies.map((policy) => policy.stepUpSeconds);
    if (ages.length === 0 || !ages.every((age) => age !== undefined)) return undefined;
    const fresh: Authentication = { mfa: true, signInAgeSeconds: 0 };
    if (!this.#policies.decide(caller, action, resource, fresh).allowed) return undefined;
    return Math.min(...ages);
  }
}
