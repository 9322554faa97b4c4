import { setTimeout as pause } from 'node:timers/promises';
import { AuditOutcome } from '../../audit/record.ts';
import { listBrakes } from '../../brake/store.ts';
import { timestamp } from '../../clock.ts';
import { GateRefusal } from '../../commands/gates/pipeline.ts';
import { queueCommand } from '../../commands/writer.ts';
import type { DeviceId } from '../../devices/device.ts';
import { getDevices } from '../../devices/store.ts';
import { ProblemError } from '../../http/problem.ts';
import { downloadOrder } from '../admission/update-order.ts';
import { type Engine, engineActor } from '../engine.ts';
import { changeExecution } from '../executions/change-execution.ts';
import {
  getExecution,
  readExecutions,
  recordIneligible,
  type StoredExecution,
  startExecution,
} from '../executions/execution-store.ts';
import { inParallel } from '../in-parallel.ts';
import { executionsOfSecond } from '../pace.ts';
import type { PlannedDevice, SitePlan } from '../plan/plan.ts';
import { Ineligibility } from '../plan/selection.ts';
import { permitOf } from '../rollout.ts';
import { getRollout, type StoredRollout } from '../rollout-store.ts';
import { dispatchDecision } from './dispatch-decision.ts';

/** Devices of one call: a call takes seconds, and a site with 25,000 devices takes 25 calls. */
export const devicesOfCall = 1_000;

/** Devices that are looked at together; the rollout is read anew for each lot, so that a pause stops within it. */
const lot = 50;

/** Devices that are worked on at the same time. */
const width = 16;

/** A lot takes at least so long, milliseconds: those that have the artifact already write to the same partition. */
const lotMilliseconds = (lot * 1_000) / executionsOfSecond.dispatch;

/** How far a wave is at a site. Positions are places in the site's plan of the wave. */
export interface DispatchCursor {
  readonly next: number;
  /** The first device that must be looked at again; -1 = none so far. */
  readonly again: number;
}

/** What a call of `dispatch` came to. */
export type Dispatched =
  /** There are more: call again with the cursor. */
  | { readonly kind: 'more'; readonly cursor: DispatchCursor }
  | { readonly kind: 'done' }
  /** The rollout lets nobody begin now. */
  | { readonly kind: 'stopped'; readonly cursor: DispatchCursor }
  /** Some could not be told now (a brake, a full moment): look at them again after a while. */
  | { readonly kind: 'later'; readonly cursor: DispatchCursor };

/** What dispatching works with. */
export interface DispatchMeans extends Pick<Engine, 'devices' | 'directory' | 'interlock'> {
  /** Whether there is time for another lot. */
  readonly hasTime: () => boolean;
  readonly now: () => Date;
}

/**
 * Tells the next devices of a site's wave to download, at most 1,000. Each gets its execution first and its command
 * then, both once however often this is called: whoever breaks off between them is carried on by the next call. What
 * cannot take part is recorded with its reason.
 *
 * @param plan of the site, as it was approved
 */
export async function dispatch(
  means: DispatchMeans,
  rolloutId: string,
  plan: SitePlan,
  wave: number,
  cursor: DispatchCursor,
): Promise<Dispatched> {
  const planned = plan.waves[wave] ?? [];
  const end = Math.min(planned.length, cursor.next + devicesOfCall);
  let { next, again } = cursor;
  while (next < end && means.hasTime()) {
    const began = performance.now();
    const [rollout, brakes] = await Promise.all([getRollout(means.directory, rolloutId), listBrakes(means.directory)]);
    if (rollout === undefined) throw new Error(`There is no rollout ${rolloutId}.`);
    if (!permitOf(rollout, { wave, siteId: plan.siteId, direction: 'forward' }).allowed) {
      return { kind: 'stopped', cursor: { next, again } };
    }
    const together = planned.slice(next, Math.min(end, next + lot));
    const late = await dispatchLot(means, rollout, { siteId: plan.siteId, wave, from: next, together, brakes });
    if (again < 0 && late !== undefined) again = late;
    next += together.length;
    if (next < end) await pause(Math.max(0, lotMilliseconds - (performance.now() - began)));
  }
  if (next < planned.length) return { kind: 'more', cursor: { next, again } };
  return again < 0 ? { kind: 'done' } : { kind: 'later', cursor: { next: again, again: -1 } };
}

