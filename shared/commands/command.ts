import type { DeviceId } from '../devices/device.ts';
import type { GateDecision } from './gates/gate.ts';

/** What can be asked of a device. Each has a schema for its parameters in `types.ts`. */
export const CommandType = {
  Inventory: 'inventory',
  Message: 'message',
  Lock: 'lock',
  Restart: 'restart',
  Locate: 'locate',
  Wipe: 'wipe',
  InstallUpdate: 'install-update',
  DownloadUpdate: 'download-update',
  ActivateUpdate: 'activate-update',
  ApplyConfig: 'apply-config',
  RotateCertificate: 'rotate-certificate',
  CollectLogs: 'collect-logs',
} as const;
export type CommandType = (typeof CommandType)[keyof typeof CommandType];

/** Types that only a rollout queues: its two people agreed to them. People ask for a rollout, never for these. */
export type RolloutCommandType = typeof CommandType.DownloadUpdate | typeof CommandType.ActivateUpdate;

/** Types that people ask for. */
export type OrderedType = Exclude<CommandType, RolloutCommandType>;

/** Whether only a rollout queues commands of this type. */
export const isRolloutType = (type: string): type is RolloutCommandType =>
  type === CommandType.DownloadUpdate || type === CommandType.ActivateUpdate;

/** The life of a command; different words for different facts (DESIGN principle 5). */
export const CommandStatus = {
  /** Stored. */
  Queued: 'queued',
  /** The wake-up was handed to the push service, which proves nothing. */
  Pushed: 'pushed',
  /** The device fetched it. */
  Delivered: 'delivered',
  /** The device says that it carried it out. */
  Acknowledged: 'acknowledged',
  /** Seen afterwards in an independent report. Terminal. */
  Verified: 'verified',
  /** The device says no, and why. Terminal. */
  Failed: 'failed',
  /** Waiting on purpose: carries a reason and when it is looked at again. */
  Deferred: 'deferred',
  /** Its time ran out before a result. Terminal. */
  Expired: 'expired',
  /** Withdrawn by a person or rule before delivery. Terminal. */
  Cancelled: 'cancelled',
} as const;
export type CommandStatus = (typeof CommandStatus)[keyof typeof CommandStatus];

/** One change in a command's life: what, when, and who says so. */
export interface CommandChange {
  readonly status: CommandStatus;
  /** RFC 3339, our clock. */
  readonly at: string;
  /** `user:<sub>`, `device` (it said so), `push`, `check-in` (it fetched it), `report` (evidence), `enrolment`, `clock`. */
  readonly source: string;
  readonly reason?: string;
  /** For `deferred`: when it is looked at again (RFC 3339). */
  readonly until?: string;
}

/**
 * `<priority>-<ULID>`, priority one digit, 1 urgent (lock, wipe) and 5 ordinary: the order of ids is the order of
 * delivery, urgent first, then first in first out. It is the sort key, so that one query returns the queue in order.
 */
export type CommandId = string;

/** A command as stored and shown. */
export interface Command {
  readonly id: CommandId;
  readonly deviceId: DeviceId;
  readonly type: CommandType;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly status: CommandStatus;
  readonly createdAt: string;
  readonly expiresAt: string;
  /** Who asked: `user:<sub>`. */
  readonly requestedBy: string;
  /** Why, in the words of who asked. */
  readonly reason?: string;
  /** The second person: `user:<sub>`. */
  readonly approvedBy?: string;
  /** The request that the second person agreed to. */
  readonly approvalId?: string;
  /** One person did it alone, in an emergency; another one must look at it. */
  readonly breakGlass?: { readonly reasonCode: string; readonly text: string; readonly reviewId: string };
  readonly history: readonly CommandChange[];
  /** What the gates decided when it was queued, in their order, each with what it was decided on. */
  readonly decisions?: readonly GateDecision[];
  /** What the device said of its result, at most 4 KB. */
  readonly detail?: unknown;
  /** For `deferred`: not handed out again before this time (RFC 3339, our clock). */
  readonly deferredUntil?: string;
  /** For `acknowledged`: until when evidence is awaited that makes it `verified` (RFC 3339). */
  readonly verifyUntil?: string;
  /** When it came to its end (RFC 3339). From then on it never changes. */
  readonly closedAt?: string;
  /** A result that came after the end: kept because it may tell what really happened, without changing the end. */
  readonly lateResult?: {
    readonly status: string;
    readonly at: string;
    readonly reason?: string;
    readonly detail?: unknown;
  };
}

/** A command with what only the store and the rules need. */
export interface StoredCommand extends Command {
  /** Grows with each change; a write names the revision that it was decided on. */
  readonly revision: number;
  /** The device's `queueSeq` when it was queued: the number in the wake-up. */
  readonly seq: number;
}
