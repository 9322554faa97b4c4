import type { Brake } from '../../brake/brake.ts';
import { brakeDecision } from '../../brake/brake.ts';
import { CommandType } from '../../commands/command.ts';
import { GateEffect } from '../../commands/gates/gate.ts';
import { type Device, Lifecycle } from '../../devices/device.ts';
import type { Execution } from '../executions/execution.ts';
import type { PlannedDevice } from '../plan/plan.ts';
import { Ineligibility } from '../plan/selection.ts';
import type { Rollout } from '../rollout.ts';

/** What is to be done with a planned device when its wave is dispatched at its site. */
export type DispatchDecision =
  /** It begins: an execution, and the command to download. */
  | { readonly kind: 'start' }
  /** It began, and whoever began it may have broken off before its command was stored. */
  | { readonly kind: 'order' }
  /** It began, and is further; or it took no part. */
  | { readonly kind: 'done' }
  | { readonly kind: 'exclude'; readonly reason: Ineligibility }
  /** A brake is pulled where it stands: it is looked at again. */
  | { readonly kind: 'later' };

/** What is known of a planned device. */
export interface DispatchQuestion {
  readonly rollout: Pick<Rollout, 'id'>;
  readonly siteId: string;
  readonly planned: PlannedDevice;
  /** Undefined when there is no such device any more. */
  readonly device: Device | undefined;
  /** Its current execution of this kind of artifact, of whichever rollout. */
  readonly execution: Execution | undefined;
  readonly brakes: readonly Brake[];
  readonly now: Date;
}

/**
 * What is to be done with a planned device. Pure; asked again of the same device it says that it is done. Whether another
 * rollout has the device is decided by the write that begins its execution, not here.
 */
export function dispatchDecision(question: DispatchQuestion): DispatchDecision {
  const { rollout, siteId, planned, device, execution, brakes, now } = question;
  if (execution?.rolloutId === rollout.id) {
    const orders = execution.direction === 'forward' && execution.status.state === 'queued';
    return { kind: orders ? 'order' : 'done' };
  }
  if (device?.lifecycle !== Lifecycle.Enrolled) return { kind: 'exclude', reason: Ineligibility.NotEnrolled };
  if (device.siteId !== siteId || device.unitId !== planned.unitId || device.class !== planned.class) {
    return { kind: 'exclude', reason: Ineligibility.Moved };
  }
  const brake = brakeDecision(brakes, CommandType.DownloadUpdate, device, 'write', now);
  return { kind: brake.effect === GateEffect.Allow ? 'start' : 'later' };
}