interface Lot {
  readonly siteId: string;
  readonly wave: number;
  /** Place of the first in the plan. */
  readonly from: number;
  readonly together: readonly PlannedDevice[];
  readonly brakes: Awaited<ReturnType<typeof listBrakes>>;
}

/** @returns the place of the first that must be looked at again */
async function dispatchLot(means: DispatchMeans, rollout: StoredRollout, lotOf: Lot): Promise<number | undefined> {
  const { siteId, wave, from, together, brakes } = lotOf;
  const ids = together.map(({ id }) => id);
  const [found, executions] = await Promise.all([
    getDevices(means.devices, ids),
    readExecutions(means.devices, ids, rollout.definition.artifact.kind),
  ]);
  const devices = new Map<DeviceId, (typeof found)[number]>(found.map((device) => [device.id, device]));
  const late: number[] = [];
  await inParallel(together.entries(), width, async ([index, planned]) => {
    const now = means.now();
    const execution = executions.get(planned.id);
    const device = devices.get(planned.id);
    const decision = dispatchDecision({ rollout, siteId, planned, device, execution, brakes, now });
    const begun = newExecution(rollout, { siteId, wave, rank: from + index, planned, now });
    switch (decision.kind) {
      case 'start':
        if (!(await begin(means, rollout, begun))) late.push(from + index);
        break;
      case 'order':
        if (execution !== undefined && !(await order(means, rollout, execution))) late.push(from + index);
        break;
      case 'exclude':
        await recordIneligible(means.devices, ineligible(begun, decision.reason));
        break;
      case 'later':
        late.push(from + index);
        break;
      case 'done':
        break;
    }
  });
  return late.length === 0 ? undefined : Math.min(...late);
}

function newExecution(
  { id, definition }: StoredRollout,
  place: {
    readonly siteId: string;
    readonly wave: number;
    readonly rank: number;
    readonly planned: PlannedDevice;
    readonly now: Date;
  },
): StoredExecution {
  const { siteId, wave, rank, planned, now } = place;
  const { kind, name, version, sha256 } = definition.artifact;
  const at = timestamp(now.getTime());
  return {
    rolloutId: id,
    deviceId: planned.id,
    siteId,
    unitId: planned.unitId,
    class: planned.class,
    artifactKind: kind,
    sha256,
    wave,
    direction: 'forward',
    status: { state: 'queued' },
    dispatchedAt: at,
    since: at,
    outOfService: false,
    version: 1,
    rank,
    stratum: planned.stratum,
    artifact: { name, version },
  };
}

function ineligible({ dispatchedAt: _never, ...execution }: StoredExecution, reason: Ineligibility): StoredExecution {
  return { ...execution, status: { state: 'ineligible', reason } };
}

/** @returns whether nothing is left to do for the device */
async function begin(means: DispatchMeans, rollout: StoredRollout, execution: StoredExecution): Promise<boolean> {
  const start = await startExecution(means.devices, execution);
  if (start === 'started') return order(means, rollout, execution);
  if (start === 'there') {
    // What was read a moment ago did not show it yet: the next look orders what is missing. But one that made room for
    // another rollout, or never took part, is at its end here: to look at it again would be for ever.
    const current = await getExecution(means.devices, execution.deviceId, execution.artifactKind);
    return current?.rolloutId !== rollout.id;
  }
  await recordIneligible(means.devices, ineligible(execution, Ineligibility.OtherRollout));
  return true;
}

/** Queues the command to download, once. @returns false when that must be tried again */
async function order(means: DispatchMeans, rollout: StoredRollout, execution: StoredExecution): Promise<boolean> {
  const { deviceId, siteId, direction } = execution;
  const now = means.now();
  try {
    await queueCommand(means, {
      deviceId,
      request: downloadOrder(rollout),
      requestedBy: engineActor,
      rollout,
      idempotencyKey: `${rollout.id} ${direction} download`,
      entry: {
        actor: engineActor,
        action: 'DownloadUpdate',
        resource: `device/${deviceId}`,
        outcome: AuditOutcome.Allowed,
        siteId,
      },
      now,
    });
    return true;
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    // A brake that was pulled this moment, a pause, too many writers at once: all of that ends.
    if (error instanceof GateRefusal || error.problem.status >= 500) return false;
    // A device that was revoked this moment, a queue that is full: it does not come, and others need not wait for it.
    await changeExecution(means, execution, { kind: 'cancel', reason: error.message }, now);
    return true;
  }
}
