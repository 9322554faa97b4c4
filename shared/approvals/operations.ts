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
  refused: v.optional(v.pipe(v.string(), v.description('Why it was refused for this device'))),
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
    v.description('SHA-256 of who requests what, for which devices, until when. Send it to approve'),
  ),
  needs: v.pipe(v.string(), v.description('Who can approve')),
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
    summary: 'List approval requests',
    description:
      'Pending and decided, newest first. Only requests whose sites the caller may read; a page may hold fewer than `limit` and still have a `next`.',
    tag,
    query: v.strictObject({
      ...pageEntries,
      state: v.optional(v.picklist(Object.values(ApprovalState))),
    }),
    answer: { status: 200, description: 'A page of requests', schema: pageOf(ApprovalView) },
  },
  getApproval: {
    summary: 'Get an approval request',
    description: 'Shows exactly what would be done, and to which devices.',
    tag,
    answer: decided('The request'),
  },
  approveRequest: {
    summary: 'Approve a request',
    description:
      'The approver must not be the requester, and needs a multi-factor sign-in within the last 15 minutes and a role that covers every device. `hash` must match the request that was reviewed. The request is carried out at once, through all other gates; `results` gives the outcome for each device. Repeating the call resumes one that was interrupted.',
    tag,
    body: v.strictObject({ hash: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'must be the hash of the request')) }),
    answer: decided('Approved, and carried out as far as the other gates allow'),
    problems: [409],
  },
  denyRequest: {
    summary: 'Deny a request',
    description: 'Anyone who may cancel commands of these devices may deny. Idempotent.',
    tag,
    body: v.strictObject({ remark }),
    answer: decided('Denied'),
    problems: [409],
  },
  withdrawRequest: {
    summary: 'Withdraw your own request',
    tag,
    answer: decided('Withdrawn'),
    problems: [409],
  },
} as const;
