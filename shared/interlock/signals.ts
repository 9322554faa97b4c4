import * as v from 'valibot';
import { Time } from '../time.ts';

/** What other systems say of a device's use, beside what it says itself. */
export const SignalKind = {
  /** The EHR: whether a patient lies in the bed that the device is bound to. */
  EhrOccupancy: 'ehr-occupancy',
  /** The check-out system: whether somebody has the device checked out or is signed in. */
  Session: 'session',
} as const;
export type SignalKind = (typeof SignalKind)[keyof typeof SignalKind];

/** The words of each kind: first the one that means in use. */
export const signalStates = {
  [SignalKind.EhrOccupancy]: ['occupied', 'free'],
  [SignalKind.Session]: ['open', 'none'],
} as const satisfies Record<SignalKind, readonly [string, string]>;

/** A signal as the head keeps it. */
export interface Signal {
  readonly state: string;
  /** When the source saw it (RFC 3339, not after our clock). */
  readonly at: string;
  /** From when on it is stale (RFC 3339). */
  readonly until: string;
  /** Who said it: `user:<sub>`. */
  readonly source: string;
}

/** The latest signal of each kind. */
export type Signals = { readonly [Kind in SignalKind]?: Signal };

/** How long a signal holds when its source does not say: a shift of twelve hours and an hour. */
export const defaultTtlSeconds = 13 * 3_600;

/** What a source says of a device. */
export const SignalInput = v.strictObject({
  state: v.pipe(
    v.picklist([...signalStates[SignalKind.EhrOccupancy], ...signalStates[SignalKind.Session]]),
    v.description('`occupied` or `free` for `ehr-occupancy`; `open` or `none` for `session`'),
  ),
  at: v.pipe(Time, v.description('When it was observed; a signal older than the current one changes nothing')),
  ttlSeconds: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(30),
      v.maxValue(7 * 86_400),
      v.description('How long it holds; default 46800 (13 hours). Then it is stale, and a stale signal means in use'),
    ),
    defaultTtlSeconds,
  ),
});
export type SignalInput = v.InferOutput<typeof SignalInput>;

/** Whether the path names a kind of signal. */
export const isSignalKind = (text: string): text is SignalKind => Object.hasOwn(signalStates, text);

/** Whether the word belongs to the kind. */
export const isStateOf = (kind: SignalKind, state: string): boolean =>
  (signalStates[kind] as readonly string[]).includes(state);
