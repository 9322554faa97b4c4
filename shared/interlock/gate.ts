import type { StoredCommand } from '../commands/command.ts';
import type { GateDecision } from '../commands/gates/gate.ts';
import type { Device } from '../devices/device.ts';
import type { PlaceOf } from '../places/facts.ts';
import { decideInterlock, type InterlockOptions } from './decide.ts';
import { type CommandFacts, disruptionOf } from './disruption.ts';

/** When and how the interlock is asked. */
export interface InterlockQuestion extends InterlockOptions {
  /** When a message confirmed what the record says of the clinical use (milliseconds); undefined = nobody did. */
  readonly clinicalSaidAt?: number | undefined;
  readonly now: number;
}

/**
 * Asks the interlock about a command for a device. Reads the place only for a command that disturbs.
 *
 * @returns the decision, never `approval`
 */
export async function askInterlock(
  command: CommandFacts,
  device: Device,
  placeOf: PlaceOf,
  { clinicalSaidAt, now, ...options }: InterlockQuestion,
): Promise<GateDecision> {
  const disturbs = disruptionOf(command, device.class) !== undefined;
  const place = disturbs ? await placeOf(device) : undefined;
  return decideInterlock(command, { device, clinicalSaidAt, place, now }, options);
}

/**
 * Whether somebody broke the glass for it. It counts at every hand-out, also when the device was free when it was asked for
 * and is in use by then; what may never be forced is decided there as well.
 */
export const isForced = ({ breakGlass }: Pick<StoredCommand, 'breakGlass'>): boolean => breakGlass !== undefined;

/**
 * The command with a newer decision of a gate, beside the one of when it was queued: what was known when it was asked for,
 * and what was known last.
 */
export function withLatest(command: StoredCommand, decision: GateDecision): StoredCommand {
  const kept = (command.decisions ?? []).filter(({ gate, at }) => gate !== decision.gate || at === command.createdAt);
  return { ...command, decisions: [...kept, decision] };
}
