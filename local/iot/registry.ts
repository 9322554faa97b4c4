import { randomUUID } from 'node:crypto';
import type { Cloud } from '../cloud.ts';
import { type ParsedCertificate, parseCertificate } from './certificate.ts';
import { iotErrors } from './errors.ts';
import type { CompiledPolicy } from './policy.ts';

/** A thing of the registry. */
export interface Thing {
  readonly thingName: string;
  readonly thingId: string;
  readonly thingTypeName?: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Counts changes. */
  readonly version: number;
}

/** AWS's states of a certificate. Only `ACTIVE` connects. */
export const CertificateStatus = {
  Active: 'ACTIVE',
  Inactive: 'INACTIVE',
  Revoked: 'REVOKED',
  PendingActivation: 'PENDING_ACTIVATION',
} as const;
export type CertificateStatus = (typeof CertificateStatus)[keyof typeof CertificateStatus];

/** A registered certificate. Times are milliseconds since the epoch. */
export interface Certificate {
  readonly certificateId: string;
  readonly certificatePem: string;
  readonly status: CertificateStatus;
  /** `SNI_ONLY` is registered without its CA. */
  readonly mode: 'DEFAULT' | 'SNI_ONLY';
  readonly createdAt: number;
  readonly modifiedAt: number;
  /** Set on a claim of `CreateProvisioningClaim`: it may provision with this template until it ends, and nothing else. */
  readonly claim?: { readonly templateName: string; readonly endsAt: number };
}

/** How a certificate is attached to a thing. An exclusive one has no other thing. */
export type ThingPrincipalType = 'EXCLUSIVE_THING' | 'NON_EXCLUSIVE_THING';

const THINGS = 'iot.things';
const CERTIFICATES = 'iot.certificates';
/** Key `<certificate id>/<thing name>`. */
const THING_PRINCIPALS = 'iot.thing-principals';
/** Key `<certificate id>/<policy name>`. */
const ATTACHED_POLICIES = 'iot.attached-policies';

const MAX_POLICIES_OF_A_CERTIFICATE = 10;
const MAX_ATTRIBUTES_WITHOUT_TYPE = 3;
const MAX_ATTRIBUTES = 50;

/**
 * Things, certificates, policies and what is attached to what. Everything that operations write is in the store when
 * they return; reads come from memory, because the broker asks for every connection. Things types and policies come
 * from the template at each start.
 */
export class Registry {
  readonly #cloud: Cloud;
  readonly #things = new Map<string, Thing>();
  readonly #certificates = new Map<string, Certificate>();
  readonly #parsed = new Map<string, ParsedCertificate>();
  readonly #thingsOf = new Map<string, Map<string, ThingPrincipalType>>();
  readonly #principalsOf = new Map<string, Set<string>>();
  readonly #policiesOf = new Map<string, Set<string>>();
  readonly #policies = new Map<string, CompiledPolicy>();
  readonly #thingTypes = new Set<string>();
  readonly #listeners: ((certificateId: string) => void)[] = [];

