/** Why a change is not made. The words say it to a person; the kind tells the program what to do next. */
export const RefusalKind = {
  /** Somebody else changed it in between: read it again and decide anew. */
  Conflict: 'conflict',
  /** It came to its end; nothing changes it any more. */
  Final: 'final',
  /** It is not in a state from which this is possible: an event that came twice, late or out of order. */
  NotFromHere: 'not-from-here',
  /** The state would allow it, a rule does not. */
  NotAllowed: 'not-allowed',
} as const;
export type RefusalKind = (typeof RefusalKind)[keyof typeof RefusalKind];

/** What a change comes to: the new value, or why there is none. Nothing is half changed. */
export type Outcome<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly kind: RefusalKind; readonly reason: string };

/** The change is made. */
export const changed = <Value>(value: Value): Outcome<Value> => ({ ok: true, value });

/** The change is not made. */
export const refused = (kind: RefusalKind, reason: string): Outcome<never> => ({ ok: false, kind, reason });
