import type { Table } from '../aws/dynamodb.ts';
import { retryContention } from '../aws/retry.ts';
import { CommandType, type StoredCommand } from '../commands/command.ts';
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
import { lastLook } from './last-look.ts';
import { heldByAdmission, letIn } from './let-in.ts';
import { type Caller, isRefusal, type Refusal, recognize } from './recognize.ts';
import { gaveBack, returnSpare } from './spare-lease.ts';
import { type DesiredState, getDesiredState, getReport, saveHeadChanges } from './store.ts';

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
 * Before anything is handed out its gates are asked again, and admission whether the unit can miss the device: what may
 * not run now waits, with the reason.
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
  const checkIn = await withEvidence(table, open, {
    device: afterChanges(queue.device, changes),
    message,
    receivedAt,
    now,
  });
  const settled = open.map((command) => settle(command, checkIn));
  const holds = await holdBack(
    settled.filter((command) => mayBeHandedOut(command, now)),
    checkIn,
    surroundings,
  );
  const { chosen, more } = chooseHandOut(
    settled.filter((command) => !holds.held.has(command.id)),
    now,
  );
  const fitting = new Set(chosen.map((command) => command.id));
  const admissions = await letIn(
    { ...surroundings, devices: table },
    open.filter((command) => fitting.has(command.id)),
    checkIn,
    holds,
  );
  const held = new Map([...holds.held, ...heldByAdmission(admissions)]);
  const chosenIds = new Set([...fitting].filter((id) => !held.has(id)));
  /** Deliveries that this check-in records, and no other one did. */
  const own = new Set(admissions.stored.keys());
  const decide = (command: StoredCommand): StoredCommand | undefined => {
    const next = settle(command, checkIn);
    const mayGo = mayBeHandedOut(next, now);
    const hold = held.get(command.id);
    const passes = [holds.passed.get(command.id), admissions.decisions.get(command.id)];
    let after = next;
    if (mayGo && hold !== undefined) after = heldBack(next, hold);
    else if (mayGo && chosenIds.has(next.id)) after = handedOut(next, now);
    // Where admission was asked, its own write alone says who hands it out.
    if (!admissions.decisions.has(command.id)) {
      if (after !== next && after.status === 'delivered') own.add(command.id);
      else own.delete(command.id);
    }
    if (after === next) return after === command ? undefined : after;
    const latest = (hold === undefined ? passes : [hold]).filter((decision) => decision !== undefined);
    return latest.reduce(withLatest, after);
  };

  const [saved, desired] = await Promise.all([
    Promise.all(open.map((command) => changeCommand(table, admissions.stored.get(command.id) ?? command, decide))),
    desiredFor(table, checkIn),
    changes === undefined ? undefined : saveHead(table, queue.device, incoming, changes),
  ]);

  const present = saved.filter((command) => command !== undefined);
  await Promise.all(
    open.flatMap((command, n) => {
      const after = saved[n];
      const returns = after !== undefined && gaveBack(command, after);
      return returns ? [returnSpare(surroundings.directory, checkIn.device, after)] : [];
    }),
  );
  const { go: handed, stay } = await lastLook(
    table,
    open.flatMap((before, n) => {
      const after = saved[n];
      if (after === undefined || !chosenIds.has(after.id) || after.status !== 'delivered') return [];
      return [{ command: after, first: before.status !== 'delivered' && own.has(after.id) }];
    }),
    checkIn.device,
    surroundings,
  );
  const before = new Map(open.map((command) => [command.id, command.status]));
  const known = new Set(open.map((command) => command.id));
  return {
    reply: replyOf(
      checkIn,
      handed,
      nextCheckInSeconds(caller.channel, [...present, ...stay], more, now, surroundings.random()),
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

/**
 * A device may have sent its inventory before it says that an update is activated, and not again with that. Then what it said
 * last is looked at: one request, only in that case.
 */
async function withEvidence(table: Table, open: readonly StoredCommand[], checkIn: CheckIn): Promise<CheckIn> {
  const { device, message } = checkIn;
  const activated = new Set(
    (message.results ?? []).filter(({ status }) => status === 'acknowledged').map(({ commandId }) => commandId),
  );
  const asked = open.some(({ id, type }) => type === CommandType.ActivateUpdate && activated.has(id));
  if (!asked || message.inventory !== undefined) return checkIn;
  const stored = await getReport(table, device.id, 'inventory');
  return stored === undefined ? checkIn : { ...checkIn, storedInventory: stored };
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
