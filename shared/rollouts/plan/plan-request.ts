import type { WaveDefinition } from '../gate/wave-definition.ts';
import type { RolloutOrder } from './order.ts';
import type { Selection } from './selection.ts';

/** What a plan is made of. */
export interface PlanRequest {
  readonly rolloutId: string;
  readonly selection: Selection;
  /** The version that the rollout brings. */
  readonly target: string;
  readonly waves: readonly WaveDefinition[];
  readonly order: RolloutOrder;
}
