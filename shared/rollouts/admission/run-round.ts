import { AuditOutcome } from '../../audit/record.ts';
import { brakeDecision } from '../../brake/brake.ts';
import { listBrakes } from '../../brake/store.ts';
import { CommandType, type StoredCommand } from '../../commands/command.ts';
import { isOverdue } from '../../commands/expiry.ts';
import { GateEffect } from '../../commands/gates/gate.ts';
import { GateRefusal } from '../../commands/gates/pipeline.ts';
import { isUnanswered } from '../../commands/life.ts';
import { type Queue, readQueue } from '../../commands/store.ts';
import { queueCommand } from '../../commands/writer.ts';
import { ProblemError } from '../../http/problem.ts';
import { factsOf } from '../../places/facts.ts';
import { getSite, getUnit } from '../../places/store.ts';
import { isOpen } from '../../places/windows.ts';
import { wakeTopic } from '../../protocols/agent/topics.ts';
import { type Engine, engineActor } from '../engine.ts';
import { changeExecution, replaceExecution } from '../executions/change-execution.ts';
import { eventFor } from '../executions/command-events.ts';
import { DeferralReason } from '../executions/deferral.ts';
import { listExecutions, type StoredExecution } from '../executions/execution-store.ts';
import { permitOf, type RolloutState } from '../rollout.ts';
import { getRollout, type StoredRollout } from '../rollout-store.ts';
import { unitBudget } from './admission.ts';
import { asked, isMissed, lateOf, offlineRelook, roundOf, Standing, standingOf, takesSlot } from './admission-round.ts';
import { countOfClass, readAway, type SparesPlace } from './spares-store.ts';
import { activationOrder } from './update-order.ts';

/** The devices that one round is about. */
export interface RoundPlace extends SparesPlace {
  readonly rolloutId: string;
}

/** States in which devices are asked to come. */
const asking: ReadonlySet<RolloutState> = new Set(['running', 'soaking', 'rolling-back']);

/** Executions that a page of the index gives. */
const pageSize = 500;

/**
 * One round of admission: of the devices of a class in a unit that are ready, asks as many to come as the unit can spare
 * now, in their order, and puts off those that were asked and did not come. Safe to run at any time and twice at once: two
 * rounds choose the same devices, and of two writes one is made; who is let in is decided when the device has come.
 *
 * @returns how many were asked
 */
export async function runRound(engine: Engine, place: RoundPlace, now: Date): Promise<number> {
  const rollout = await getRollout(engine.directory, place.rolloutId);
  if (rollout === undefined || !asking.has(rollout.state)) return 0;
  const listed = await readyIn(engine, place);
  if (listed.length === 0) return 0;
  const ready = await settleLate(engine, rollout, listed, now);
  const waiting = ready.some(({ status }) => status.state !== 'armed');
  if (!waiting || !ready.some((execution) => permitOf(rollout, execution).allowed)) return 0;
  const { open, budget, away } = await spareIn(engine, place, now);
  const question = { ready, permitOf: (execution: StoredExecution) => permitOf(rollout, execution) };
  const round = roundOf({ ...question, open, budget, away, now: now.getTime() });
  let [sent, taken] = [0, 0];
  for (const execution of round.candidates) {
    if (takesSlot(execution) && taken === round.free) continue;
    const answer = await ask(engine, rollout, execution, now);
    if (answer === 'braked') break;
    if (answer !== 'asked') continue;
    sent += 1;
    if (takesSlot(execution)) taken += 1;
  }
  return sent;
}

async function readyIn({ devices }: Engine, place: RoundPlace): Promise<StoredExecution[]> {
  const ready: StoredExecution[] = [];
  const { rolloutId, siteId, unitId } = place;
  let after: string | undefined;
  do {
    const page = await listExecutions(devices, rolloutId, siteId, {
      group: 'R',
      unitId,
      class: place.class,
      limit: pageSize,
      after,
    });
    ready.push(...page.items);
    after = page.after;
  } while (after !== undefined);
  return ready;
}

/** Window, brake and spares of the unit. A unit that is not there any more is closed. */
async function spareIn({ devices, directory }: Engine, place: RoundPlace, now: Date) {
  const [site, unit, brakes, taken, count] = await Promise.all([
    getSite(directory, place.siteId),
    getUnit(directory, place.siteId, place.unitId),
    listBrakes(directory),
    readAway(directory, place, now),
    countOfClass(devices, place),
  ]);
  const brake = brakeDecision(brakes, CommandType.ActivateUpdate, place, 'hand-out', now);
  const inWindow = site !== undefined && unit !== undefined && isOpen(factsOf(site, unit).calendar, now.getTime());
  return {
    open: inWindow && brake.effect === GateEffect.Allow,
    budget: unitBudget({ devices: count, keep: unit?.spares?.[place.class] }),
    away: new Set(Object.keys(taken)),
  };
}

