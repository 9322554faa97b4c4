import type { Table } from '../aws/dynamodb.ts';
import { brakeDecision, brakedTypes } from '../brake/brake.ts';
import type { ReadBrakes } from '../brake/store.ts';
import type { CommandId, StoredCommand } from '../commands/command.ts';
import { type GateDecision, GateEffect } from '../commands/gates/gate.ts';
import { disruptionOf } from '../interlock/disruption.ts';
import { askInterlock, isForced } from '../interlock/gate.ts';
import type { InterlockSettings } from '../interlock/settings.ts';
import type { PlaceOf } from '../places/facts.ts';
import type { CheckIn } from './check-in.ts';
import { clinicalSaidAt } from './head-changes.ts';

/** What the gates of a check-in look at besides the device. Asked only when there is something to hand out that they can stop. */
export interface HandOutMeans {
  /** Rollouts and the spares of units. */
  readonly directory: Table;
  readonly readBrakes: ReadBrakes;
  readonly placeOf: PlaceOf;
  readonly interlock: InterlockSettings;
}

/** What the gates said at a check-in. */
export interface Holds {
  /** The commands that must wait, each with the decision that says why and until when. */
  readonly held: ReadonlyMap<CommandId, GateDecision>;
  /** What the interlock let through, and on what grounds. */
  readonly passed: ReadonlyMap<CommandId, GateDecision>;
  /** What no brake stops. */
  readonly unbraked: ReadonlyMap<CommandId, GateDecision>;
}

/**
 * Asks the gates again for commands that could be handed out now: first the interlock, with what this very message says of
 * the device, then the brake. Between queueing and fetching lie days; what was safe then may not be now.
 */
export async function holdBack(
  commands: readonly StoredCommand[],
  { device, message, receivedAt, now }: CheckIn,
  { readBrakes, placeOf, interlock }: Omit<HandOutMeans, 'directory'>,
): Promise<Holds> {
  const held = new Map<CommandId, GateDecision>();
  const passed = new Map<CommandId, GateDecision>();
  const unbraked = new Map<CommandId, GateDecision>();
  const saidAt = clinicalSaidAt(device, message, receivedAt);
  for (const command of commands.filter((each) => disruptionOf(each, device.class) !== undefined)) {
    const question = { clinicalSaidAt: saidAt, now, settings: interlock, forced: isForced(command) };
    const decision = await askInterlock(command, device, placeOf, question);
    if (decision.effect === GateEffect.Allow) passed.set(command.id, decision);
    else held.set(command.id, decision);
  }
  const braked = commands.filter((command) => !held.has(command.id) && brakedTypes.has(command.type));
  if (braked.length === 0) return { held, passed, unbraked };
  const brakes = await readBrakes();
  for (const command of braked) {
    const decision = brakeDecision(brakes, command.type, device, 'hand-out', new Date(now));
    (decision.effect === GateEffect.Allow ? unbraked : held).set(command.id, decision);
  }
  return { held, passed, unbraked };
}