  constructor(cloud: Cloud) {
    this.#cloud = cloud;
    const { store } = cloud;
    for (const { key, value } of store.list<Thing>(THINGS)) this.#things.set(key, value);
    for (const { key, value } of store.list<Certificate>(CERTIFICATES)) this.#certificates.set(key, value);
    for (const { key, value } of store.list<ThingPrincipalType>(THING_PRINCIPALS)) {
      const [certificateId, thingName] = pair(key);
      this.#rememberThing(certificateId, thingName, value);
    }
    for (const { key } of store.list(ATTACHED_POLICIES)) {
      const [certificateId, policyName] = pair(key);
      setOf(this.#policiesOf, certificateId).add(policyName);
    }
  }

  /** Calls `listener` with a certificate's id whenever what its connections may do may have changed. */
  onChange(listener: (certificateId: string) => void): void {
    this.#listeners.push(listener);
  }

  addThingType(name: string): void {
    this.#thingTypes.add(name);
  }

  addPolicy(policy: CompiledPolicy): void {
    this.#policies.set(policy.name, policy);
  }

  hasPolicy(name: string): boolean {
    return this.#policies.has(name);
  }

  thing(name: string): Thing | undefined {
    return this.#things.get(name);
  }

  requireThing(name: string): Thing {
    const thing = this.#things.get(name);
    if (thing === undefined) throw iotErrors.notFound(`Thing ${name} does not exist`);
    return thing;
  }

  /** Makes a thing. The same request again is answered with the thing that there is; another one of that name is refused. */
  createThing(
    thingName: string,
    thingTypeName: string | undefined,
    attributes: Readonly<Record<string, string>>,
  ): Thing {
    if (!/^[a-zA-Z0-9:_-]{1,128}$/.test(thingName)) throw iotErrors.invalid(`Invalid thing name: ${thingName}`);
    this.#checkAttributes(thingTypeName, attributes);
    const existing = this.#things.get(thingName);
    if (existing !== undefined) {
      if (existing.thingTypeName === thingTypeName && sameAttributes(existing.attributes, attributes)) return existing;
      throw iotErrors.exists(
        `Thing ${thingName} already exists in account with different attributes`,
        existing.thingId,
        this.thingArn(thingName),
      );
    }
    const thing: Thing = {
      thingName,
      thingId: randomUUID(),
      ...(thingTypeName === undefined ? {} : { thingTypeName }),
      attributes,
      version: 1,
    };
    this.#putThing(thing);
    return thing;
  }

  /** Replaces what is given and counts the version up. */
  updateThing(
    thingName: string,
    change: {
      readonly thingTypeName?: string | undefined;
      readonly attributes?: Readonly<Record<string, string>> | undefined;
    },
    expectedVersion?: number,
  ): Thing {
    const thing = this.requireThing(thingName);
    if (expectedVersion !== undefined && expectedVersion !== thing.version) {
      throw iotErrors.versionConflict(`Thing ${thingName} has version ${thing.version}`);
    }
    const thingTypeName = change.thingTypeName ?? thing.thingTypeName;
    const attributes = change.attributes ?? thing.attributes;
    this.#checkAttributes(thingTypeName, attributes);
    const changed: Thing = {
      ...thing,
      ...(thingTypeName === undefined ? {} : { thingTypeName }),
      attributes,
      version: thing.version + 1,
    };
    this.#putThing(changed);
    return changed;
  }

  deleteThing(thingName: string, expectedVersion?: number): void {
    const thing = this.#things.get(thingName);
    if (thing === undefined) return;
    if (expectedVersion !== undefined && expectedVersion !== thing.version) {
      throw iotErrors.versionConflict(`Thing ${thingName} has version ${thing.version}`);
    }
    if ((this.#principalsOf.get(thingName)?.size ?? 0) > 0) {
      throw iotErrors.invalid(`Cannot delete. Thing ${thingName} is still attached to one or more principals`);
    }
    this.#cloud.store.delete(THINGS, thingName);
    this.#things.delete(thingName);
  }

  certificate(certificateId: string): Certificate | undefined {
    return this.#certificates.get(certificateId);
  }

  requireCertificate(certificateId: string): Certificate {
    const certificate = this.#certificates.get(certificateId);
    if (certificate === undefined)
      throw iotErrors.notFound(`The certificate given in the principal does not exist: ${certificateId}`);
    return certificate;
  }

  certificates(): IterableIterator<Certificate> {
    return this.#certificates.values();
  }

  /** The certificate, read; kept because policies ask for its subject. */
  parsedCertificate(certificateId: string): ParsedCertificate {
    let parsed = this.#parsed.get(certificateId);
    if (parsed === undefined) {
      parsed = parseCertificate(this.requireCertificate(certificateId).certificatePem);
      this.#parsed.set(certificateId, parsed);
    }
    return parsed;
  }

  registerCertificate(
    certificatePem: string,
    status: CertificateStatus,
    options: { readonly mode: Certificate['mode']; readonly claim?: Certificate['claim'] },
  ): Certificate {
    let parsed: ParsedCertificate;
    try {
      parsed = parseCertificate(certificatePem);
    } catch (error) {
      throw iotErrors.certificateInvalid(
        `The certificate cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    if (this.#certificates.has(parsed.id)) {
      throw iotErrors.exists(
        'The certificate is already provisioned or registered',
        parsed.id,
        this.certificateArn(parsed.id),
      );
    }
    const now = this.#cloud.clock.now();
    const certificate: Certificate = {
      certificateId: parsed.id,
      certificatePem: parsed.pem,
      status,
      mode: options.mode,
      createdAt: now,
      modifiedAt: now,
      ...(options.claim === undefined ? {} : { claim: options.claim }),
    };
    this.#parsed.set(parsed.id, parsed);
    this.#putCertificate(certificate);
    return certificate;
  }

  setCertificateStatus(certificateId: string, status: CertificateStatus): void {
    const certificate = this.requireCertificate(certificateId);
    if (certificate.status === status) return;
    this.#putCertificate({ ...certificate, status, modifiedAt: this.#cloud.clock.now() });
  }

  /** As AWS: not while it is active or attached to a thing; `force` takes its policies off. */
  deleteCertificate(certificateId: string, force: boolean): void {
    const certificate = this.requireCertificate(certificateId);
    if (certificate.status === CertificateStatus.Active) {
      throw iotErrors.certificateState(
        `Certificate must be deactivated (not ACTIVE) before deletion: ${certificateId}`,
      );
    }
    if ((this.#thingsOf.get(certificateId)?.size ?? 0) > 0) {
      throw iotErrors.deleteConflict(`Things must be detached before deletion: ${this.certificateArn(certificateId)}`);
    }
    const policies = this.#policiesOf.get(certificateId) ?? new Set<string>();
    if (policies.size > 0 && !force) {
      throw iotErrors.deleteConflict(
        `Certificate policies must be detached before deletion: ${this.certificateArn(certificateId)}`,
      );
    }
    this.#cloud.store.transaction(() => {
      for (const name of policies) this.#cloud.store.delete(ATTACHED_POLICIES, `${certificateId}/${name}`);
      this.#cloud.store.delete(CERTIFICATES, certificateId);
    });
    this.#policiesOf.delete(certificateId);
    this.#certificates.delete(certificateId);
    this.#parsed.delete(certificateId);
    this.#changed(certificateId);
  }

  /** The things of a certificate, with how they are attached. */
  thingsOf(certificateId: string): ReadonlyMap<string, ThingPrincipalType> {
    return this.#thingsOf.get(certificateId) ?? new Map();
  }

  /** The ids of the certificates attached to a thing. */
  principalsOf(thingName: string): string[] {
    return [...(this.#principalsOf.get(thingName) ?? [])].sort();
  }

  /** Refuses what would give an exclusive certificate a second thing. */
  attachThing(certificateId: string, thingName: string, type: ThingPrincipalType): void {
    this.requireThing(thingName);
    this.requireCertificate(certificateId);
    for (const [other, otherType] of this.thingsOf(certificateId)) {
      if (other === thingName) continue;
      if (otherType === 'EXCLUSIVE_THING') {
        throw iotErrors.invalid(
          `Principal is exclusively attached to another thing: ${this.certificateArn(certificateId)}`,
        );
      }
      if (type === 'EXCLUSIVE_THING') {
        throw iotErrors.invalid(
          `Principal is attached to another thing and cannot be attached exclusively: ${this.certificateArn(certificateId)}`,
        );
      }
    }
    this.#cloud.store.put(THING_PRINCIPALS, `${certificateId}/${thingName}`, type);
    this.#rememberThing(certificateId, thingName, type);
    this.#changed(certificateId);
  }

  detachThing(certificateId: string, thingName: string): void {
    this.requireThing(thingName);
    this.#cloud.store.delete(THING_PRINCIPALS, `${certificateId}/${thingName}`);
    this.#thingsOf.get(certificateId)?.delete(thingName);
    this.#principalsOf.get(thingName)?.delete(certificateId);
    this.#changed(certificateId);
  }

  /** Names of the policies attached to a certificate. */
  policyNamesOf(certificateId: string): string[] {
    return [...(this.#policiesOf.get(certificateId) ?? [])].sort();
  }

  policiesOf(certificateId: string): CompiledPolicy[] {
    return this.policyNamesOf(certificateId).flatMap((name) => this.#policies.get(name) ?? []);
  }

  attachPolicy(certificateId: string, policyName: string): void {
    if (!this.#policies.has(policyName)) throw iotErrors.notFound(`Policy not found: ${policyName}`);
    this.requireCertificate(certificateId);
    const attached = setOf(this.#policiesOf, certificateId);
    if (attached.has(policyName)) return;
    if (attached.size >= MAX_POLICIES_OF_A_CERTIFICATE) {
      throw iotErrors.limit(`A certificate has at most ${MAX_POLICIES_OF_A_CERTIFICATE} policies`);
    }
    this.#cloud.store.put(ATTACHED_POLICIES, `${certificateId}/${policyName}`, true);
    attached.add(policyName);
    this.#changed(certificateId);
  }

  detachPolicy(certificateId: string, policyName: string): void {
    this.#cloud.store.delete(ATTACHED_POLICIES, `${certificateId}/${policyName}`);
    this.#policiesOf.get(certificateId)?.delete(policyName);
    this.#changed(certificateId);
  }

  /** All or nothing in the store; for provisioning, which changes several things at once. */
  transaction<T>(run: () => T): T {
    return this.#cloud.store.transaction(run);
  }

  thingArn(name: string): string {
    return this.#cloud.arn('iot', `thing/${name}`);
  }

  certificateArn(id: string): string {
    return this.#cloud.arn('iot', `cert/${id}`);
  }

  policyArn(name: string): string {
    return this.#cloud.arn('iot', `policy/${name}`);
  }

  /** The certificate id in a principal's ARN. */
  certificateIdOfArn(principal: string): string {
    const prefix = this.certificateArn('');
    const id = principal.startsWith(prefix) ? principal.slice(prefix.length) : '';
    if (!/^[0-9a-f]{64}$/.test(id))
      throw iotErrors.invalid(`Not the ARN of a certificate of this account: ${principal}`);
    return id;
  }

  #putThing(thing: Thing): void {
    this.#cloud.store.put(THINGS, thing.thingName, thing);
    this.#things.set(thing.thingName, thing);
    for (const certificateId of this.principalsOf(thing.thingName)) this.#changed(certificateId);
  }

  #putCertificate(certificate: Certificate): void {
    this.#cloud.store.put(CERTIFICATES, certificate.certificateId, certificate);
    this.#certificates.set(certificate.certificateId, certificate);
    this.#changed(certificate.certificateId);
  }

  #rememberThing(certificateId: string, thingName: string, type: ThingPrincipalType): void {
    const things = this.#thingsOf.get(certificateId) ?? new Map<string, ThingPrincipalType>();
    things.set(thingName, type);
    this.#thingsOf.set(certificateId, things);
    setOf(this.#principalsOf, thingName).add(certificateId);
  }

  #checkAttributes(thingTypeName: string | undefined, attributes: Readonly<Record<string, string>>): void {
    if (thingTypeName !== undefined && !this.#thingTypes.has(thingTypeName)) {
      throw iotErrors.notFound(`Thing type ${thingTypeName} does not exist`);
    }
    const most = thingTypeName === undefined ? MAX_ATTRIBUTES_WITHOUT_TYPE : MAX_ATTRIBUTES;
    const entries = Object.entries(attributes);
    if (entries.length > most)
      throw iotErrors.invalid(
        `A thing ${thingTypeName === undefined ? 'without a type ' : ''}has at most ${most} attributes`,
      );
    for (const [name, value] of entries) {
      if (!/^[a-zA-Z0-9_.,@/:#-]{1,128}$/.test(name)) throw iotErrors.invalid(`Invalid attribute name: ${name}`);
      if (!/^[a-zA-Z0-9_.,@/:#=[\]-]{0,800}$/.test(value))
        throw iotErrors.invalid(`Invalid value of attribute ${name}: ${value}`);
    }
  }

  #changed(certificateId: string): void {
    for (const listener of this.#listeners) listener(certificateId);
  }
}

function pair(key: string): [string, string] {
  const slash = key.indexOf('/');
  return [key.slice(0, slash), key.slice(slash + 1)];
}

function setOf(map: Map<string, Set<string>>, key: string): Set<string> {
  let set = map.get(key);
  if (set === undefined) {
    set = new Set();
    map.set(key, set);
  }
  return set;
}

function sameAttributes(left: Readonly<Record<string, string>>, right: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(left);
  return names.length === Object.keys(right).length && names.every((name) => left[name] === right[name]);
}