/** Puts off the devices that were asked and did not come. @returns all that are still ready, as they are now */
async function settleLate(
  engine: Engine,
  rollout: StoredRollout,
  ready: readonly StoredExecution[],
  now: Date,
): Promise<readonly StoredExecution[]> {
  const late = new Map<string, StoredExecution | undefined>();
  for (const execution of lateOf(ready, now.getTime())) {
    late.set(execution.deviceId, await settle(engine, rollout, execution, now));
  }
  return ready.flatMap((execution) => {
    if (!late.has(execution.deviceId)) return [execution];
    const after = late.get(execution.deviceId);
    return after === undefined ? [] : [after];
  });
}

/** What becomes of a device that was asked and has not come; undefined when it is not ready any more. */
async function settle(
  engine: Engine,
  rollout: StoredRollout,
  execution: StoredExecution,
  now: Date,
): Promise<StoredExecution | undefined> {
  const queue = await readQueue(engine.devices, execution.deviceId);
  const standing = standingOf(execution, queue.device, now.getTime());
  if (standing === Standing.Gone) {
    await changeExecution(engine, execution, gone, now);
    return undefined;
  }
  const command = commandFor(queue, execution, now);
  if (command === undefined) {
    // Whoever asked it broke off before the command was stored.
    await order(engine, rollout, execution, now);
    return execution;
  }
  // It came, and something else held it back: that is why it waits.
  const held = eventFor(execution, command, now.getTime());
  if (held !== undefined) return (await changeExecution(engine, execution, held, now)) ?? execution;
  if (queue.device !== undefined && !isMissed(execution, queue.device, now.getTime())) return execution;
  return (await changeExecution(engine, execution, offlineUntil(now), now)) ?? execution;
}

const gone = {
  kind: 'cancel',
  reason: 'The device is not enrolled, stands in another unit, or is of another class now.',
} as const;

const offlineUntil = (now: Date) =>
  ({ kind: 'defer', reason: DeferralReason.Offline, until: now.getTime() + offlineRelook }) as const;

/** The open command that would activate the device. */
const commandFor = ({ open }: Queue, execution: StoredExecution, now: Date): StoredCommand | undefined =>
  open.find(
    (command) =>
      command.type === CommandType.ActivateUpdate &&
      command.parameters['rolloutId'] === execution.rolloutId &&
      (command.parameters['back'] === true) === (execution.direction === 'back') &&
      isUnanswered(command) &&
      !isOverdue(command, now.getTime()),
  );

/** Asks one device to come, or says why it was not asked. */
async function ask(
  engine: Engine,
  rollout: StoredRollout,
  execution: StoredExecution,
  now: Date,
): Promise<'asked' | 'passed-over' | 'braked'> {
  const queue = await readQueue(engine.devices, execution.deviceId);
  const standing = standingOf(execution, queue.device, now.getTime());
  if (standing !== Standing.There) {
    await changeExecution(engine, execution, standing === Standing.Gone ? gone : offlineUntil(now), now);
    return 'passed-over';
  }
  const armed = asked(execution, now.getTime());
  // First that it was asked, then the asking: a device that comes at once finds that it is its turn.
  if (!armed.ok || !(await replaceExecution(engine, execution, armed.value))) return 'passed-over';
  const command = commandFor(queue, execution, now);
  if (command === undefined) return order(engine, rollout, armed.value, now);
  const n = Math.max(command.seq, queue.device?.queueSeq ?? 0);
  await engine.wake(execution.deviceId, wakeTopic(execution.deviceId), { v: 1, n });
  return 'asked';
}

/** Queues the command; its wake-up goes out by itself. */
async function order(
  engine: Engine,
  rollout: StoredRollout,
  execution: StoredExecution,
  now: Date,
): Promise<'asked' | 'passed-over' | 'braked'> {
  const { deviceId, siteId, direction } = execution;
  try {
    await queueCommand(engine, {
      deviceId,
      request: activationOrder(rollout, direction),
      requestedBy: engineActor,
      rollout,
      entry: {
        actor: engineActor,
        action: 'ActivateUpdate',
        resource: `device/${deviceId}`,
        outcome: AuditOutcome.Allowed,
        siteId,
      },
      now,
    });
    return 'asked';
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    // A full queue, a device that was revoked this moment, a brake: it is looked at again.
    await changeExecution(engine, execution, offlineUntil(now), now);
    return error instanceof GateRefusal ? 'braked' : 'passed-over';
  }
}
