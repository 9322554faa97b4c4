import type { PlaceStore } from './store.ts';

/** A place that was found, or why it was not. */
export type FoundPlace = { readonly siteId?: string; readonly unitId?: string } | { readonly reason: string };

/**
 * Finds sites and care units by id or by name, as people write them in lists. Reads the sites once and the units of a
 * site once; make one for each run, so that it does not grow stale.
 */
export class PlaceLookup {
  readonly #places: PlaceStore;
  #sites: Promise<Map<string, string | undefined>> | undefined;
  readonly #units = new Map<string, Promise<Map<string, string | undefined>>>();

  constructor(places: PlaceStore) {
    this.#places = places;
  }

  /** @param site id or name; @param unit id or name, only together with a site */
  async find(site: string | undefined, unit: string | undefined): Promise<FoundPlace> {
    if (site === undefined) return {};
    this.#sites ??= everything((after) => this.#places.listSites(100, after));
    const sites = await this.#sites;
    const siteId = sites.get(keyOf(site));
    if (siteId === undefined) return notFound(sites, site, 'site');
    if (unit === undefined) return { siteId };
    const reading = this.#units.get(siteId) ?? everything((after) => this.#places.listUnits(siteId, 100, after));
    this.#units.set(siteId, reading);
    const units = await reading;
    const unitId = units.get(keyOf(unit));
    return unitId === undefined ? notFound(units, unit, 'care unit') : { siteId, unitId };
  }
}

/** Ids by id and by name. A name that two places share is `undefined`: it names neither. */
async function everything(
  read: (after: string | undefined) => Promise<{ items: readonly { id: string; name: string }[]; after?: string }>,
): Promise<Map<string, string | undefined>> {
  const found = new Map<string, string | undefined>();
  let after: string | undefined;
  do {
    const page = await read(after);
    for (const { id, name } of page.items) {
      found.set(keyOf(name), found.has(keyOf(name)) ? undefined : id);
      found.set(id, id);
    }
    after = page.after;
  } while (after !== undefined);
  return found;
}

function keyOf(text: string): string {
  return text.trim().toLowerCase().replace(/\s+/g, ' ');
}

function notFound(known: ReadonlyMap<string, unknown>, text: string, what: string): FoundPlace {
  return {
    reason: known.has(keyOf(text)) ? `There are two ${what}s with this name; use the id.` : `There is no such ${what}.`,
  };
}
