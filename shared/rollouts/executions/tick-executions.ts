import { AuditOutcome, auditRecord } from '../../audit/record.ts';
import { CommandStatus, isRolloutType } from '../../commands/command.ts';
import { readQueue } from '../../commands/store.ts';
import { cancelCommand } from '../../commands/writer.ts';
import { ClinicalState, type Device, Lifecycle } from '../../devices/device.ts';
import { devicePartition } from '../../devices/keys.ts';
import { getDevice, getReport } from '../../devices/store.ts';
import { ProblemError } from '../../http/problem.ts';
import { readAway, type SparesPlace } from '../admission/spares-store.ts';
import { type Engine, engineActor } from '../engine.ts';
import { inParallel } from '../in-parallel.ts';
import type { ExecutionGroup } from '../keys.ts';
import { installedVersion } from '../plan/installed-version.ts';
import type { Artifact, Rollout } from '../rollout.ts';
import { changeExecution } from './change-execution.ts';
import { deadlineOf, defaultLimits, type Execution, FailureClass, isFinal, mustGoBack } from './execution.ts';
import { getExecuted, getExecution, listExecutions, type StoredExecution } from './execution-store.ts';

/** Executions that a page of the index gives. */
const pageSize = 500;

/** Devices that are worked on at the same time. */
const width = 8;

/** The executions of a group at a site, page by page. */
async function* executionsOf(
  { devices }: Engine,
  rolloutId: string,
  siteId: string,
  group: ExecutionGroup | undefined,
): AsyncGenerator<readonly StoredExecution[]> {
  let after: string | undefined;
  do {
    const page = await listExecutions(devices, rolloutId, siteId, { group, limit: pageSize, after });
    yield page.items;
    after = page.after;
  } while (after !== undefined);
}

/**
 * Ends the steps of a site's devices that took too long, and looks again at those that were put off until now; at those
 * that are ready the rounds of their units look.
 */
export async function endOverdue(
  engine: Engine,
  rolloutId: string,
  siteId: string,
  group: 'A' | 'Q' | 'R',
  now: Date,
): Promise<void> {
  for await (const executions of executionsOf(engine, rolloutId, siteId, group)) {
    await inParallel(executions, width, async (execution) => {
      const { status } = execution;
      const deadline = deadlineOf(execution, defaultLimits);
      if (deadline !== undefined && deadline <= now.getTime()) {
        await changeExecution(engine, execution, { kind: 'time-out' }, now);
      } else if (group !== 'R' && status.state === 'deferred' && Date.parse(status.until) <= now.getTime()) {
        await changeExecution(engine, execution, { kind: 'look-again' }, now);
      }
    });
  }
}

/** Most devices that are withdrawn at a site in one go. */
const withdrawnAtOnce = 500;

/**
 * Withdraws what has not been activated on its way forward, with its commands. An activation is never interrupted.
 *
 * @returns whether nothing is left to withdraw at the site
 */
export async function withdraw(engine: Engine, rollout: Rollout, siteId: string, now: Date): Promise<boolean> {
  const reason = reasonToWithdraw(rollout);
  let withdrawn = 0;
  for (const group of ['Q', 'R'] as const) {
    for await (const executions of executionsOf(engine, rollout.id, siteId, group)) {
      const forward = executions.filter(({ direction }) => direction === 'forward');
      withdrawn += forward.length;
      await inParallel(forward, width, async (execution) => {
        if ((await changeExecution(engine, execution, { kind: 'cancel', reason }, now)) === undefined) return;
        await withdrawCommands(engine, execution, reason, now);
      });
      if (withdrawn >= withdrawnAtOnce) return false;
    }
  }
  return withdrawn === 0;
}

function reasonToWithdraw({ state }: Rollout): string {
  if (state === 'rolling-back') return 'The rollout goes back.';
  return state === 'aborting' ? 'The rollout was aborted.' : 'The site was left out.';
}

/** Cancels the commands of an execution that the device has not fetched. One that it has ends when it answers. */
async function withdrawCommands(
  { devices }: Engine,
  { deviceId, siteId, rolloutId }: StoredExecution,
  reason: string,
  now: Date,
): Promise<void> {
  const { open } = await readQueue(devices, deviceId);
  const own = open.filter(
    ({ type, parameters, status }) =>
      isRolloutType(type) && parameters['rolloutId'] === rolloutId && status !== CommandStatus.Delivered,
  );
  for (const command of own) {
    const entry = {
      actor: engineActor,
      action: 'CancelCommand',
      resource: `device/${deviceId}`,
      outcome: AuditOutcome.Allowed,
      siteId,
      reason,
      after: { commandId: command.id, type: command.type },
    };
    try {
      await cancelCommand(devices, {
        deviceId,
        commandId: command.id,
        requestedBy: engineActor,
        reason,
        audit: () => auditRecord(devicePartition(deviceId), entry, now),
        now,
      });
    } catch (error) {
      // The device fetched it this moment, or it came to its end: nothing is left to withdraw.
      if (!(error instanceof ProblemError)) throw error;
    }
  }
}

