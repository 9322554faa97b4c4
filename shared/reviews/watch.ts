import { AlertKind } from '../alerts/alert.ts';
import { raise } from '../alerts/store.ts';
import type { Table } from '../aws/dynamodb.ts';
import { type Review, reviewState } from './review.ts';
import { listReviews } from './store.ts';

/**
 * Finds the reviews that nobody completed in time, and raises an alert for each, once a day until somebody does.
 *
 * @returns how many are overdue
 */
export async function alarmOverdue(directory: Table, now: Date): Promise<number> {
  let overdue = 0;
  let after: string | undefined;
  do {
    const page = await listReviews(directory, 'open', 100, after);
    const late = page.items.filter((review) => reviewState(review, now.getTime()) === 'overdue');
    for (const review of late) await raiseFor(directory, review, now);
    overdue += late.length;
    // By when they are due: behind the first that is not due yet comes no other.
    after = late.length === page.items.length ? page.after : undefined;
  } while (after !== undefined);
  return overdue;
}

async function raiseFor(directory: Table, review: Review, now: Date): Promise<void> {
  const { id, deviceId, type, by, dueAt, siteId } = review;
  const alert = {
    kind: AlertKind.ReviewOverdue,
    actor: by,
    summary: `Nobody has reviewed what ${by} did alone: ${type} of device ${deviceId}. It was due at ${dueAt}.`,
    see: `/v1/reviews/${id}`,
    ...(siteId === undefined ? {} : { siteId }),
  };
  await raise(directory, alert, now, `review#${id}#${now.toISOString().slice(0, 10)}`);
}
