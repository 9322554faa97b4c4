import type { WritePart } from '../../devices/store.ts';
import { releaseSparePart } from '../admission/spares-store.ts';
import type { Engine } from '../engine.ts';
import { advance, type ExecutionEvent } from './execution.ts';
import { type StoredExecution, saveExecution } from './execution-store.ts';

/** The tables that a change of an execution is written to. */
export type ExecutionTables = Pick<Engine, 'devices' | 'directory' | 'pace'>;

/**
 * Changes an execution, if it still is as it was read and the event leads on from there. Where the device is back in
 * service with it, its unit has its spare again in the same transaction (I2).
 *
 * @param parts of other items, in the same transaction
 * @returns the execution as it is now; undefined, and nothing written, when the event changes nothing or somebody was
 *   faster
 */
export async function changeExecution(
  tables: ExecutionTables,
  before: StoredExecution,
  event: ExecutionEvent,
  now: Date,
  parts: readonly WritePart[] = [],
): Promise<StoredExecution | undefined> {
  const next = advance(before, event, before.version, now.getTime());
  if (!next.ok) return undefined;
  // The state machine carries on whatever else it was given.
  const after = next.value as StoredExecution;
  return (await replaceExecution(tables, before, after, parts)) ? after : undefined;
}

/** Writes what an execution has become, with the return of its spare; false when somebody was faster. */
export async function replaceExecution(
  { devices, directory, pace }: ExecutionTables,
  before: StoredExecution,
  after: StoredExecution,
  parts: readonly WritePart[] = [],
): Promise<boolean> {
  const returned =
    before.outOfService && !after.outOfService ? [releaseSparePart(directory, before, before.deviceId)] : [];
  await pace?.(before.siteId);
  return saveExecution(devices, before, after, [...returned, ...parts]);
}
