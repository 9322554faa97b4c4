import { createHash } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import type { OrderedType } from '../commands/command.ts';
import type { DeviceId } from '../devices/device.ts';
import type { Limits } from '../limits/limits.ts';

/** How a request for a second person stands. */
export const ApprovalState = {
  Pending: 'pending',
  Approved: 'approved',
  Denied: 'denied',
  Withdrawn: 'withdrawn',
  /** Derived from the clock, never stored. */
  Expired: 'expired',
} as const;
export type ApprovalState = (typeof ApprovalState)[keyof typeof ApprovalState];

/** Exactly what the second person agrees to. */
export type ApprovalContent =
  | {
      readonly kind: 'command';
      readonly type: OrderedType;
      readonly parameters: Readonly<Record<string, unknown>>;
      /** Sorted, none twice. */
      readonly deviceIds: readonly DeviceId[];
      readonly expiresAt?: string;
      readonly reason?: string;
    }
  | { readonly kind: 'revoke'; readonly deviceIds: readonly DeviceId[]; readonly reason?: string }
  | { readonly kind: 'limits'; readonly limits: Limits; readonly seenVersion: number };

/** What became of one device of an approved request. */
export interface ApprovalResult {
  readonly deviceId: DeviceId;
  readonly commandId?: string;
  /** Why it was not done; at most 300 characters. */
  readonly refused?: string;
}

/** A request that waits, or waited, for a second person. */
export interface Approval {
  /** `ap-<ulid>`, or derived from the idempotency key. */
  readonly id: string;
  readonly content: ApprovalContent;
  /** `hashOf` what is asked for. */
  readonly hash: string;
  readonly state: Exclude<ApprovalState, 'expired'>;
  /** `user:<sub>` */
  readonly requestedBy: string;
  readonly requestedAt: string;
  /** The policies that permitted the request. */
  readonly policyIds: readonly string[];
  readonly expiresAt: string;
  /** Sites of the devices; empty for what concerns the whole network. */
  readonly siteIds: readonly string[];
  readonly decidedBy?: string;
  readonly decidedAt?: string;
  readonly remark?: string;
  /** After approval: what was done. Missing while it is being done. */
  readonly results?: readonly ApprovalResult[];
  readonly version: number;
}

/** A request stands this long. */
export const approvalMinutes = 60;

/** Most devices of one request. */
export const largestRequest = 1_000;

/**
 * SHA-256, lower-case hex, over who asks for what exactly, for which devices, until when. Whatever is changed afterwards,
 * in transit or in the table, gives another hash, and then the approval does not hold.
 */
export function hashOf(
  approval: Pick<Approval, 'id' | 'content' | 'requestedBy' | 'requestedAt' | 'expiresAt'>,
): string {
  const { id, content, requestedBy, requestedAt, expiresAt } = approval;
  return createHash('sha256').update(canonicalJson({ id, content, requestedBy, requestedAt, expiresAt })).digest('hex');
}

/** The state as people see it. `now` in milliseconds. */
export function stateOf(approval: Pick<Approval, 'state' | 'expiresAt'>, now: number): ApprovalState {
  if (approval.state === ApprovalState.Pending && Date.parse(approval.expiresAt) <= now) return ApprovalState.Expired;
  return approval.state;
}

/** In words, without free text: `wipe of 3 devices`. */
export function nameOf(content: ApprovalContent): string {
  if (content.kind === 'limits') return 'other limits';
  const { length } = content.deviceIds;
  const what = content.kind === 'revoke' ? 'revocation' : content.type;
  return `${what} of ${length} ${length === 1 ? 'device' : 'devices'}`;
}
