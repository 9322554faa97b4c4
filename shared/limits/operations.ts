import * as v from 'valibot';
import { ApprovalView } from '../approvals/operations.ts';
import { Gate } from '../commands/gates/gate.ts';
import { ShadowDecision, shadowRecordsOfDevice, shadowScope } from '../interlock/operations.ts';
import { Limits } from './limits.ts';

const tag = 'Limits';

/** The limits as the API shows them. */
export const LimitsView = v.object({
  limits: Limits,
  changedBy: v.optional(v.pipe(v.array(v.string()), v.description('Both people. Missing while the defaults hold'))),
  changedAt: v.optional(v.pipe(v.string(), v.isoTimestamp())),
});

/** What would other limits have done? */
export const LimitsShadowRequest = v.strictObject({
  limits: v.pipe(Limits, v.description('The limits to try, whole: what `PUT /limits` would take')),
  ...shadowScope,
});

/** What other limits would have done. */
export const LimitsShadowView = v.object({
  limits: Limits,
  since: v.pipe(v.string(), v.isoTimestamp(), v.description('Requests from then on were looked at')),
  devices: v.pipe(v.number(), v.description('Devices that were looked at')),
  requests: v.pipe(v.number(), v.description('What was asked for them: commands, refused ones too, and revocations')),
  decided: v.pipe(v.number(), v.description('Decisions that were made anew, from the inputs stored with them')),
  undecidable: v.pipe(
    v.number(),
    v.description(
      'Decisions whose inputs do not tell: from before the number of enrolled devices was stored, or it was not counted far enough',
    ),
  ),
  cutDevices: v.pipe(
    v.array(v.string()),
    v.description(
      `Devices with more than ${shadowRecordsOfDevice} audit records, of which only the newest were looked at`,
    ),
  ),
  items: v.pipe(
    v.array(
      v.object({
        deviceId: v.string(),
        commandId: v.optional(v.pipe(v.string(), v.description('Missing for what was refused, and for revocations'))),
        type: v.string(),
        gate: v.picklist([Gate.Approval, Gate.Limiter]),
        at: v.pipe(v.string(), v.isoTimestamp()),
        was: ShadowDecision,
        would: ShadowDecision,
      }),
    ),
    v.description('Decisions that would have been others'),
  ),
  next: v.optional(v.pipe(v.string(), v.description('There are more devices: send this as `cursor`'))),
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
  shadowLimits: {
    summary: 'What other limits would have done in the last 30 days',
    description:
      'Changes nothing. Makes the decisions of limiter and approval (its number of devices) anew, each by itself, from the inputs that the audit trail holds with them: stricter limits would have refused fewer than this says, looser ones let fewer through. One request looks at a bounded number of devices, only those whose commands the caller may read, and says how many; `next` goes on.',
    tag,
    body: LimitsShadowRequest,
    answer: { status: 200, description: 'What would have been decided otherwise', schema: LimitsShadowView },
  },
} as const;
