import { timestamp } from '../../clock.ts';
import type { Engine } from '../engine.ts';
import { mustGoBack } from '../executions/execution.ts';
import {
  listExecutions,
  recordIneligible,
  type StoredExecution,
  startExecution,
} from '../executions/execution-store.ts';
import { inParallel } from '../in-parallel.ts';
import { Ineligibility } from '../plan/selection.ts';

/** Executions of one call. */
const executionsOfCall = 500;

/** Devices that are worked on at the same time. */
const width = 16;

/** How far telling a site's devices to go back is. */
export interface BackCursor {
  /** Of the page before; empty at the beginning. */
  readonly after: string;
  /** How many were told so far, those that cannot go back included. */
  readonly told: number;
  readonly more: boolean;
}

/** Where it begins. */
export const backBegins: BackCursor = { after: '', told: 0, more: true };

/**
 * Begins the way back of a site's devices that may run the new version, page by page. Each is begun once, however often
 * this is called. Those that are being activated now are not interrupted: they are told when that has ended (`sendBack`).
 */
export async function dispatchBack(
  { devices, pace }: Pick<Engine, 'devices' | 'pace'>,
  rolloutId: string,
  siteId: string,
  cursor: BackCursor,
  now: Date,
): Promise<BackCursor> {
  const begins = cursor.after === '' ? backBegins : cursor;
  const page = await listExecutions(devices, rolloutId, siteId, {
    group: 'Z',
    limit: executionsOfCall,
    ...(begins.after === '' ? {} : { after: begins.after }),
  });
  const going = page.items.filter(mustGoBack);
  await inParallel(going, width, async (execution) => {
    await pace?.(siteId);
    await sendBack(devices, execution, now);
  });
  return { after: page.after ?? '', told: begins.told + going.length, more: page.after !== undefined };
}

/**
 * Begins the way back of one device whose way forward has ended; nothing is to be downloaded, so it waits for its turn
 * at once. Nothing happens when it has begun. A device that another rollout has taken on stays with that, and is
 * recorded.
 */
export async function sendBack(devices: Engine['devices'], forward: StoredExecution, now: Date): Promise<void> {
  const back = backOf(forward, now);
  const start = await startExecution(devices, back);
  if (typeof start === 'string') return;
  const status = { state: 'ineligible', reason: Ineligibility.OtherRollout } as const;
  // Whether it is out of service is for the execution to say that was activated.
  await recordIneligible(devices, { ...back, status, outOfService: false });
}

/** One that failed and was not seen since is away from its unit still. */
function backOf({ activatedAt: _activated, commandId: _command, ...forward }: StoredExecution, now: Date) {
  const at = timestamp(now.getTime());
  return {
    ...forward,
    direction: 'back',
    status: { state: 'staged' },
    dispatchedAt: at,
    since: at,
    version: 1,
  } as const satisfies StoredExecution;
}
