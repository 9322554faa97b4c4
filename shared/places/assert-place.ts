import type { Table } from '../aws/dynamodb.ts';
import { problems } from '../http/problem.ts';
import { getSite, getUnit } from './store.ts';

/**
 * Makes sure that something can be placed there: the site exists, and the unit is one of it. One or two reads.
 *
 * @throws ProblemError 400 that points at `/siteId` or `/unitId`
 */
export async function assertPlace(
  directory: Table,
  place: { readonly siteId?: string | undefined; readonly unitId?: string | undefined },
): Promise<void> {
  const { siteId, unitId } = place;
  if (siteId === undefined) {
    if (unitId !== undefined) throw wrong('/unitId', 'needs a siteId beside it');
    return;
  }
  if ((await getSite(directory, siteId)) === undefined) throw wrong('/siteId', 'is not the id of a site');
  if (unitId !== undefined && (await getUnit(directory, siteId, unitId)) === undefined) {
    throw wrong('/unitId', 'is not the id of a care unit of this site');
  }
}

function wrong(pointer: string, detail: string): Error {
  return problems.invalid(`${pointer} ${detail}.`, [{ pointer, detail }]);
}
