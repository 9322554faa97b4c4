import * as v from 'valibot';
import type { Item } from '../aws/errors.ts';
import { isRolloutType, type StoredCommand } from '../commands/command.ts';
import { commandOf } from '../commands/store.ts';
import { type RoundPlace, runRound } from './admission/run-round.ts';
import type { Engine } from './engine.ts';
import { changeExecution } from './executions/change-execution.ts';
import { eventFor, safetyOf } from './executions/command-events.ts';
import { isFinal, mustGoBack } from './executions/execution.ts';
import { executionOf, getExecution, type StoredExecution } from './executions/execution-store.ts';
import { judgeRollout } from './gate/judge-wave.ts';
import { countExecutions } from './gate/tally-store.ts';
import { inParallel } from './in-parallel.ts';
import { sendBack } from './machines/roll-back-dispatch.ts';
import { stopForSafety } from './safety-stop.ts';

/** The body of a message of the queue `rollout-changes`: an item of the Devices table as it is after a change. */
export const RolloutChange = v.object({
  kind: v.picklist(['command', 'execution']),
  after: v.record(v.string(), v.unknown()),
});
export type RolloutChange = v.InferOutput<typeof RolloutChange>;

/** A message, by its id in the batch. */
export interface ChangeMessage {
  readonly id: string;
  readonly change: RolloutChange;
}

/** Devices, and units, that are worked on at the same time. */
const width = 8;

/** Tries of one command while others change the same execution. */
const tries = 8;

/**
 * Drives rollouts on by what changed. Commands become events of executions; executions are counted, judged, and where
 * one became ready or made room the next devices of the unit are asked to come. Messages may come twice, late and in any
 * order.
 *
 * @returns the messages that must come again, each with what went wrong
 */
export async function applyChanges(
  engine: Engine,
  messages: readonly ChangeMessage[],
  now: Date,
): Promise<ReadonlyMap<string, unknown>> {
  const failed = new Map<string, unknown>();
  const attempt = async (those: readonly ChangeMessage[], work: () => Promise<unknown>): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch (error) {
      for (const { id } of those) failed.set(id, error);
      return false;
    }
  };
  const byDevice = groupBy(ofKind(messages, 'command'), ({ change }) => String(change.after['deviceId']));
  await inParallel(byDevice.values(), width, async (those) => {
    for (const message of those) await attempt([message], () => applyCommand(engine, commandIn(message), now));
  });
  const byRollout = groupBy(ofKind(messages, 'execution'), ({ change }) => String(change.after['rolloutId']));
  for (const [rolloutId, those] of byRollout) {
    const images = those.map(executionIn);
    const counted = await attempt(those, async () => {
      await countExecutions(engine.devices, engine.directory, images, now);
      if (!images.some(isFinal)) return;
      const rollout = await judgeRollout(engine, rolloutId, now);
      // Those that were being activated when the way back began are told now that they are through.
      if (rollout?.state !== 'rolling-back') return;
      for (const execution of images.filter(mustGoBack)) {
        await engine.pace?.(execution.siteId);
        await sendBack(engine.devices, execution, now);
      }
    });
    if (!counted) continue;
    const units = groupBy(
      those.filter((message) => makesRoom(executionIn(message))),
      (message) => placeKey(executionIn(message)),
    );
    await inParallel(units.values(), width, async (together) => {
      const [first] = together;
      if (first !== undefined) await attempt(together, () => runRound(engine, roundPlaceOf(executionIn(first)), now));
    });
  }
  return failed;
}

/**
 * Applies what a command has come to: to the device's execution, and to the whole rollout when a device lost its alarm
 * path or did not return to service.
 */
export async function applyCommand(engine: Engine, command: StoredCommand, now: Date): Promise<void> {
  const { rolloutId, kind } = command.parameters;
  if (!isRolloutType(command.type) || typeof rolloutId !== 'string' || typeof kind !== 'string') return;
  const safety = safetyOf(command);
  if (safety !== undefined) await stopForSafety(engine, rolloutId, safety, now);
  for (let tried = 0; tried < tries; tried += 1) {
    const execution = await getExecution(engine.devices, command.deviceId, kind);
    const event = execution === undefined ? undefined : eventFor(execution, command, now.getTime());
    if (execution === undefined || event === undefined) return;
    if ((await changeExecution(engine, execution, event, now)) !== undefined) return;
    // Either the event leads nowhere from there, or somebody was faster: then the execution is another one now.
    const current = await getExecution(engine.devices, command.deviceId, kind);
    if (current?.version === execution.version && current.rolloutId === execution.rolloutId) return;
  }
  throw new Error(`The execution of ${command.deviceId} is changed by others all the time.`);
}

const ofKind = (messages: readonly ChangeMessage[], kind: RolloutChange['kind']) =>
  messages.filter(({ change }) => change.kind === kind);

// The stream tells items as their stores wrote them.
const commandIn = ({ change }: ChangeMessage): StoredCommand => commandOf(change.after as Item);
const executionIn = ({ change }: ChangeMessage): StoredExecution => executionOf(change.after as Item);

/** Whether another device may be asked after this: one is ready, was put off, or is at its end. */
function makesRoom({ status }: StoredExecution): boolean {
  if (status.state === 'deferred') return status.from !== 'queued';
  return status.state === 'staged' || (isFinal({ status }) && status.state !== 'ineligible');
}

const placeKey = ({ siteId, unitId, class: deviceClass }: StoredExecution): string =>
  `${siteId} ${unitId} ${deviceClass}`;

const roundPlaceOf = ({ rolloutId, siteId, unitId, class: deviceClass }: StoredExecution): RoundPlace => ({
  rolloutId,
  siteId,
  unitId,
  class: deviceClass,
});

function groupBy<Entry>(entries: readonly Entry[], keyOf: (entry: Entry) => string): Map<string, Entry[]> {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) groups.set(keyOf(entry), [...(groups.get(keyOf(entry)) ?? []), entry]);
  return groups;
}
