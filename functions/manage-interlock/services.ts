import type { Guard } from '../../shared/identity/guard.ts';
import type { SignalMeans } from '../../shared/interlock/report-signal.ts';

/** What the operations on the interlock work with. */
export interface Services extends SignalMeans {
  readonly guard: Guard;
}
