import type { Table } from '../aws/dynamodb.ts';
import { retryContention } from '../aws/retry.ts';
import type { Presence } from './device.ts';
import { type PresenceEvent, presenceAfter } from './presence.ts';
import { savePresence } from './store.ts';

/** What came of a presence event. */
export type Noted = 'noted' | 'nothing-new' | 'unknown-device';

/**
 * Records a connect or disconnect on the head. The first try supposes that no presence is known; the failed condition
 * brings the one that is, so that no read is needed: two requests, one for a device's first event.
 */
export async function notePresence(table: Table, event: PresenceEvent): Promise<Noted> {
  let known: Presence | undefined;
  return retryContention(async () => {
    for (;;) {
      const next = presenceAfter(known, event);
      if (next === undefined) return 'nothing-new';
      const outcome = await savePresence(table, event.clientId, known, next);
      if (outcome === true) return 'noted';
      if (outcome === undefined) return 'unknown-device';
      known = outcome.presence;
    }
  });
}
