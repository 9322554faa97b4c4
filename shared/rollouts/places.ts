import type { Table } from '../aws/dynamodb.ts';
import { factsOf } from '../places/facts.ts';
import type { Spares, Unit } from '../places/place.ts';
import { PlaceStore } from '../places/store.ts';
import { type Calendar, isOpen } from '../places/windows.ts';
import type { SiteSummary } from './plan/site-summary.ts';
import type { Rollout } from './rollout.ts';

/** What a rollout needs to know of a unit. */
export interface UnitPlace {
  readonly calendar: Calendar;
  readonly spares: Spares | undefined;
}

/** Units that a place's list gives at once. */
const pageSize = 100;

/**
 * The units of sites, each site read once: make one for each run, so that it does not grow stale. A site with all its
 * units is one request for each 100 units.
 */
export class RolloutPlaces {
  readonly #places: PlaceStore;
  readonly #sites = new Map<string, Promise<ReadonlyMap<string, UnitPlace>>>();

  constructor(directory: Table, devices: Table) {
    this.#places = new PlaceStore(directory, devices);
  }

  /** The unit, or undefined when it is not there any more. */
  async unit(siteId: string, unitId: string): Promise<UnitPlace | undefined> {
    return (await this.site(siteId)).get(unitId);
  }

  /** All units of a site by id; none when there is no such site. */
  site(siteId: string): Promise<ReadonlyMap<string, UnitPlace>> {
    const known = this.#sites.get(siteId) ?? this.#read(siteId);
    this.#sites.set(siteId, known);
    return known;
  }

  async #read(siteId: string): Promise<ReadonlyMap<string, UnitPlace>> {
    const site = await this.#places.getSite(siteId);
    const units = new Map<string, UnitPlace>();
    if (site === undefined) return units;
    let after: string | undefined;
    do {
      const page: { readonly items: readonly Unit[]; readonly after?: string } = await this.#places.listUnits(
        siteId,
        pageSize,
        after,
      );
      for (const unit of page.items) {
        units.set(unit.id, { calendar: factsOf(site, unit).calendar, spares: unit.spares });
      }
      after = page.after;
    } while (after !== undefined);
    return units;
  }
}

/** The calendars of the units that have devices in a wave, by site; without the sites that are skipped. */
export async function calendarsOfWave(
  places: RolloutPlaces,
  { skippedSites }: Pick<Rollout, 'skippedSites'>,
  summaries: readonly SiteSummary[],
  wave: number,
): Promise<ReadonlyMap<string, readonly Calendar[]>> {
  const taking = summaries.filter(({ siteId, devices }) => (devices[wave] ?? 0) > 0 && !skippedSites.includes(siteId));
  const calendars = await Promise.all(
    taking.map(async ({ siteId, units }) => {
      const site = await places.site(siteId);
      const ids = new Set(units.filter((load) => load.wave === wave).map(({ unitId }) => unitId));
      return [siteId, [...ids].flatMap((id) => site.get(id)?.calendar ?? [])] as const;
    }),
  );
  return new Map(calendars);
}

/** Whether one of these places is open. A wave with a place that nobody knows any more is not kept waiting by it. */
export const anyOpen = (calendars: readonly Calendar[], now: number): boolean =>
  calendars.length === 0 || calendars.some((calendar) => isOpen(calendar, now));

/** The same calendar is that of many units: each once. */
export function distinct(calendars: Iterable<Calendar>): Calendar[] {
  const known = new Map<string, Calendar>();
  for (const calendar of calendars) known.set(JSON.stringify(calendar), calendar);
  return [...known.values()];
}
