import { createHash } from 'node:crypto';
import { canonicalJson } from '../../canonical-json.ts';
import type { DeviceClass, DeviceId } from '../../devices/device.ts';
import type { RolloutDefinition } from '../rollout.ts';
import { type Drawn, lotOf, RolloutOrder, riskOf, standings } from './order.ts';
import type { PlanRequest } from './plan-request.ts';
import { type Candidate, type Ineligibility, ineligibilityOf, isSelected } from './selection.ts';
import { resolveScopes, surveyUnits, type Takes } from './survey.ts';

/** A device's place in the plan. */
export interface PlannedDevice {
  readonly id: DeviceId;
  readonly unitId: string;
  readonly class: DeviceClass;
  /** `<hardware revision>/<unit type>`; with the site, the stratum. */
  readonly stratum: string;
}

/** How many devices of a class of a unit a wave takes: against the unit's spares, this says what a unit loses. */
export interface UnitLoad {
  readonly wave: number;
  readonly unitId: string;
  readonly class: DeviceClass;
  readonly devices: number;
  /** All of the class that are enrolled in the unit, selected or not: what the unit's spares are reckoned from. */
  readonly inUnit: number;
}

/** The plan of one site. */
export interface SitePlan {
  readonly siteId: string;
  /** For each wave its devices in the order of admission; often empty. */
  readonly waves: readonly (readonly PlannedDevice[])[];
  readonly ineligible: readonly { readonly id: DeviceId; readonly reason: Ineligibility }[];
  readonly units: readonly UnitLoad[];
  /** SHA-256 over who comes when. Lower-case hex. */
  readonly digest: string;
}

/** Devices by site: all of a site in a row. May be read more than once. */
export type CandidateSource = () => AsyncIterable<Candidate> | Iterable<Candidate>;

/** Devices without a site are planned under this name, all ineligible. */
export const noSite = '';

/**
 * Plans site by site, so that no more than the devices of one site are in memory. The devices are read twice: first to
 * see which units and sites there are, then to plan them.
 *
 * @throws Error when the devices of a site do not come in a row
 */
export async function* planSites(request: PlanRequest, source: CandidateSource): AsyncGenerator<SitePlan> {
  const units = await surveyUnits(request, source());
  const resolved: Resolved = {
    takes: resolveScopes(request, units),
    scores: new Map(units.map(({ siteId, unitId, score }) => [`${siteId}/${unitId}`, score])),
  };
  const planned = new Set<string>();
  let siteId: string | undefined;
  let devices: Candidate[] = [];
  let present = new Map<string, number>();
  for await (const device of source()) {
    const place = device.siteId ?? noSite;
    if (place !== siteId) {
      if (siteId !== undefined) yield planSite(request, resolved, { siteId, devices, present });
      if (planned.has(place)) throw new Error(`The devices of site ${place} do not come in a row.`);
      planned.add(place);
      siteId = place;
      devices = [];
      present = new Map();
    }
    if (device.enrolled) {
      const key = unitClassOf(device);
      present.set(key, (present.get(key) ?? 0) + 1);
    }
    if (isSelected(request.selection, device)) devices.push(device);
  }
  if (siteId !== undefined) yield planSite(request, resolved, { siteId, devices, present });
}

/** What the first look at all devices came to. */
interface Resolved {
  readonly takes: readonly Takes[];
  /** Of units with devices that take part, by `<site>/<unit>`. */
  readonly scores: ReadonlyMap<string, number>;
}

/** The devices of a site that are selected, and how many there are by unit and class, selected or not. */
interface SiteDevices {
  readonly siteId: string;
  readonly devices: readonly Candidate[];
  readonly present: ReadonlyMap<string, number>;
}

const unitClassOf = ({ unitId = '', class: deviceClass }: Pick<Candidate, 'unitId' | 'class'>): string =>
  `${unitId}/${deviceClass}`;

interface Eligible extends Drawn {
  readonly unitId: string;
  readonly class: DeviceClass;
}

