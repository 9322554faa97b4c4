import * as v from 'valibot';
import { pageEntries, pageOf } from '../http/page.ts';
import { BreakGlassReason } from './review.ts';

const tag = 'Reviews';
const time = v.pipe(v.string(), v.isoTimestamp());

/** A review as the API shows it. */
export const ReviewView = v.object({
  id: v.string(),
  state: v.picklist(['open', 'overdue', 'completed']),
  deviceId: v.string(),
  commandId: v.string(),
  type: v.string(),
  breakGlass: v.object({ reasonCode: v.picklist(Object.values(BreakGlassReason)), text: v.string() }),
  by: v.string(),
  at: time,
  dueAt: time,
  siteId: v.optional(v.string()),
  completedBy: v.optional(v.string()),
  completedAt: v.optional(time),
  justified: v.optional(v.boolean()),
  finding: v.optional(v.string()),
});

/** The operations on reviews. */
export const reviewOperations = {
  listReviews: {
    summary: 'List break-glass reviews',
    description:
      'Actions taken without a second person, for another person to review. Open reviews by due time, overdue ones first; `state=completed` lists completed ones.',
    tag,
    query: v.strictObject({ ...pageEntries, state: v.optional(v.picklist(['open', 'completed']), 'open') }),
    answer: { status: 200, description: 'A page of reviews', schema: pageOf(ReviewView) },
  },
  getReview: {
    summary: 'Get a review',
    tag,
    answer: { status: 200, description: 'The review', schema: ReviewView },
  },
  completeReview: {
    summary: 'Complete a review',
    description: 'Must be done by somebody other than the person who acted.',
    tag,
    body: v.strictObject({
      justified: v.boolean(),
      finding: v.pipe(v.string(), v.trim(), v.minLength(10), v.maxLength(1_000)),
    }),
    answer: { status: 200, description: 'The completed review', schema: ReviewView },
    problems: [409],
  },
} as const;
