import { brakeDecision, brakedTypes } from '../brake/brake.ts';
import type { ReadBrakes } from '../brake/store.ts';
import type { CommandId, StoredCommand } from '../commands/command.ts';
import { type GateDecision, GateEffect } from '../commands/gates/gate.ts';
import type { CheckIn } from './check-in.ts';

/**
 * Asks the gates again for commands that could be handed out now. Between queueing and fetching lie days; what was safe
 * then may not be now.
 *
 * @returns the commands that must wait, each with the decision that says why and until when
 */
export async function holdBack(
  commands: readonly StoredCommand[],
  { device, now }: CheckIn,
  readBrakes: ReadBrakes,
): Promise<ReadonlyMap<CommandId, GateDecision>> {
  const held = new Map<CommandId, GateDecision>();
  const braked = commands.filter((command) => !held.has(command.id) && brakedTypes.has(command.type));
  if (braked.length === 0) return held;
  const brakes = await readBrakes();
  for (const command of braked) {
    const decision = brakeDecision(brakes, command.type, device, 'hand-out', new Date(now));
    if (decision.effect !== GateEffect.Allow) held.set(command.id, decision);
  }
  return held;
}
