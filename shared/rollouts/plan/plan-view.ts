import { timestamp } from '../../clock.ts';
import type { DeviceClass, DeviceId } from '../../devices/device.ts';
import type { Spares } from '../../places/place.ts';
import { type Calendar, nextOpening } from '../../places/windows.ts';
import { unitBudget } from '../admission/admission.ts';
import { wordsOfIneligibility } from '../explain.ts';
import { worstShareAfter } from '../gate/intervals.ts';
import { cleanDevicesToPromote } from '../gate/sprt.ts';
import type { WaveDefinition } from '../gate/wave-definition.ts';
import type { SitePlan, UnitLoad } from './plan.ts';
import type { Ineligibility } from './selection.ts';
import type { SiteSummary } from './site-summary.ts';

/** What the preview knows of a unit: its hours, and what must stay in service there. */
export interface PlannedPlace {
  readonly calendar: Calendar;
  readonly spares: Spares | undefined;
}

/** Finds a unit; undefined when it is not there any more. */
export type PlannedPlaceOf = (siteId: string, unitId: string) => PlannedPlace | undefined;

/**
 * What a plan means, before anybody decides on it: which sites and units in which wave, how many devices of a class a unit
 * misses at once, when the first window opens, and what the waves can prove.
 *
 * @param definitions of the waves, in their order
 * @param now milliseconds since the epoch
 */
export function planView(
  definitions: readonly WaveDefinition[],
  summaries: readonly SiteSummary[],
  placeOf: PlannedPlaceOf,
  now: number,
) {
  const openings = new Openings(placeOf, now);
  const sites = summaries.map(({ siteId, digest, devices, units, ineligible }) => ({
    siteId,
    digest,
    devices,
    ineligible: notNull(ineligible),
    units: units.map((load) => unitView(siteId, load, placeOf(siteId, load.unitId), openings.of(siteId, load.unitId))),
  }));
  const waves = definitions.map(({ name, gate, bakeHours }, wave) => {
    const taking = sites.filter(({ devices }) => (devices[wave] ?? 0) > 0);
    const units = taking.flatMap((site) => site.units.filter((unit) => unit.wave === wave));
    const devices = taking.reduce((sum, site) => sum + (site.devices[wave] ?? 0), 0);
    // Both tests must be content.
    const needed = Math.max(cleanDevicesToPromote(gate.failures), cleanDevicesToPromote(gate.silence));
    const first = units.flatMap(({ opensAt }) => opensAt ?? []).sort()[0];
    return {
      name,
      devices,
      sites: taking.length,
      units: units.length,
      unitsThatCanSpareNone: units.filter(({ canSpare }) => !canSpare).length,
      ...(first === undefined ? {} : { firstWindow: first }),
      bakeHours,
      looksFor: gate.failures.p1,
      cleanDevicesToPromote: needed,
      cleanExcludes: worstShareAfter(devices),
      words: provesWords(devices, needed, gate.failures.p1),
    };
  });
  const ineligible: Record<string, number> = {};
  for (const site of sites) {
    for (const [reason, count] of Object.entries(site.ineligible))
      ineligible[reason] = (ineligible[reason] ?? 0) + count;
  }
  return { waves, ineligible, sites };
}

/** A unit's devices of a class in a wave, and what the unit can spare. */
function unitView(siteId: string, load: UnitLoad, place: PlannedPlace | undefined, opensAt: number | undefined) {
  const { wave, unitId, devices, inUnit } = load;
  const keep = place?.spares?.[load.class];
  const spares = unitBudget({ devices: inUnit, keep });
  const atOnce = Math.min(spares, devices);
  return {
    wave,
    unitId,
    class: load.class,
    devices,
    inUnit,
    ...(keep === undefined ? {} : { keep }),
    sparesBefore: spares,
    sparesAfter: spares - atOnce,
    atOnce,
    canSpare: spares > 0,
    ...(opensAt === undefined ? {} : { opensAt: timestamp(opensAt) }),
    words: unitWords(siteId, load, spares, place, opensAt),
  };
}

