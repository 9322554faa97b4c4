import type { Table } from '../aws/dynamodb.ts';
import { retryContention } from '../aws/retry.ts';
import type { StoredCommand } from '../commands/command.ts';
import { heldBack } from '../commands/life.ts';
import { changeCommand, type Queue, readQueue } from '../commands/store.ts';
import { withLatest } from '../interlock/gate.ts';
import type { CheckInMessage, CheckInReply } from '../protocols/agent/messages.ts';
import {
  type CheckIn,
  chooseHandOut,
  handedOut,
  mayBeHandedOut,
  nextCheckInSeconds,
  replyOf,
  settle,
} from './check-in.ts';
import type { Device } from './device.ts';
import { type HeadChanges, headChanges } from './head-changes.ts';
import { type HandOutMeans, holdBack } from './hold-back.ts';
import { type Caller, isRefusal, type Refusal, recognize } from './recognize.ts';
import { type DesiredState, getDesiredState, saveHeadChanges } from './store.ts';

/** A check-in that came in by either channel. */
export interface Incoming {
  readonly caller: Caller;
  readonly message: CheckInMessage;
  /** When it reached us, which can be long before now if it was retried (milliseconds, our clock). */
  readonly receivedAt: number;
}

/** What came of it, with what is worth counting. */
export type Outcome =
  | { readonly refusal: Refusal }
  | {
      readonly reply: CheckInReply;
      /** Commands that got a result. */
      readonly results: number;
      /** Results for commands that are closed or unknown: answered, but without effect. */
      readonly ignoredResults: number;
      /** Age of each command at its first delivery, seconds. */
      readonly deliveredAfterSeconds: readonly number[];
    };

/** Chance and time, so that tests can hold them still, and what the gates look at. */
export interface Surroundings extends HandOutMeans {
  readonly now: () => number;
  /** 0 to 1 */
  readonly random: () => number;
}

/**
 * One check-in, from the message to the reply. One request when it brings nothing new; one more for each thing that
 * changes. Everything that it writes can be written again: a check-in that broke off is repeated by the device, and
 * ends as if it had happened once.
 *
 * Before anything is handed out its gates are asked again: what may not run now waits, with the reason.
 *
 * A delivery is recorded before the command is handed out. So a command that was cancelled never reaches the device,
 * and one that did can be seen to have.
 */
export async function serveCheckIn(table: Table, incoming: Incoming, surroundings: Surroundings): Promise<Outcome> {
  const { caller, message, receivedAt } = incoming;
  const queue = await readQueueFor(table, caller, message);
  const verdict = recognize(queue.device, caller);
  if (queue.device === undefined || isRefusal(verdict)) {
    return { refusal: isRefusal(verdict) ? verdict : 'unknown-device' };
  }
  const now = surroundings.now();
  const { open } = queue;
  const changes = headChanges(queue.device, caller, message, receivedAt);
  const checkIn: CheckIn = { device: afterChanges(queue.device, changes), message, receivedAt, now };
  const settled = open.map((command) => settle(command, checkIn));
  const { held, passed } = await holdBack(
    settled.filter((command) => mayBeHandedOut(command, now)),
    checkIn,
    surroundings,
  );
  const { chosen, more } = chooseHandOut(
    settled.filter((command) => !held.has(command.id)),
    now,
  );
  const chosenIds = new Set(chosen.map((command) => command.id));
  const decide = (command: StoredCommand): StoredCommand | undefined => {
    const next = settle(command, checkIn);
    const mayGo = mayBeHandedOut(next, now);
    const hold = held.get(command.id);
    const pass = passed.get(command.id);
    let after = next;
    if (mayGo && hold !== undefined) after = heldBack(next, hold);
    else if (mayGo && chosenIds.has(next.id)) after = handedOut(next, now);
    const latest = hold ?? pass;
    if (after !== next && latest !== undefined) after = withLatest(after, latest);
    return after === command ? undefined : after;
  };

  const [saved, desired] = await Promise.all([
    Promise.all(open.map((command) => changeCommand(table, command, decide))),
    desiredFor(table, checkIn),
    changes === undefined ? undefined : saveHead(table, queue.device, incoming, changes),
  ]);

  const present = saved.filter((command) => command !== undefined);
  const handed = present.filter((command) => chosenIds.has(command.id) && command.status === 'delivered');
  const before = new Map(open.map((command) => [command.id, command.status]));
  const known = new Set(open.map((command) => command.id));
  return {
    reply: replyOf(
      checkIn,
      handed,
      nextCheckInSeconds(caller.channel, present, more, now, surroundings.random()),
      desired,
    ),
    results: (message.results ?? []).filter((result) => known.has(result.commandId)).length,
    ignoredResults: (message.results ?? []).filter((result) => !known.has(result.commandId)).length,
    deliveredAfterSeconds: handed
      .filter((command) => before.get(command.id) !== 'delivered')
      .map((command) => Math.max(0, (now - Date.parse(command.createdAt)) / 1_000)),
  };
}

/**
 * Head and queue by an eventually consistent read, which is half the price. Consistently where being a moment behind
 * matters: for a device that was just woken, before anybody is turned away (it may have enrolled a moment ago), and
 * before a result is taken for one of a closed command.
 */
async function readQueueFor(table: Table, caller: Caller, message: CheckInMessage): Promise<Queue> {
  if (message.wake === undefined) {
    const queue = await readQueue(table, caller.deviceId);
    const unknown = (message.results ?? []).some((result) => !queue.open.some(({ id }) => id === result.commandId));
    if (!unknown && !isRefusal(recognize(queue.device, caller))) return queue;
  }
  return readQueue(table, caller.deviceId, { consistent: true });
}

/** Writes the head; decides again on what is there when somebody was faster, until nothing is left to write. */
async function saveHead(table: Table, device: Device, incoming: Incoming, changes: HeadChanges): Promise<void> {
  const { caller, message, receivedAt } = incoming;
  let seen: Device | undefined = device;
  let wanted: HeadChanges | undefined = changes;
  await retryContention(async () => {
    while (seen !== undefined && wanted !== undefined) {
      const reports = {
        ...(message.inventory === undefined ? {} : { inventory: message.inventory }),
        ...(message.posture === undefined ? {} : { posture: message.posture }),
      };
      const current: true | Device | undefined = await saveHeadChanges(table, seen, wanted, reports);
      if (current === true) return;
      seen = current;
      // Revoked, or another certificate pinned, in between: then this caller has nothing more to say.
      if (seen === undefined || isRefusal(recognize(seen, caller))) return;
      wanted = headChanges(seen, caller, message, receivedAt);
    }
  });
}

function afterChanges(device: Device, changes: HeadChanges | undefined): Device {
  if (changes === undefined) return device;
  const { promotes: _promotes, ...values } = changes;
  return { ...device, ...values };
}

/** The desired state, if there is one and the device has another version of it, as far as it ever said. */
async function desiredFor(table: Table, { device, message }: CheckIn): Promise<DesiredState | undefined> {
  const reported = message.desiredVersion ?? device.reportedVersion;
  if (device.desiredVersion === 0 || reported === device.desiredVersion) return undefined;
  return getDesiredState(table, device.id);
}
