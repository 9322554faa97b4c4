/** Why a device waits. */
export const DeferralReason = {
  /** It is in use, or may be: unknown and stale count as in use. */
  InUse: 'in-use',
  /** Where it stands a person puts it into service first (rule R7). */
  Acceptance: 'acceptance',
  /** As many devices of its class and unit are out of service as the unit can spare. */
  UnitBudget: 'unit-budget',
  /** The maintenance window is closed, or the place is frozen. */
  Window: 'window',
  /** It has not enough charge, or is not on its charger. */
  Battery: 'battery',
  Offline: 'offline',
  Brake: 'brake',
  /** The rollout is paused. */
  Paused: 'paused',
  /** Its wave is not open, or is held. */
  Wave: 'wave',
} as const;
export type DeferralReason = (typeof DeferralReason)[keyof typeof DeferralReason];