function unitWords(
  siteId: string,
  { unitId, devices, inUnit, class: deviceClass }: UnitLoad,
  spares: number,
  place: PlannedPlace | undefined,
  opensAt: number | undefined,
): string {
  if (place === undefined) return `There is no unit ${unitId} at site ${siteId} any more: its devices wait.`;
  if (spares === 0) {
    return `All ${inUnit} of ${deviceClass} must stay in service: as things are none of them is ever let in. Lend the unit one, or lower its spares.`;
  }
  const opens = opensAt === undefined ? 'Its window never opens.' : `Its window opens at ${timestamp(opensAt)}.`;
  return `${devices} of ${inUnit} take part, at most ${Math.min(spares, devices)} at once. ${opens}`;
}

function provesWords(devices: number, needed: number, looksFor: number): string {
  const percent = (share: number): string => `${Number((share * 100).toPrecision(2))} %`;
  if (devices === 0) return 'Nobody is in it; it is skipped.';
  const proves = `If none of its ${devices} devices fails, up to ${percent(worstShareAfter(devices))} of all may still fail.`;
  return devices >= needed
    ? `${proves} ${needed} without a failure promote it.`
    : `${proves} They cannot exclude ${percent(looksFor)} by themselves: that takes ${needed}, those of earlier waves counted, or a person who promotes it by hand.`;
}

/** When units open next; those that share their hours are reckoned once. */
class Openings {
  readonly #placeOf: PlannedPlaceOf;
  readonly #now: number;
  readonly #known = new Map<string, number | undefined>();

  constructor(placeOf: PlannedPlaceOf, now: number) {
    this.#placeOf = placeOf;
    this.#now = now;
  }

  of(siteId: string, unitId: string): number | undefined {
    const calendar = this.#placeOf(siteId, unitId)?.calendar;
    if (calendar === undefined) return undefined;
    const key = JSON.stringify(calendar);
    if (!this.#known.has(key)) this.#known.set(key, nextOpening(calendar, this.#now)?.from);
    return this.#known.get(key);
  }
}

const notNull = (counts: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));

/** A device in the plan of its site. */
export interface PlanEntry {
  readonly deviceId: DeviceId;
  /** Missing for one that takes no part. */
  readonly wave?: number;
  /** Its place among the site's devices of the wave, from 0. */
  readonly rank?: number;
  readonly unitId?: string;
  readonly class?: DeviceClass;
  readonly stratum?: string;
  readonly ineligible?: Ineligibility;
  /** Why it takes no part. */
  readonly words?: string;
}

/** What part of a site's plan is asked for: a wave, or those that take no part. */
export type PlanPart = number | 'ineligible' | undefined;

/**
 * The devices of a site, wave by wave in the order of admission, then those that take no part.
 *
 * @param from how many to leave out, from the beginning of the part
 */
export function planEntries(
  { waves, ineligible }: Pick<SitePlan, 'waves' | 'ineligible'>,
  part: PlanPart,
  from: number,
  limit: number,
): { readonly items: readonly PlanEntry[]; readonly next?: number } {
  const entries: PlanEntry[] = [];
  let left = from;
  // One more tells whether there is a next page.
  const take = <Of>(list: readonly Of[], entryOf: (of: Of, index: number) => PlanEntry): void => {
    const begin = Math.min(left, list.length);
    const end = Math.min(list.length, begin + limit + 1 - entries.length);
    for (let index = begin; index < end; index += 1) {
      const of = list[index];
      if (of !== undefined) entries.push(entryOf(of, index));
    }
    left -= begin;
  };
  for (const [wave, devices] of waves.entries()) {
    if (part !== undefined && part !== wave) continue;
    take(devices, ({ id, ...place }, rank) => ({ deviceId: id, wave, rank, ...place }));
  }
  if (part === undefined || part === 'ineligible') {
    take(ineligible, ({ id, reason }) => ({ deviceId: id, ineligible: reason, words: wordsOfIneligibility(reason) }));
  }
  return entries.length > limit ? { items: entries.slice(0, limit), next: from + limit } : { items: entries };
}
