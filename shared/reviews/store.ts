import { GetCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import type { AuditItem } from '../audit/record.ts';
import type { Table } from '../aws/dynamodb.ts';
import { cancellationsOf, type Item } from '../aws/errors.ts';
import { retryContention } from '../aws/retry.ts';
import { auditPart, transact, type WritePart } from '../devices/store.ts';
import type { Review } from './review.ts';

/** Partition of a review and its audit trail in the Directory table. */
export const reviewPartition = (id: string): string => `REVIEW#${id}`;

const sortKey = 'REVIEW';
/** Partitions of the index `byKind`: open reviews lie apart, so that none is overlooked behind a thousand done ones. */
const kinds = { open: 'REVIEW#OPEN', completed: 'REVIEW#DONE' } as const;

/** The write that opens a review, for the transaction of the command that it is about. */
export function reviewPart(directory: Table, review: Review): WritePart {
  return {
    Put: { TableName: directory.name, Item: itemOf(review), ConditionExpression: 'attribute_not_exists(pk)' },
  };
}

/** Reads a review consistently. */
export async function getReview(directory: Table, id: string): Promise<Review | undefined> {
  const { Item } = await directory.client.send(
    new GetCommand({ TableName: directory.name, Key: { pk: reviewPartition(id), sk: sortKey }, ConsistentRead: true }),
  );
  return Item === undefined ? undefined : reviewOf(Item);
}

/** A page of reviews, open ones by when they are due, completed ones the newest first. */
export async function listReviews(
  directory: Table,
  which: 'open' | 'completed',
  limit: number,
  after?: string,
): Promise<{ readonly items: readonly Review[]; readonly after?: string }> {
  const answer = await directory.client.send(
    new QueryCommand({
      TableName: directory.name,
      IndexName: 'byKind',
      KeyConditionExpression: 'gsi1pk = :kind',
      ExpressionAttributeValues: { ':kind': kinds[which] },
      ScanIndexForward: which === 'open',
      Limit: limit,
      ...(after === undefined
        ? {}
        : {
            ExclusiveStartKey: {
              gsi1pk: kinds[which],
              gsi1sk: after,
              pk: reviewPartition(after.slice(after.indexOf('#') + 1)),
              sk: sortKey,
            },
          }),
    }),
  );
  const last = answer.LastEvaluatedKey?.['gsi1sk'];
  return { items: (answer.Items ?? []).map(reviewOf), ...(typeof last === 'string' ? { after: last } : {}) };
}

/** Stores a completed review with its audit record; false, and nothing written, when it was completed already. */
export async function completeReview(directory: Table, review: Review, audit: AuditItem): Promise<boolean> {
  try {
    await retryContention(() =>
      transact(directory, [
        {
          Put: {
            TableName: directory.name,
            Item: itemOf(review),
            ConditionExpression: 'attribute_exists(pk) AND attribute_not_exists(completedAt)',
          },
        },
        auditPart(directory, audit),
      ]),
    );
    return true;
  } catch (error) {
    if (cancellationsOf(error)?.some(({ code }) => code === 'ConditionalCheckFailed')) return false;
    throw error;
  }
}

function itemOf(review: Review): Item {
  const done = review.completedAt;
  return {
    pk: reviewPartition(review.id),
    sk: sortKey,
    gsi1pk: done === undefined ? kinds.open : kinds.completed,
    gsi1sk: `${done ?? review.dueAt}#${review.id}`,
    ...review,
  };
}

/** Only this file makes such items, so their form is known. */
function reviewOf(item: Item): Review {
  const { pk: _pk, sk: _sk, gsi1pk: _kind, gsi1sk: _position, ...review } = item;
  return review as unknown as Review;
}
