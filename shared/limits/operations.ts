import * as v from 'valibot';
import { ApprovalView } from '../approvals/operations.ts';
import { Limits } from './limits.ts';

const tag = 'Limits';

/** The limits as the API shows them. */
export const LimitsView = v.object({
  limits: Limits,
  changedBy: v.optional(v.pipe(v.array(v.string()), v.description('Both people. Missing while the defaults hold'))),
  changedAt: v.optional(v.pipe(v.string(), v.isoTimestamp())),
});

/** The operations on limits. */
export const limitOperations = {
  getLimits: {
    summary: 'Read how much may be done in an hour',
    tag,
    answer: { status: 200, description: 'The limits that hold now', schema: LimitsView },
  },
  updateLimits: {
    summary: 'Ask for other limits',
    description: 'They hold once another person approved them.',
    tag,
    body: Limits,
    answer: { status: 202, description: 'Waits for a second person', schema: ApprovalView, location: true },
  },
} as const;
