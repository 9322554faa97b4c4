import type { CedarValueJson, EntityJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { ClinicalState, Device, DeviceClass } from '../devices/device.ts';
import { isPersonal } from '../interlock/disruption.ts';
import { everySite } from './caller.ts';

/** Something that a decision is about, in the form that Cedar takes. */
export interface Resource {
  /** `<kind>/<id>`, as in audit records. */
  readonly name: string;
  /** The site that it belongs to. */
  readonly siteId?: string;
  readonly entity: EntityJson;
}

/** Id of the place that all sites lie in. */
export const organizationId = 'organization';

const namespace = 'Wardline';

/** Reference to an entity. */
export function uid(type: string, id: string): { type: string; id: string } {
  return { type: `${namespace}::${type}`, id };
}

/** The whole organization: what sites are created in. */
export function organization(): Resource {
  return { name: organizationId, entity: { uid: uid('Place', organizationId), attrs: {}, parents: [] } };
}

/** A site. */
export function siteResource(siteId: string): Resource {
  return { name: `site/${siteId}`, siteId, entity: entity('Place', siteId, {}, []) };
}

/** A care unit of a site. */
export function unitResource(siteId: string, unitId: string): Resource {
  return { name: `unit/${unitId}`, siteId, entity: entity('Place', unitId, {}, [siteId]) };
}

/** What the policies may know of a device. */
export type DeviceFacts = Pick<
  Device,
  'id' | 'platform' | 'class' | 'ownership' | 'lifecycle' | 'siteId' | 'unitId'
> & {
  readonly clinical?: { readonly state: ClinicalState };
};

/** A device, where it is placed. A device that has not said what it does counts as `unknown`. */
export function deviceResource(device: DeviceFacts): Resource {
  const { id, platform, class: deviceClass, ownership, lifecycle, siteId, unitId } = device;
  const attributes = {
    platform,
    class: deviceClass,
    ownership,
    lifecycle,
    clinicalState: device.clinical?.state ?? 'unknown',
  };
  return {
    name: `device/${id}`,
    ...(siteId === undefined ? {} : { siteId }),
    entity: entity('Device', id, attributes, [unitId, siteId]),
  };
}

/** What the policies may know of an enrollment token. */
export interface TokenFacts {
  readonly id: string;
  readonly siteId?: string | undefined;
  readonly platform?: string | undefined;
  readonly class?: string | undefined;
}

/** An enrollment token. Without a site it lies in the organization, and only those who may act everywhere reach it. */
export function tokenResource(token: TokenFacts): Resource {
  return {
    name: `token/${token.id}`,
    ...(token.siteId === undefined ? {} : { siteId: token.siteId }),
    entity: entity('EnrollmentToken', token.id, { platform: token.platform ?? 'any', class: token.class ?? 'any' }, [
      token.siteId,
    ]),
  };
}

/** An import; `owner` is the `sub` of whoever uploaded it. */
export function importResource(id: string, owner: string): Resource {
  return { name: `import/${id}`, entity: entity('Import', id, { owner: { __entity: uid('User', owner) } }, []) };
}

/** What the policies may know of a rollout. */
export interface RolloutFacts {
  readonly id: string;
  /** Undefined: it is not limited to sites. */
  readonly siteIds?: readonly string[] | undefined;
  /** Undefined: it is for devices of all classes. */
  readonly classes?: readonly DeviceClass[] | undefined;
}

/** A rollout. It lies in the organization only: who acts for one of its sites does not act for the others. */
export function rolloutResource({ id, siteIds = [], classes }: RolloutFacts): Resource {
  const [siteId] = siteIds.length === 1 ? siteIds : [];
  const attributes = {
    sites: placesOf(siteIds.length === 0 ? [everySite] : siteIds),
    careClasses: classes === undefined || classes.some((each) => !isPersonal(each)),
    personalClasses: classes === undefined || classes.some(isPersonal),
  };
  return {
    name: `rollout/${id}`,
    ...(siteId === undefined ? {} : { siteId }),
    entity: entity('Rollout', id, attributes, []),
  };
}

/** The places of a caller, out of the sites of the token. Everywhere is `*` alone: no site has the organization's id. */
export function placesOf(sites: readonly string[]): CedarValueJson[] {
  // Only `*` stands for the organization: no site has its name.
  const own = sites.filter((site) => site !== organizationId);
  return own.map((site) => ({ __entity: uid('Place', site === everySite ? organizationId : site) }));
}

/** Ancestors are written out, so that the places themselves need not be sent along with each request. */
function entity(
  type: string,
  id: string,
  attrs: Record<string, CedarValueJson>,
  places: readonly (string | undefined)[],
): EntityJson {
  const known = new Set([...places.filter((place) => place !== undefined), organizationId]);
  // Ids come from the request before anybody knows whether there is such a place: Cedar refuses what lies in itself.
  if (type === 'Place') known.delete(id);
  return { uid: uid(type, id), attrs, parents: [...known].map((place) => uid('Place', place)) };
}
