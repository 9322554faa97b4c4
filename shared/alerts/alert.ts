import { ulid } from 'ulid';
import type { Table } from '../aws/dynamodb.ts';
import type { WritePart } from '../devices/store.ts';

/** What somebody must be told of at once. */
export const AlertKind = {
  BrakePulled: 'brake-pulled',
  BrakeReleaseRequested: 'brake-release-requested',
  BrakeReleased: 'brake-released',
  ApprovalRequested: 'approval-requested',
  ApprovalDecided: 'approval-decided',
  /** Somebody tried to decide on what they may not: their own request, or without the role for it. */
  ApprovalAttempt: 'approval-attempt',
  LimitReached: 'limit-reached',
  BreakGlass: 'break-glass',
  ReviewOverdue: 'review-overdue',
  /** Tier, hours, freezes or spares of a place let more through than before. */
  PlaceLoosened: 'place-loosened',
  /** A gate or a safety event stopped a rollout: for good. */
  RolloutStopped: 'rollout-stopped',
  /** A wave of a rollout does not go on before a person has looked at it. */
  RolloutHeld: 'rollout-held',
  /** Devices of a wave that was promoted cannot fetch the artifact: nothing holds them. */
  RolloutUnfetched: 'rollout-unfetched',
} as const;
export type AlertKind = (typeof AlertKind)[keyof typeof AlertKind];

/** An alert. It leaves the account by mail, so it names people, devices and places by id and carries no free text. */
export interface Alert {
  readonly id: string;
  readonly kind: AlertKind;
  /** RFC 3339, our clock. */
  readonly at: string;
  /** Who: `user:<sub>`. */
  readonly actor: string;
  /** One sentence: who did what to which devices or places. */
  readonly summary: string;
  /** Where to look: a path of the management API. */
  readonly see?: string;
  readonly siteId?: string;
  readonly unitId?: string;
  /** Ids, counts, types, codes. */
  readonly details?: Readonly<Record<string, string | number | readonly string[]>>;
}

/** Sort key of alerts, and what the sender's stream filter looks for. */
export const alertSortKey = 'ALERT';
const keptDays = 30;

/**
 * The write that makes an alert. It goes into the same transaction as what it tells of, and is sent from the stream of the
 * Directory table: an alert is neither lost because a topic was away, nor sent for something that did not happen.
 *
 * @param onceKey alerts with the same key are stored once: the write then fails its condition. Only for alerts that
 *   are stored by themselves.
 */
export function alertPart(
  directory: Table,
  alert: Omit<Alert, 'id' | 'at'>,
  now: Date,
  onceKey?: string,
): WritePart & { readonly Put: NonNullable<WritePart['Put']> } {
  const id = onceKey ?? ulid(now.getTime());
  const item: Alert = { id, at: now.toISOString(), ...alert };
  return {
    Put: {
      TableName: directory.name,
      Item: {
        pk: `ALERT#${id}`,
        sk: alertSortKey,
        ...item,
        ttl: Math.floor(now.getTime() / 1_000) + keptDays * 86_400,
      },
      ConditionExpression: 'attribute_not_exists(pk)',
    },
  };
}
