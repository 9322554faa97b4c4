import { auditRecord } from '../../shared/audit/record.ts';
import type { Command } from '../../shared/commands/command.ts';
import { queueCommand } from '../../shared/commands/writer.ts';
import type { Device } from '../../shared/devices/device.ts';
import { activationOrder } from '../../shared/rollouts/admission/update-order.ts';
import { type StoredExecution, startExecution } from '../../shared/rollouts/executions/execution-store.ts';
import { rolloutPartition } from '../../shared/rollouts/keys.ts';
import {
  advanceRollout,
  type Rollout,
  type RolloutDefinition,
  type RolloutEvent,
} from '../../shared/rollouts/rollout.ts';
import { createRollout, type StoredRollout } from '../../shared/rollouts/rollout-store.ts';
import type { DevicesTable } from './devices-table.ts';
import { rolloutDefinition, storedExecution, storedRollout } from './rollouts.ts';

const told = (id: string) => ({
  actor: 'system:test',
  action: 'StartRollout',
  resource: `rollout/${id}`,
  outcome: 'allowed' as const,
});

/** A rollout after these events, each of which must be possible. */
export function after<Some extends Rollout>(rollout: Some, events: readonly RolloutEvent[], at: number): Some {
  let current: Rollout = rollout;
  for (const event of events) {
    const next = advanceRollout(current, event, current.version, at);
    if (!next.ok) throw new Error(next.reason);
    current = next.value;
  }
  return current as Some;
}

/** Stores a rollout whose first wave is open: planned, submitted by one person, approved by another, started. */
export async function runningRollout(
  { directory }: DevicesTable,
  id: string,
  at: number,
  more: Partial<RolloutDefinition> = {},
): Promise<StoredRollout> {
  const definition = rolloutDefinition(more);
  const running = after(
    storedRollout(id, definition, at),
    [
      { kind: 'planned', digest: 'd1', devices: definition.waves.map(() => 20) },
      { kind: 'submit', by: 'user:ada', approveUntil: at + 3_600_000 },
      { kind: 'approve', by: 'user:bert', digest: 'd1' },
      { kind: 'start' },
    ],
    at,
  );
  await createRollout(directory, running, auditRecord(rolloutPartition(id), told(id), new Date(at)));
  return running;
}

/** Stores the execution of a device that waits for its turn, and queues its activation. */
export async function armedDevice(
  { table, directory }: DevicesTable,
  rollout: StoredRollout,
  device: Device,
  now: number,
  more: Partial<StoredExecution> = {},
): Promise<Command> {
  const { siteId = '', unitId = '' } = device;
  const placed = { siteId, unitId, class: device.class, since: new Date(now).toISOString() };
  const artifactKind = rollout.definition.artifact.kind;
  const started = await startExecution(
    table,
    storedExecution(device.id, { rolloutId: rollout.id, artifactKind, status: { state: 'armed' }, ...placed, ...more }),
  );
  if (started !== 'started') throw new Error('The device has an execution already.');
  const { command } = await queueCommand(
    { devices: table, directory },
    {
      deviceId: device.id,
      request: activationOrder(rollout, more.direction ?? 'forward'),
      requestedBy: 'system:rollout-progress',
      rollout,
      entry: { ...told(rollout.id), action: 'ActivateUpdate', resource: `device/${device.id}` },
      now: new Date(now),
    },
  );
  return command;
}
