import type { Table } from '../aws/dynamodb.ts';
import { brakeDecision, brakedTypes } from '../brake/brake.ts';
import { CommandStatus, type StoredCommand } from '../commands/command.ts';
import { type GateDecision, GateEffect } from '../commands/gates/gate.ts';
import { changed } from '../commands/life.ts';
import { changeCommand } from '../commands/store.ts';
import { withLatest } from '../interlock/gate.ts';
import type { Device } from './device.ts';
import type { HandOutMeans } from './hold-back.ts';

/** A command that was recorded as handed out, as it was before this check-in and as it is stored now. */
export interface Handed {
  readonly before: StoredCommand;
  readonly after: StoredCommand;
}

/**
 * The last look before the reply leaves. Between the gates and here lie writes, which take long when the table is busy, and a
 * brake works within a second: what it stops by now stays here. One that no reply has carried before is deferred again;
 * the others stay delivered, since the device may be at them. Costs no request while what was read of the brakes is young.
 *
 * @returns the commands as they are stored, those that the reply carries and those that it does not
 */
export async function lastLook(
  table: Table,
  handed: readonly Handed[],
  device: Device,
  { readBrakes, now }: Pick<HandOutMeans, 'readBrakes'> & { readonly now: () => number },
): Promise<{ readonly go: readonly StoredCommand[]; readonly stay: readonly StoredCommand[] }> {
  if (!handed.some(({ after }) => brakedTypes.has(after.type)))
    return { go: handed.map(({ after }) => after), stay: [] };
  const brakes = await readBrakes();
  const looked = await Promise.all(
    handed.map(async ({ before, after }) => {
      const decision = brakeDecision(brakes, after.type, device, 'hand-out', new Date(now()));
      if (decision.effect === GateEffect.Allow) return { command: after, goes: true };
      if (before.status === CommandStatus.Delivered) return { command: after, goes: false };
      const kept = await changeCommand(table, after, (current) => takenBack(current, decision));
      return { command: kept ?? after, goes: false };
    }),
  );
  const those = (goes: boolean) => looked.filter((each) => each.goes === goes).map(({ command }) => command);
  return { go: those(true), stay: those(false) };
}

/** The command as the brake found it before it left; undefined when somebody has changed it since. */
function takenBack(command: StoredCommand, decision: GateDecision): StoredCommand | undefined {
  if (command.status !== CommandStatus.Delivered) return undefined;
  const { gate, reason, at, until } = decision;
  const change = {
    status: CommandStatus.Deferred,
    at,
    source: gate,
    reason,
    ...(until === undefined ? {} : { until }),
  };
  const deferred = changed(command, change);
  return deferred === undefined ? undefined : withLatest(deferred, decision);
}
