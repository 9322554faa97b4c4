import type { Table } from '../../aws/dynamodb.ts';
import type { DeviceId } from '../../devices/device.ts';
import type { WritePart } from '../../devices/store.ts';
import { problems } from '../../http/problem.ts';
import { readAway, releaseOwnSparePart } from '../admission/spares-store.ts';
import type { Rollout } from '../rollout.ts';
import { changeExecution, type ExecutionTables } from './change-execution.ts';
import { advance } from './execution.ts';
import { getExecuted, getExecution, type StoredExecution, saveExecuted } from './execution-store.ts';

/** What a rollout last did with a device. */
export interface Part {
  readonly execution: StoredExecution;
  /** Whether another rollout has the device since. */
  readonly madeRoom: boolean;
}

/** What the rollout last did with the device; undefined when it has not touched it. At most 3 reads, all consistent. */
export async function partOf(
  devices: Table,
  { id, definition }: Pick<Rollout, 'id' | 'definition'>,
  deviceId: DeviceId,
): Promise<Part | undefined> {
  const current = await getExecution(devices, deviceId, definition.artifact.kind);
  if (current?.rolloutId === id) return { execution: current, madeRoom: false };
  const [back, forward] = await Promise.all([
    getExecuted(devices, deviceId, id, 'back'),
    getExecuted(devices, deviceId, id, 'forward'),
  ]);
  // A way back that never began says nothing of the device.
  const last = back === undefined || back.status.state === 'ineligible' ? (forward ?? back) : back;
  return last === undefined ? undefined : { execution: last, madeRoom: true };
}

/** @throws ProblemError 409 when no person can put it back: it is not away, or it is being activated */
export function assertAway({ status, outOfService }: StoredExecution): void {
  const { state } = status;
  if (!outOfService) throw problems.conflict('The device is not known to be out of service.', { state });
  if (state === 'activating' || state === 'verifying') {
    throw problems.conflict(
      'The device is being activated. Wait for its end, which comes with the time if not before.',
      {
        state,
      },
    );
  }
}

/**
 * Puts a device back into service: its unit has its spare again, and `parts` are written, in one transaction.
 *
 * @returns the execution as it is now; undefined, and nothing written, when somebody was faster
 * @throws ProblemError 409 when something else took the device away since
 */
export async function putBack(
  tables: ExecutionTables,
  { execution, madeRoom }: Part,
  parts: readonly WritePart[],
  now: Date,
): Promise<StoredExecution | undefined> {
  const event = { kind: 'returned' } as const;
  if (!madeRoom) return changeExecution(tables, execution, event, now, parts);
  const next = advance(execution, event, execution.version, now.getTime());
  if (!next.ok) throw problems.conflict(next.reason, { state: execution.status.state });
  const { rolloutId, deviceId } = execution;
  const by = `rollout ${rolloutId}`;
  const release = releaseOwnSparePart(tables.directory, execution, deviceId, by);
  // The state machine carries on whatever else it was given.
  const after = next.value as StoredExecution;
  if (await saveExecuted(tables.devices, execution, after, [release, ...parts])) return after;
  const taker = (await readAway(tables.directory, execution, now))[deviceId]?.by;
  if (taker !== undefined && taker !== by) {
    throw problems.conflict(`It is out of service for ${taker} now.`, { state: execution.status.state });
  }
  return undefined;
}
