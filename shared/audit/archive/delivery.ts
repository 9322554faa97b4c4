import type { Item } from '../../aws/errors.ts';
import type { Change } from '../../aws/stream.ts';
import { auditPrefix } from '../record.ts';
import type { Entry } from './append.ts';

/** An entry and the delivery that brought it. */
export interface Delivery {
  readonly entry: Entry;
  /** Names the delivery in a partial batch response. */
  readonly sequenceNumber: string;
  /** Whether it tells that a record in a table was changed or removed, which nothing in Wardline does. */
  readonly tampering: boolean;
}

/**
 * What a change of a table brings to the archive: a new audit record as it is; for a record that was changed or removed
 * afterwards the evidence, a record of its own that holds both states. Undefined for items that are no audit records.
 *
 * @param at when the change was made, by the stream
 */
export function deliveryOf(change: Change, at: Date): Delivery | undefined {
  const { sequenceNumber, kind, before, after } = change;
  const item = after ?? before;
  if (item === undefined || !isAudit(item)) return undefined;
  if (kind === 'INSERT') return { entry: entryOf(item), sequenceNumber, tampering: false };
  const time = at.toISOString();
  const id = `${String(item['id'])}-${sequenceNumber}`;
  const { resource, siteId } = before ?? {};
  return {
    entry: {
      source: { pk: String(item['pk']), sk: `${auditPrefix}${time}#${id}` },
      record: {
        id,
        at: time,
        actor: 'unknown',
        action: kind === 'REMOVE' ? 'RemoveAuditRecord' : 'ChangeAuditRecord',
        resource: typeof resource === 'string' ? resource : 'organization',
        ...(typeof siteId === 'string' ? { siteId } : {}),
        outcome: 'allowed',
        reason: 'A record of the audit trail was altered in its table. Wardline itself never does that.',
        ...(before === undefined ? {} : { before }),
        ...(after === undefined ? {} : { after }),
      },
    },
    sequenceNumber,
    tampering: true,
  };
}

/** An audit record as a table holds it, as an entry of a chain. */
export function entryOf(item: Item): Entry {
  const { pk, sk, ...record } = item;
  return { source: { pk: String(pk), sk: String(sk) }, record };
}

function isAudit(item: Item): boolean {
  return typeof item['sk'] === 'string' && item['sk'].startsWith(auditPrefix);
}
