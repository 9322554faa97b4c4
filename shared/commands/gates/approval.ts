import { type Approval, ApprovalState, hashOf, stateOf } from '../../approvals/approval.ts';
import { canonicalJson } from '../../canonical-json.ts';
import type { DeviceId } from '../../devices/device.ts';
import type { BreakGlass } from '../../reviews/review.ts';
import { flawOfGrant, type RolloutGrant } from '../../rollouts/admission/update-order.ts';
import { CommandType, isRolloutType, type RolloutCommandType } from '../command.ts';
import { Gate, type GateDecision, GateEffect } from './gate.ts';

/** What takes two people for a single device already (R2). */
export const destructiveTypes: ReadonlySet<string> = new Set<string>([
  CommandType.Wipe,
  CommandType.InstallUpdate,
  'revoke',
]);

/** What the approval gate decides on. */
export interface ApprovalQuestion {
  readonly type: CommandType | 'revoke';
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly deviceId: DeviceId;
  /** How many devices the request that this belongs to is for. */
  readonly devices: number;
  /** More devices than this need a second person, whatever the type. */
  readonly bulkWithoutApproval: number;
  /** `user:<sub>` of who asked. */
  readonly requestedBy: string;
  readonly approval?: Approval | undefined;
  readonly breakGlass?: BreakGlass | undefined;
  /** The rollout that queues the command, as it was read. */
  readonly rollout?: RolloutGrant | undefined;
  readonly now: Date;
}

/**
 * The two-person rule (R3; R12 for break-glass). Pure. An approval counts only when it is whole: its hash fits its
 * content, somebody else than the requester approved it, its hour is not over, and it names this device with these
 * parameters. What only rollouts queue stands on the rollout, whose plan two people agreed to, and on nothing else: neither
 * an approval nor break-glass takes its place.
 */
export function approvalDecision(question: ApprovalQuestion): GateDecision {
  const { type, devices, bulkWithoutApproval, requestedBy, approval, breakGlass, now } = question;
  const at = now.toISOString();
  const asked = { signal: 'requested by', value: requestedBy, source: requestedBy, at };
  const count = { signal: 'devices of the request', value: devices, source: requestedBy, at };
  const common = { gate: Gate.Approval, at, ruleId: 'R3', inputs: [asked, count] } as const;
  if (isRolloutType(type)) return rolloutDecision(type, question);
  const destructive = destructiveTypes.has(type);
  if (!destructive && devices <= bulkWithoutApproval) {
    return { ...common, effect: GateEffect.Allow, reason: `${type} needs no second person.` };
  }
  if (approval !== undefined) {
    const flaw = flawOf(approval, question);
    const approver = {
      signal: 'approved by',
      value: approval.decidedBy ?? 'nobody',
      source: approval.decidedBy ?? 'directory',
      ...(approval.decidedAt === undefined ? {} : { at: approval.decidedAt }),
    };
    const inputs = [approver, { signal: 'approval', value: approval.id, source: 'directory' }, ...common.inputs];
    return flaw === undefined
      ? {
          ...common,
          effect: GateEffect.Allow,
          reason: `Two people want it: ${requestedBy} and ${approval.decidedBy}.`,
          inputs,
        }
      : { ...common, effect: GateEffect.Deny, reason: `The approval does not hold: ${flaw}.`, inputs };
  }
  if (breakGlass !== undefined) {
    if (devices !== 1)
      return {
        ...common,
        effect: GateEffect.Deny,
        ruleId: 'R12',
        reason: 'Break-glass is for one device, never for many.',
      };
    const code = { signal: 'break-glass', value: breakGlass.reasonCode, source: requestedBy, at };
    return {
      ...common,
      effect: GateEffect.Allow,
      ruleId: 'R12',
      reason: 'Break-glass: one person, one device, to be reviewed by another person.',
      inputs: [code, ...common.inputs],
    };
  }
  const why = destructive
    ? `${type} takes two people`
    : `More than ${bulkWithoutApproval} devices at once take two people`;
  return { ...common, effect: GateEffect.Approval, reason: `${why}.` };
}

/** What a rollout queues: its own artifact, while it is under way, and two people wanted it. */
function rolloutDecision(
  type: RolloutCommandType,
  { parameters, requestedBy, rollout, now }: ApprovalQuestion,
): GateDecision {
  const at = now.toISOString();
  const asked = { signal: 'requested by', value: requestedBy, source: requestedBy, at };
  const common = { gate: Gate.Approval, at, ruleId: 'R3' } as const;
  if (rollout === undefined) {
    const reason = `Only a rollout asks for ${type}; make one, or ask for install-update.`;
    return { ...common, effect: GateEffect.Deny, reason, inputs: [asked] };
  }
  const { id, state, submittedBy, approvedBy, digest } = rollout;
  const flaw = flawOfGrant(rollout, { type, parameters });
  const inputs = [
    { signal: 'rollout', value: id, source: 'directory' },
    { signal: 'rollout state', value: state, source: 'directory' },
    { signal: 'approved by', value: approvedBy ?? 'nobody', source: approvedBy ?? 'directory' },
    { signal: 'plan', value: digest ?? 'none', source: 'directory' },
    asked,
  ];
  return flaw === undefined
    ? {
        ...common,
        effect: GateEffect.Allow,
        reason: `Two people want ${id}: ${submittedBy} and ${approvedBy}.`,
        inputs,
      }
    : { ...common, effect: GateEffect.Deny, reason: `Rollout ${id} does not stand for it: ${flaw}.`, inputs };
}

/** What is wrong with an approval, if anything. */
function flawOf(
  approval: Approval,
  { type, parameters, deviceId, devices, requestedBy, now }: ApprovalQuestion,
): string | undefined {
  const { content } = approval;
  if (hashOf(approval) !== approval.hash) return 'its content was changed';
  if (stateOf(approval, now.getTime()) !== ApprovalState.Approved) return 'nobody approved it';
  if (Date.parse(approval.expiresAt) <= now.getTime()) return 'its hour is over';
  if (approval.decidedBy === undefined || approval.decidedBy === approval.requestedBy) return 'it has no second person';
  if (approval.requestedBy !== requestedBy) return 'somebody else asked for it';
  if (content.kind === 'limits') return 'it is for something else';
  if (!content.deviceIds.includes(deviceId)) return 'it does not name this device';
  if (content.deviceIds.length !== devices) return 'it is for other devices';
  if (content.kind === 'revoke') return type === 'revoke' ? undefined : 'it is for something else';
  if (content.type !== type) return 'it is for something else';
  if (canonicalJson(content.parameters) !== canonicalJson(parameters)) return 'its parameters are others';
  return undefined;
}
