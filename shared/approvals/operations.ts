import * as v from 'valibot';
import { pageEntries, pageOf } from '../http/page.ts';
import { ApprovalState } from './approval.ts';

const tag = 'Approvals';
const time = v.pipe(v.string(), v.isoTimestamp());
const remark = v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(500));

/** What became of one device of a request. */
export const DeviceResult = v.object({
  deviceId: v.string(),
  commandId: v.optional(v.string()),
  refused: v.optional(v.pipe(v.string(), v.description('Why it was not done for this device'))),
});

/** A request that needs a second person, as the API shows it. */
export const ApprovalView = v.object({
  id: v.string(),
  state: v.picklist(Object.values(ApprovalState)),
  kind: v.picklist(['command', 'revoke', 'limits']),
  type: v.optional(v.string()),
  parameters: v.optional(v.record(v.string(), v.unknown())),
  deviceIds: v.array(v.string()),
  limits: v.optional(v.record(v.string(), v.unknown())),
  reason: v.optional(v.string()),
  hash: v.pipe(
    v.string(),
    v.description('SHA-256 over who asks for what, for which devices, until when. Send it when you approve'),
  ),
  needs: v.pipe(v.string(), v.description('Who can be the second person')),
  requestedBy: v.string(),
  requestedAt: time,
  expiresAt: time,
  decidedBy: v.optional(v.string()),
  decidedAt: v.optional(time),
  remark: v.optional(v.string()),
  results: v.optional(v.array(DeviceResult)),
});

const decided = (description: string) => ({ status: 200, description, schema: ApprovalView }) as const;

/** The operations on approvals. */
export const approvalOperations = {
  listApprovals: {
    summary: 'List requests that need, or needed, a second person',
    description: 'The newest first. Only those whose sites the caller may read; a page can hold fewer than `limit`.',
    tag,
    query: v.strictObject({
      ...pageEntries,
      state: v.optional(v.picklist(Object.values(ApprovalState))),
    }),
    answer: { status: 200, description: 'A page of requests', schema: pageOf(ApprovalView) },
  },
  getApproval: {
    summary: 'Read a request with exactly what it asks for',
    tag,
    answer: decided('The request'),
  },
  approveRequest: {
    summary: 'Be the second person',
    description:
      'Not the one who asked, with a sign-in with a second factor within the last 15 minutes and a role that fits every device. `hash` must be the one of the request that you looked at. What was asked for is done at once, through all other gates; `results` says what became of each device. Sending it again goes on where it stopped.',
    tag,
    body: v.strictObject({ hash: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'must be the hash of the request')) }),
    answer: decided('Approved, and done as far as the other gates let it'),
    problems: [409],
  },
  denyRequest: {
    summary: 'Deny a request',
    description: 'Whoever may cancel a command of these devices may deny. Denying twice changes nothing.',
    tag,
    body: v.strictObject({ remark }),
    answer: decided('Denied'),
    problems: [409],
  },
  withdrawRequest: {
    summary: 'Take back a request of your own',
    tag,
    answer: decided('Withdrawn'),
    problems: [409],
  },
} as const;