function planSite(
  request: PlanRequest,
  { takes, scores }: Resolved,
  { siteId, devices, present }: SiteDevices,
): SitePlan {
  const ineligible: { id: DeviceId; reason: Ineligibility }[] = [];
  const eligible: Eligible[] = [];
  const toldApart = commonRevisions(devices);
  for (const device of devices) {
    const reason = ineligibilityOf(device, request.target, request.selection.versions);
    if (reason === undefined && device.unitId !== undefined) {
      const unitScore = scores.get(`${siteId}/${device.unitId}`) ?? 0;
      eligible.push(draw(request, device, device.unitId, unitScore, toldApart));
    }
    if (reason !== undefined) ineligible.push({ id: device.id, reason });
  }
  const waves: PlannedDevice[][] = takes.map(() => []);
  for (const { device, standing } of standings(eligible)) {
    const wave = takes.findIndex((take) => take(siteId, device.unitId, standing));
    waves[wave]?.push({ id: device.id, unitId: device.unitId, class: device.class, stratum: device.stratum });
  }
  return { siteId, waves, ineligible, units: loadsOf(waves, present), digest: digestOf(siteId, waves) };
}

/**
 * Hardware revisions of a site that are told apart, the most frequent ones. Devices write what they like there, some their
 * serial number: each stratum is taken rounded up, so that a share of very many of them would be all devices, and each is
 * a count in the tallies.
 */
const mostRevisions = 20;

function commonRevisions(devices: readonly Candidate[]): ReadonlySet<string> {
  const counts = new Map<string, number>();
  for (const { hardwareRevision } of devices) {
    if (hardwareRevision !== undefined) counts.set(hardwareRevision, (counts.get(hardwareRevision) ?? 0) + 1);
  }
  const frequent = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return new Set(frequent.slice(0, mostRevisions).map(([revision]) => revision));
}

function draw(
  request: PlanRequest,
  device: Candidate,
  unitId: string,
  unitScore: number,
  toldApart: ReadonlySet<string>,
): Eligible {
  const { hardwareRevision = 'unknown' } = device;
  return {
    id: device.id,
    unitId,
    class: device.class,
    stratum: `${hardwareRevision === 'unknown' || toldApart.has(hardwareRevision) ? hardwareRevision : 'other'}/${device.unitType}`,
    lot: lotOf(request.rolloutId, device.id),
    risk: request.order === RolloutOrder.RiskFirst ? riskOf(device, unitScore) : 0,
  };
}

function loadsOf(waves: readonly (readonly PlannedDevice[])[], present: ReadonlyMap<string, number>): UnitLoad[] {
  const loads = new Map<string, UnitLoad>();
  for (const [wave, devices] of waves.entries()) {
    for (const { unitId, class: deviceClass } of devices) {
      const key = `${wave}/${unitId}/${deviceClass}`;
      const inUnit = present.get(unitClassOf({ unitId, class: deviceClass })) ?? 0;
      loads.set(key, { wave, unitId, class: deviceClass, devices: (loads.get(key)?.devices ?? 0) + 1, inUnit });
    }
  }
  return [...loads.values()];
}

/** The digest of a site's plan: who comes when. Lower-case hex. */
export function digestOf(siteId: string, waves: readonly (readonly PlannedDevice[])[]): string {
  const digest = createHash('sha256').update(`${siteId}\n`);
  for (const [wave, devices] of waves.entries()) {
    digest.update(`${wave}\n${devices.map(({ id }) => id).join('\n')}\n`);
  }
  return digest.digest('hex');
}

/** The digest of a whole plan from those of its sites, in whichever order these were planned. */
export function planDigest(sites: Iterable<Pick<SitePlan, 'siteId' | 'digest'>>): string {
  const lines = [...sites].map(({ siteId, digest }) => `${siteId} ${digest}`).sort();
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

/**
 * The digest that two people approve: of who comes when, and of all that the rollout says. Who comes when is often the
 * same for another artifact or a weaker gate: whoever looked at the one must not approve the other. Lower-case hex.
 */
export const approvalDigest = (
  definition: RolloutDefinition,
  sites: Iterable<Pick<SitePlan, 'siteId' | 'digest'>>,
): string =>
  createHash('sha256')
    .update(`${planDigest(sites)}\n${canonicalJson(definition)}`)
    .digest('hex');
