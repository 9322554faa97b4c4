import type { SendAll } from '../../shared/aws/batch-sender.ts';
import type { Change } from '../../shared/aws/stream.ts';
import { type HandOnQueue, handOn } from '../../shared/devices/hand-on.ts';
import type { KeptForward } from '../../shared/devices/kept-forward-store.ts';

/** What handing on works with. */
export interface HandOnMeans {
  readonly send: Readonly<Record<HandOnQueue, SendAll>>;
  /** Keeps what its queue did not take. */
  readonly keep: (kept: KeptForward) => Promise<void>;
  readonly report: (problem: string, error: unknown) => void;
}

/**
 * Hands changes on to the queues of those that need them. What a queue does not take is kept in the table, from where
 * `device-forward-again` brings it: to repeat the batch until the queue takes messages again would hold up the wake-ups
 * of all other devices.
 *
 * @returns the sequence numbers of changes that could neither be sent nor kept
 */
export async function handOnAll(means: HandOnMeans, changes: readonly Change[]): Promise<string[]> {
  const handed = changes.flatMap((change): KeptForward[] => {
    const one = handOn(change);
    return one === undefined ? [] : [{ ...one, sequenceNumber: change.sequenceNumber }];
  });
  const lost = await Promise.all(
    Object.entries(means.send).map(async ([queue, send]) => {
      const own = handed.filter((one) => one.queue === queue);
      if (own.length === 0) return [];
      const refused = (await send(own.map(({ body }) => body))).flatMap((index) => own[index] ?? []);
      const kept = await Promise.all(refused.map((one) => attempt(means, one)));
      return refused.flatMap(({ sequenceNumber }, index) => (kept[index] ? [] : [sequenceNumber]));
    }),
  );
  return lost.flat();
}

async function attempt({ keep, report }: HandOnMeans, one: KeptForward): Promise<boolean> {
  try {
    await keep(one);
    return true;
  } catch (error) {
    report('a change could neither be handed on nor kept', error);
    return false;
  }
}
