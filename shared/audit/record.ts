import { ulid } from 'ulid';

/** How an attempt to change something ended. */
export const AuditOutcome = {
  /** Decided for, and done in the same transaction that holds this record. */
  Allowed: 'allowed',
  /** The authorization policies said no. */
  Denied: 'denied',
  /** Authorized, but a rule of the domain or a protocol refused it (serial already enrolled, token used up). */
  Refused: 'refused',
} as const;
export type AuditOutcome = (typeof AuditOutcome)[keyof typeof AuditOutcome];

/** What is known when an audit record is made. */
export interface AuditEntry {
  /** Who: `user:<sub>`, `device:<device id>`, or `system:<function name>`. */
  readonly actor: string;
  /** What was attempted, in the words of the authorization policies, e.g. `CreateSite`, `WipeDevice`. */
  readonly action: string;
  /** What it is about, as `<kind>/<id>`, e.g. `device/d-…`, `site/s-…`, `token/t-…`, `import/i-…`. */
  readonly resource: string;
  readonly outcome: AuditOutcome;
  /** The site that the resource belongs to, when it has one: site-limited auditors see only their sites. */
  readonly siteId?: string;
  /** Why it was asked for, or why it was denied or refused. */
  readonly reason?: string;
  /** The Cedar policies that decided. */
  readonly policyIds?: readonly string[];
  /** What changed. Attributes that identify and place things; never a secret, never anything about a patient. */
  readonly before?: Readonly<Record<string, unknown>>;
  readonly after?: Readonly<Record<string, unknown>>;
}

/** One line of the audit trail. Append-only: nothing updates or deletes it. */
export interface AuditRecord extends AuditEntry {
  /** ULID, so that records of one millisecond still have distinct keys. */
  readonly id: string;
  /** RFC 3339, our clock, milliseconds. */
  readonly at: string;
}

/** An audit record as it lies in a table, in the partition of what it is about. */
export interface AuditItem extends AuditRecord {
  readonly pk: string;
  /** `AUDIT#<at>#<id>`: a query of the partition reads the trail in order of time. */
  readonly sk: string;
}

/** What the sort keys of audit records begin with. */
export const auditPrefix = 'AUDIT#';

/**
 * The item that records `entry`, to be put in the same transaction as the change it tells of. Does no I/O.
 *
 * @param partition partition key (`pk`) of what the record is about, e.g. `DEVICE#d-…` or `SITE#s-…`
 * @param at our clock's time of the attempt
 */
export function auditRecord(partition: string, entry: AuditEntry, at: Date): AuditItem {
  const id = ulid(at.getTime());
  const time = at.toISOString();
  return { pk: partition, sk: `${auditPrefix}${time}#${id}`, id, at: time, ...entry };
}
