import type { Table } from '../aws/dynamodb.ts';
import type { DeviceId } from '../devices/device.ts';
import type { WakeUp } from '../protocols/agent/messages.ts';
import { wakeTopic } from '../protocols/agent/topics.ts';
import { CommandStatus, type StoredCommand } from './command.ts';
import { isOverdue } from './expiry.ts';
import { changed } from './life.ts';
import { changeCommand } from './store.ts';

/** Sends a message to a device that is connected now; false when it is not. */
export type WakeDevice = (deviceId: DeviceId, topic: string, message: WakeUp) => Promise<boolean>;

/** The commands of one batch that are for one device. */
export interface Batch {
  readonly deviceId: DeviceId;
  readonly commands: readonly StoredCommand[];
}

/** The commands by device, in order of their first command: a device is woken once, however much waits for it. */
export function byDevice(commands: readonly StoredCommand[]): Batch[] {
  const batches = new Map<DeviceId, StoredCommand[]>();
  for (const command of commands) {
    const batch = batches.get(command.deviceId);
    if (batch === undefined) batches.set(command.deviceId, [command]);
    else batch.push(command);
  }
  return [...batches].map(([deviceId, list]) => ({ deviceId, commands: list }));
}

/**
 * Wakes one device for its commands, and notes on those that still wait that it was. A device that is not connected
 * keeps them queued and fetches them when it checks in. Doing it twice wakes the device twice and is harmless.
 *
 * @returns the number in the wake-up; undefined when none was handed over
 */
export async function wakeFor(table: Table, batch: Batch, wake: WakeDevice, now: Date): Promise<number | undefined> {
  const waiting = batch.commands.filter((command) => !isOverdue(command, now.getTime()));
  if (waiting.length === 0) return undefined;
  const n = Math.max(...waiting.map((command) => command.seq));
  if (!(await wake(batch.deviceId, wakeTopic(batch.deviceId), { v: 1, n }))) return undefined;
  await Promise.all(
    waiting.map((command) =>
      changeCommand(table, command, (current) =>
        changed(current, { status: CommandStatus.Pushed, at: now.toISOString(), source: 'push' }),
      ),
    ),
  );
  return n;
}
