import type { Table } from '../aws/dynamodb.ts';
import type { AcuityTier, Site, Spares, Unit } from './place.ts';
import { getSite, getUnit } from './store.ts';
import type { Calendar } from './windows.ts';

/** What safety rules need to know of where a device stands. */
export interface PlaceFacts {
  /** Undefined for a device that is in no unit. */
  readonly tier?: AcuityTier;
  /** When the unit was last changed (RFC 3339). */
  readonly tierSince?: string;
  /** The least number of working devices of each class that must stay in service in the unit; undefined when it says nothing. */
  readonly spares?: Spares;
  readonly calendar: Calendar;
}

/** Finds the facts of a place; undefined when the device stands nowhere that is known. */
export type PlaceOf = (device: {
  readonly siteId?: string;
  readonly unitId?: string;
}) => Promise<PlaceFacts | undefined>;

/** The facts of a unit: its own hours where it has some, else those of the site. Freezes are the site's. */
export function factsOf(site: Site, unit: Unit | undefined): PlaceFacts {
  return {
    ...(unit === undefined ? {} : { tier: unit.acuityTier, tierSince: unit.updatedAt }),
    ...(unit?.spares === undefined ? {} : { spares: unit.spares }),
    calendar: {
      zone: unit?.timeZone ?? site.timeZone,
      windows: unit?.maintenanceWindows ?? site.maintenanceWindows,
      blackouts: unit?.blackouts ?? site.blackouts,
      freezes: site.freezes,
    },
  };
}

/** How long a worker goes by what it has read. A freeze that is declared takes effect after this. */
export const placeMilliseconds = 1_000;

/**
 * Reads places, site and unit in two consistent reads at the same time, and remembers each for a second: a ward whose
 * devices all come for their commands at once costs no more than one of them.
 *
 * @param now milliseconds, our clock
 */
export function placeReader(directory: Table, now: () => number): PlaceOf {
  const known = new Map<string, { readonly at: number; readonly facts: Promise<PlaceFacts | undefined> }>();
  return ({ siteId, unitId }) => {
    if (siteId === undefined) return Promise.resolve(undefined);
    const key = `${siteId} ${unitId ?? ''}`;
    const earlier = known.get(key);
    if (earlier !== undefined && now() - earlier.at < placeMilliseconds) return earlier.facts;
    for (const [other, { at }] of known) if (now() - at >= placeMilliseconds) known.delete(other);
    const facts = readFacts(directory, siteId, unitId);
    known.set(key, { at: now(), facts });
    // What failed is not remembered.
    facts.catch(() => known.delete(key));
    return facts;
  };
}

async function readFacts(
  directory: Table,
  siteId: string,
  unitId: string | undefined,
): Promise<PlaceFacts | undefined> {
  const [site, unit] = await Promise.all([
    getSite(directory, siteId),
    unitId === undefined ? undefined : getUnit(directory, siteId, unitId),
  ]);
  return site === undefined ? undefined : factsOf(site, unit);
}
