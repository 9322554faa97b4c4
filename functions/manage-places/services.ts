import type { Table } from '../../shared/aws/dynamodb.ts';
import type { WakeHeld } from '../../shared/commands/wake-held.ts';
import { problems } from '../../shared/http/problem.ts';
import type { Guard } from '../../shared/identity/guard.ts';
import type { Site } from '../../shared/places/place.ts';
import type { PlaceStore } from '../../shared/places/store.ts';

/** What the operations on places work with. */
export interface Services {
  readonly directory: Table;
  readonly devices: Table;
  readonly places: PlaceStore;
  readonly guard: Guard;
  /** Has the devices of a place woken whose commands wait for its hours or tier. Never fails: they come by themselves as well. */
  readonly wakeHeld: WakeHeld;
}

/** The site, or 404. */
export async function requireSite(places: PlaceStore, siteId: string): Promise<Site> {
  const site = await places.getSite(siteId);
  if (site === undefined) throw problems.notFound('There is no site with this id.');
  return site;
}

/** The answer when somebody else changed the thing between our reading and our writing. */
export function changedMeanwhile(): Error {
  return problems.preconditionFailed(
    'It was changed at the same moment. Read it again, look at the change, then decide.',
  );
}
