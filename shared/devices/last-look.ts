import type { Table } from '../aws/dynamodb.ts';
import { brakeDecision, brakedTypes } from '../brake/brake.ts';
import { CommandStatus, type StoredCommand } from '../commands/command.ts';
import { type GateDecision, GateEffect } from '../commands/gates/gate.ts';
import { changed, deferralBy } from '../commands/life.ts';
import { changeCommand } from '../commands/store.ts';
import { withLatest } from '../interlock/gate.ts';
import type { Device } from './device.ts';
import type { HandOutMeans } from './hold-back.ts';
import { gaveBack, returnSpare } from './spare-lease.ts';

/** A command that is about to leave with the reply. */
export interface Handed {
  /** As it is stored: delivered. */
  readonly command: StoredCommand;
  /** Whether this very check-in recorded the delivery, so that no other reply has carried it. */
  readonly first: boolean;
}

/**
 * The last look before the reply leaves. Between the gates and here lie writes, which take long when the table is busy, and a
 * brake works within a second: what it stops by now stays here. One that no reply has carried before is deferred again, and
 * its spare given back; the others stay delivered, since the device may be at them. Costs no request while what was read of
 * the brakes is young.
 *
 * @returns the commands as they are stored, those that the reply carries and those that it does not
 */
export async function lastLook(
  table: Table,
  handed: readonly Handed[],
  device: Device,
  { directory, readBrakes, now }: Pick<HandOutMeans, 'directory' | 'readBrakes'> & { readonly now: () => number },
): Promise<{ readonly go: readonly StoredCommand[]; readonly stay: readonly StoredCommand[] }> {
  if (!handed.some(({ command }) => brakedTypes.has(command.type)))
    return { go: handed.map(({ command }) => command), stay: [] };
  const brakes = await readBrakes();
  const looked = await Promise.all(
    handed.map(async ({ command, first }) => {
      const decision = brakeDecision(brakes, command.type, device, 'hand-out', new Date(now()));
      if (decision.effect === GateEffect.Allow) return { command, goes: true };
      if (!first) return { command, goes: false };
      const kept = (await changeCommand(table, command, (current) => takenBack(current, decision))) ?? command;
      if (gaveBack(command, kept)) await returnSpare(directory, device, kept);
      return { command: kept, goes: false };
    }),
  );
  const those = (goes: boolean) => looked.filter((each) => each.goes === goes).map(({ command }) => command);
  return { go: those(true), stay: those(false) };
}

/** The command as the brake found it before it left; undefined when somebody has changed it since. */
function takenBack(command: StoredCommand, decision: GateDecision): StoredCommand | undefined {
  if (command.status !== CommandStatus.Delivered) return undefined;
  const deferred = changed(command, deferralBy(decision));
  return deferred === undefined ? undefined : withLatest(deferred, decision);
}
