import * as v from 'valibot';
import type { DeviceClass, Platform } from '../devices/device.ts';

/** Why somebody acted alone. */
export const BreakGlassReason = {
  PatientSafety: 'patient-safety',
  ActiveAttack: 'active-attack',
  DataExposure: 'data-exposure',
  NoApprover: 'no-approver-reachable',
} as const;
export type BreakGlassReason = (typeof BreakGlassReason)[keyof typeof BreakGlassReason];

const text = v.pipe(v.string(), v.trim(), v.minLength(10), v.maxLength(500));

/** The member that asks for a command without a second person. */
export const BreakGlass = v.strictObject({
  reasonCode: v.picklist(Object.values(BreakGlassReason)),
  text: v.pipe(text, v.description('What is happening. No patient data')),
});
export type BreakGlass = v.InferOutput<typeof BreakGlass>;

/** A command past approval runs out after this, minutes. */
export const breakGlassMinutes = 60;

/** Within this, hours, another person must have looked at it. */
export const reviewHours = 72;

/** The open task to look at what somebody did alone. */
export interface Review {
  /** `rv-<ulid>` */
  readonly id: string;
  readonly deviceId: string;
  readonly commandId: string;
  readonly type: string;
  readonly breakGlass: BreakGlass;
  /** `user:<sub>` */
  readonly by: string;
  readonly at: string;
  readonly dueAt: string;
  readonly siteId?: string;
  /** What the device was then: who may review is decided by it should its record be deleted meanwhile. */
  readonly device?: { readonly platform: Platform; readonly class: DeviceClass; readonly unitId?: string };
  readonly completedBy?: string;
  readonly completedAt?: string;
  readonly justified?: boolean;
  readonly finding?: string;
}

/** Open, open too long, or done. */
export function reviewState(review: Review, now: number): 'open' | 'overdue' | 'completed' {
  if (review.completedAt !== undefined) return 'completed';
  return Date.parse(review.dueAt) <= now ? 'overdue' : 'open';
}
