/** The gates that a command passes, in this order (docs/safety.md). */
export const Gate = {
  Authorization: 'authorization',
  Approval: 'approval',
  Limiter: 'limiter',
  Interlock: 'interlock',
  Brake: 'brake',
  /** Asked only before a command is handed out: may the unit miss the device now? */
  Admission: 'admission',
} as const;
export type Gate = (typeof Gate)[keyof typeof Gate];

/** What a gate says of a command. */
export const GateEffect = {
  /** It may go on to the next gate. */
  Allow: 'allow',
  /** It is stored, and not handed out before the gate says `allow`. */
  Defer: 'defer',
  /** It is not stored. */
  Deny: 'deny',
  /** It is stored, and waits for a second person. */
  Approval: 'approval',
} as const;
export type GateEffect = (typeof GateEffect)[keyof typeof GateEffect];

/** A safety rule of docs/safety.md. */
export type RuleId = `R${number}`;

/** One fact that a gate decided on, so that years later it can be seen what was known and how old it was. */
export interface GateInput {
  /** Which fact: `device-state`, `ehr-occupancy`, `tier`, `devices-this-hour`, … */
  readonly signal: string;
  /** What it said; `unknown` when nobody did. Never anything about a patient. */
  readonly value: string | number | boolean;
  /** Who said it: `device`, `integration`, `directory`, `user:<sub>`, `wardline`. */
  readonly source: string;
  /** When the source said it (RFC 3339, our clock); missing when nobody did. */
  readonly at?: string;
  /** How old that was at the decision, seconds. */
  readonly ageSeconds?: number;
}

/** What one gate decided of one command, and why. Stored with the command and in the audit record. */
export interface GateDecision {
  readonly gate: Gate;
  /** When it was decided (RFC 3339, our clock). */
  readonly at: string;
  readonly effect: GateEffect;
  /** The rule that decided. */
  readonly ruleId: RuleId;
  /** In words that a person in the ward understands. */
  readonly reason: string;
  /** All facts that were looked at, the deciding ones first. */
  readonly inputs: readonly GateInput[];
  /** For `defer` and `approval`: when it is looked at again at the latest (RFC 3339). */
  readonly until?: string;
}
