import * as v from 'valibot';
import { ApprovalView } from '../approvals/operations.ts';
import { Gate } from '../commands/gates/gate.ts';
import { ShadowDecision, shadowRecordsOfDevice, shadowScope } from '../interlock/operations.ts';
import { Limits } from './limits.ts';

const tag = 'Limits';

/** The limits as the API shows them. */
export const LimitsView = v.object({
  limits: Limits,
  changedBy: v.optional(
    v.pipe(v.array(v.string()), v.description('The two people who changed them. Absent while the defaults apply')),
  ),
  changedAt: v.optional(v.pipe(v.string(), v.isoTimestamp())),
});

/** What would other limits have done? */
export const LimitsShadowRequest = v.strictObject({
  limits: v.pipe(Limits, v.description('The complete limits to try, as for `PUT /limits`')),
  ...shadowScope,
});

/** What other limits would have done. */
export const LimitsShadowView = v.object({
  limits: Limits,
  since: v.pipe(v.string(), v.isoTimestamp(), v.description('Start of the period that was examined')),
  devices: v.pipe(v.number(), v.description('Devices examined')),
  requests: v.pipe(
    v.number(),
    v.description('Commands, including refused ones, and revocations requested for these devices'),
  ),
  decided: v.pipe(v.number(), v.description('Decisions replayed from the inputs stored with them')),
  undecidable: v.pipe(
    v.number(),
    v.description(
      'Decisions that cannot be replayed: the number of enrolled devices was not stored, or was not counted far enough',
    ),
  ),
  cutDevices: v.pipe(
    v.array(v.string()),
    v.description(
      `Devices with more than ${shadowRecordsOfDevice} audit records, of which only the newest were examined`,
    ),
  ),
  items: v.pipe(
    v.array(
      v.object({
        deviceId: v.string(),
        commandId: v.optional(v.pipe(v.string(), v.description('Absent for refused requests and for revocations'))),
        type: v.string(),
        gate: v.picklist([Gate.Approval, Gate.Limiter]),
        at: v.pipe(v.string(), v.isoTimestamp()),
        was: ShadowDecision,
        would: ShadowDecision,
      }),
    ),
    v.description('Decisions that would have been different'),
  ),
  next: v.optional(
    v.pipe(v.string(), v.description('Send as `cursor` to examine more devices; absent when there are none')),
  ),
});

/** The operations on limits. */
export const limitOperations = {
  getLimits: {
    summary: 'Get the blast-radius limits',
    description:
      'How many devices destructive or disruptive commands may reach within any 60 minutes, by type and place.',
    tag,
    answer: { status: 200, description: 'The limits in effect', schema: LimitsView },
  },
  updateLimits: {
    summary: 'Request a change of the limits',
    description: 'Replaces all limits. They take effect once a second person approves.',
    tag,
    body: Limits,
    answer: { status: 202, description: 'Waiting for a second person', schema: ApprovalView, location: true },
  },
  shadowLimits: {
    summary: 'Try other limits against the last 30 days',
    description:
      'Changes nothing. Replays past decisions of the limiter, and of approval by number of devices, from the inputs kept in the audit trail. Each decision is replayed on its own, so the difference is an upper bound: stricter limits would have refused fewer requests than shown, looser ones admitted fewer. One request examines a bounded number of devices, only those whose commands the caller may read; `devices` says how many, `next` continues.',
    tag,
    body: LimitsShadowRequest,
    answer: { status: 200, description: 'The decisions that would have been different', schema: LimitsShadowView },
  },
} as const;
