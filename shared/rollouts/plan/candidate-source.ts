import type { Table } from '../../aws/dynamodb.ts';
import type { AcuityTier } from '../../places/place.ts';
import { PlaceStore } from '../../places/store.ts';
import type { RolloutDefinition } from '../rollout.ts';
import { candidateOf, listedCandidate, mayBeSelected, type Tiers } from './candidates.ts';
import { listFleet, readFleet } from './fleet-store.ts';
import type { CandidateSource } from './plan.ts';
import type { Candidate } from './selection.ts';

/** Where planning reads. */
export interface FleetTables {
  readonly devices: Table;
  readonly directory: Table;
}

/** Devices in memory at once while they are read; what is kept of them is small. Inventories have up to 128 KB. */
const pageSize = 300;

/**
 * All devices of the selected sites, site by site, those without a site last. Those that cannot be selected come too,
 * since they count in their units, but nobody reads more of them than the list says.
 */
export function candidateSource(
  tables: FleetTables,
  { artifact, selection, advisories }: RolloutDefinition,
): CandidateSource {
  const places = new PlaceStore(tables.directory, tables.devices);

  async function* ofSite(siteId: string | undefined, tiers: Tiers): AsyncGenerator<Candidate> {
    for await (const page of listFleet(tables.devices, siteId, pageSize)) {
      const selected = page.filter((listed) => mayBeSelected(selection, listed)).map(({ id }) => id);
      const facts = await readFleet(tables.devices, selected, artifact.kind);
      for (const listed of page) {
        const known = facts.get(listed.id);
        yield known === undefined
          ? listedCandidate(listed, tiers)
          : candidateOf(listed, known, tiers, artifact, advisories);
      }
    }
  }

  return async function* read() {
    const siteIds = selection.siteIds ?? (await everySite(places));
    for (const siteId of new Set(siteIds)) {
      const tiers = await tiersOf(places, siteId);
      if (selection.unitIds === undefined || selection.unitIds.some((unitId) => tiers.has(unitId))) {
        yield* ofSite(siteId, tiers);
      }
    }
    if (selection.siteIds === undefined && selection.unitIds === undefined) yield* ofSite(undefined, new Map());
  };
}

async function everySite(places: PlaceStore): Promise<string[]> {
  return everything(async (after) => {
    const { items, ...next } = await places.listSites(100, after);
    return { items: items.map(({ id }) => id), ...next };
  });
}

async function tiersOf(places: PlaceStore, siteId: string): Promise<Tiers> {
  return new Map(
    await everything(async (after) => {
      const { items, ...next } = await places.listUnits(siteId, 100, after);
      return { items: items.map(({ id, acuityTier }): [string, AcuityTier] => [id, acuityTier]), ...next };
    }),
  );
}

async function everything<Entry>(
  read: (after: string | undefined) => Promise<{ readonly items: readonly Entry[]; readonly after?: string }>,
): Promise<Entry[]> {
  const all: Entry[] = [];
  let after: string | undefined;
  do {
    const page = await read(after);
    all.push(...page.items);
    after = page.after;
  } while (after !== undefined);
  return all;
}
