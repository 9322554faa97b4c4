import { type CommandId, CommandType, type StoredCommand } from '../commands/command.ts';
import { type GateDecision, GateEffect } from '../commands/gates/gate.ts';
import { withLatest } from '../interlock/gate.ts';
import type { PlaceOf } from '../places/facts.ts';
import {
  type AdmissionTables,
  admitActivation,
  type HandOut,
  type LetIn,
} from '../rollouts/admission/admit-activation.ts';
import { type CheckIn, handedOut, settle } from './check-in.ts';
import type { Holds } from './hold-back.ts';
import { holdWhileUpdating, leaseSpare, takesAway, takesSpare } from './spare-lease.ts';

/** What admission decided at a check-in. */
export interface Admissions {
  /** Each command that it was asked about, with what it said. */
  readonly decisions: ReadonlyMap<CommandId, GateDecision>;
  /** Commands that were stored as handed out together with what they took. */
  readonly stored: ReadonlyMap<CommandId, StoredCommand>;
}

/**
 * The last gate: may the unit miss the device now (rule R8), and is it the device's turn in its rollout? Asked only of
 * what is about to be handed out and takes a device away, one command after the other.
 *
 * @param chosen commands as they are stored
 */
export async function letIn(
  tables: AdmissionTables & { readonly placeOf: PlaceOf },
  chosen: readonly StoredCommand[],
  checkIn: CheckIn,
  holds: Holds,
): Promise<Admissions> {
  const decisions = new Map<CommandId, GateDecision>();
  const stored = new Map<CommandId, StoredCommand>();
  for (const command of chosen.filter(({ id }) => holds.passed.has(id))) {
    const place = await tables.placeOf(checkIn.device);
    const handOut = {
      command,
      device: checkIn.device,
      place,
      now: checkIn.now,
      handedOut: deliveries(command, checkIn, holds),
    };
    const answer = await ask(tables, handOut, holds);
    if (answer === undefined) continue;
    decisions.set(command.id, answer.decision);
    if (answer.stored !== undefined) stored.set(command.id, answer.stored);
  }
  return { decisions, stored };
}

async function ask(tables: AdmissionTables, handOut: HandOut, { passed, unbraked }: Holds): Promise<LetIn | undefined> {
  const { command } = handOut;
  if (command.type === CommandType.ActivateUpdate) {
    const [interlock, brake] = [passed.get(command.id), unbraked.get(command.id)];
    if (interlock === undefined || brake === undefined) throw new Error('Interlock and brake are asked before.');
    return admitActivation(tables, { ...handOut, interlock, brake });
  }
  if (takesSpare(command, handOut)) return leaseSpare(tables, handOut);
  return takesAway(command, handOut.device) ? holdWhileUpdating(tables, handOut) : undefined;
}

/** How the command is stored when it is handed out: with the grounds of interlock and admission. */
const deliveries =
  (command: StoredCommand, checkIn: CheckIn, { passed }: Holds) =>
  (decision: GateDecision): StoredCommand => {
    const settled = settle(command, checkIn);
    const delivered = handedOut(settled, checkIn.now);
    if (delivered === command) return command;
    const interlock = passed.get(command.id);
    return withLatest(interlock === undefined ? delivered : withLatest(delivered, interlock), decision);
  };

/** The commands that must wait. */
export const heldByAdmission = ({ decisions }: Admissions): ReadonlyMap<CommandId, GateDecision> =>
  new Map([...decisions].filter(([, { effect }]) => effect !== GateEffect.Allow));