/** Whether nothing of a rollout is left at a site, or in a class of a unit, in these groups. */
export async function isEmpty(
  { devices }: Engine,
  rolloutId: string,
  siteId: string,
  groups: readonly ExecutionGroup[],
  unit: Partial<Pick<SparesPlace, 'unitId' | 'class'>> = {},
): Promise<boolean> {
  const { unitId, class: deviceClass } = unit;
  const pages = await Promise.all(
    groups.map((group) => listExecutions(devices, rolloutId, siteId, { group, unitId, class: deviceClass, limit: 1 })),
  );
  return pages.every(({ items }) => items.length === 0);
}

/** How far the way back of a site is. */
export interface BackSurvey {
  /** Devices that must go back and that nobody has told. */
  readonly missing: number;
  /** Devices that are still at it, in either direction. */
  readonly unfinished: number;
  /** Devices that did not get back. */
  readonly failed: number;
}

/** Looks at all executions of a site: what must go back, and what did. */
export async function surveyBack(engine: Engine, rolloutId: string, siteId: string): Promise<BackSurvey> {
  const owing = new Set<string>();
  const told = new Set<string>();
  let [unfinished, failed] = [0, 0];
  for await (const executions of executionsOf(engine, rolloutId, siteId, undefined)) {
    for (const execution of executions) {
      if (!isFinal(execution)) unfinished += 1;
      else if (execution.direction === 'back' && execution.status.state !== 'succeeded') failed += 1;
      if (mustGoBack(execution)) owing.add(execution.deviceId);
      if (execution.direction === 'back') told.add(execution.deviceId);
    }
  }
  return { missing: [...owing].filter((deviceId) => !told.has(deviceId)).length, unfinished, failed };
}

const working: ReadonlySet<ClinicalState> = new Set([ClinicalState.Idle, ClinicalState.InUse, ClinicalState.Standby]);

/**
 * Whether a device that was given up is back: it was seen after that, and says itself that it works; or it has left the
 * unit, which does not count on it any more. One that fell silent has never said what became of its activation, and may
 * begin with it any time: that it is idle is not enough, its inventory must show that it is through. After a safety event
 * no word of the device is enough: a person looks at it.
 *
 * @param shows whether an inventory from after it was let in shows what it was to have
 */
export function isBack(execution: Execution, device: Device | undefined, shows: boolean): boolean {
  const { status, since, siteId, unitId } = execution;
  if (device?.lifecycle !== Lifecycle.Enrolled || device.siteId !== siteId || device.unitId !== unitId) return true;
  if (status.state === 'failed' && status.class === FailureClass.Safety) return false;
  if (status.state === 'timed-out' && !shows) return false;
  const seen = device.lastSeenAt !== undefined && Date.parse(device.lastSeenAt) > Date.parse(since);
  return seen && device.clinical !== undefined && working.has(device.clinical.state);
}

/** Gives a unit its spares back for devices of this kind that were given up, and are seen to work again. */
export async function returnDevices(
  engine: Engine,
  place: SparesPlace,
  artifactKind: string,
  now: Date,
): Promise<void> {
  const away = await readAway(engine.directory, place, now);
  for (const [deviceId, { by }] of Object.entries(away)) {
    if (!by.startsWith('rollout ')) continue;
    const execution = await getExecution(engine.devices, deviceId, artifactKind);
    if (execution === undefined || !isFinal(execution) || !execution.outOfService) continue;
    const ended = await asItFailed(engine, execution);
    const [device, inventory] = await Promise.all([
      getDevice(engine.devices, deviceId),
      getReport(engine.devices, deviceId, 'inventory'),
    ]);
    if (!isBack(ended, device, showsResult(execution, inventory))) continue;
    await changeExecution(engine, execution, { kind: 'returned' }, now);
  }
}

/** Whether what a device reported after it was let in is what it was to have: the new version, or on its way back another one. */
export function showsResult(
  { activatedAt, artifactKind, artifact, direction }: StoredExecution,
  inventory: Awaited<ReturnType<typeof getReport>>,
): boolean {
  if (inventory === undefined || activatedAt === undefined || !(Date.parse(inventory.at) > Date.parse(activatedAt))) {
    return false;
  }
  const installed = installedVersion(inventory.report, { kind: artifactKind as Artifact['kind'], name: artifact.name });
  if (installed === undefined) return false;
  return direction === 'back' ? installed !== artifact.version : installed === artifact.version;
}

/** A way back that ended otherwise does not undo that the device had a safety event on its way forward. */
async function asItFailed({ devices }: Engine, execution: StoredExecution): Promise<Execution> {
  if (execution.direction === 'forward') return execution;
  const forward = await getExecuted(devices, execution.deviceId, execution.rolloutId, 'forward');
  if (forward?.status.state !== 'failed' || forward.status.class !== FailureClass.Safety) return execution;
  return { ...execution, status: forward.status };
}
