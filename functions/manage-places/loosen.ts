import { type Alert, AlertKind, alertPart } from '../../shared/alerts/alert.ts';
import type { AuditEntry } from '../../shared/audit/record.ts';
import type { Table } from '../../shared/aws/dynamodb.ts';
import type { WritePart } from '../../shared/devices/store.ts';
import type { Caller } from '../../shared/identity/caller.ts';
import type { Guard } from '../../shared/identity/guard.ts';
import type { Resource } from '../../shared/identity/resource.ts';
import type { PlaceFacts } from '../../shared/places/facts.ts';
import { loosenedBy } from '../../shared/places/loosening.ts';

/** A change of a place that the caller may make. */
export interface PlaceChange {
  readonly caller: Caller;
  readonly resource: Resource;
  /** Partition of its audit trail. */
  readonly partition: string;
  /** The permission to change it at all. */
  readonly permit: AuditEntry;
  readonly before: PlaceFacts;
  readonly after: PlaceFacts;
  readonly place: Pick<Alert, 'siteId' | 'unitId'>;
  readonly now: Date;
}

/**
 * What a change that lets more through takes besides: a fresh second factor, and an alert in its transaction. One person is
 * enough, since it lets nothing go that is in use, nor past two people and the limits.
 *
 * @returns the beginning of the audit record, and the writes that belong to the change
 * @throws ProblemError 401 when signing in again would be enough, 403
 */
export async function permitLoosening(
  { guard, directory }: { readonly guard: Guard; readonly directory: Table },
  { caller, resource, partition, permit, before, after, place, now }: PlaceChange,
): Promise<{ readonly entry: AuditEntry; readonly parts: readonly WritePart[] }> {
  const loosened = loosenedBy(before, after, now.getTime());
  if (loosened.length === 0) return { entry: permit, parts: [] };
  const { policyIds = [] } = await guard.permit(caller, 'LoosenPlace', resource, partition, now);
  const alert = {
    kind: AlertKind.PlaceLoosened,
    actor: permit.actor,
    summary: `${permit.actor} loosened ${loosened.join(', ')} of ${resource.name.replace('/', ' ')}.`,
    see: `/v1/sites/${place.siteId}${place.unitId === undefined ? '' : `/units/${place.unitId}`}`,
    ...place,
    details: { loosened },
  };
  const entry = { ...permit, policyIds: [...new Set([...(permit.policyIds ?? []), ...policyIds])] };
  return { entry, parts: [alertPart(directory, alert, now)] };
}
