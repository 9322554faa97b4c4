import type { Table } from '../aws/dynamodb.ts';
import { retryContention } from '../aws/retry.ts';
import { type PresenceEvent, presenceAfter } from './presence.ts';
import { savePresence } from './store.ts';

/** What came of a presence event. */
export type Noted = 'noted' | 'nothing-new' | 'unknown-device';

/**
 * Records a connect or disconnect on the head. One request when events come in order; one more when they do not, since
 * the failed condition brings what is known and the rule decides on that.
 */
export async function notePresence(table: Table, event: PresenceEvent): Promise<Noted> {
  const first = presenceAfter(undefined, event);
  if (first === undefined) return 'nothing-new';
  return retryContention(async () => {
    let outcome = await savePresence(table, event.clientId, first);
    while (outcome !== true && outcome !== undefined) {
      const next = presenceAfter(outcome.presence, event);
      if (next === undefined) return 'nothing-new';
      outcome = await savePresence(table, event.clientId, next, outcome.presence);
    }
    return outcome === true ? 'noted' : 'unknown-device';
  });
}
