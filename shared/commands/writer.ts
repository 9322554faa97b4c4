import { setTimeout as pause } from 'node:timers/promises';
import { ulid } from 'ulid';
import type { Approval } from '../approvals/approval.ts';
import { type AuditEntry, type AuditItem, AuditOutcome, auditRecord } from '../audit/record.ts';
import { keepRecord } from '../audit/store.ts';
import type { Table } from '../aws/dynamodb.ts';
import { retryContention } from '../aws/retry.ts';
import { brakeDecision } from '../brake/brake.ts';
import { listBrakes } from '../brake/store.ts';
import { canonicalJson, contentHash } from '../canonical-json.ts';
import { type Device, type DeviceId, Lifecycle } from '../devices/device.ts';
import { devicePartition } from '../devices/keys.ts';
import { keyWasUsed } from '../http/idempotency.ts';
import { problems } from '../http/problem.ts';
import { validate } from '../http/validate.ts';
import { interlockGate } from '../interlock/command-gate.ts';
import type { InterlockSettings } from '../interlock/settings.ts';
import { type BreakGlass, breakGlassMinutes } from '../reviews/review.ts';
import type { RolloutGrant } from '../rollouts/admission/update-order.ts';
import {
  type Command,
  type CommandId,
  CommandStatus,
  CommandType,
  isRolloutType,
  type StoredCommand,
} from './command.ts';
import { isOverdue, shown } from './expiry.ts';
import {
  authorized,
  authorizedByRollout,
  type CommandGate,
  deferralOf,
  GateRefusal,
  type Passage,
  passGates,
} from './gates/pipeline.ts';
import { insertCommand } from './insert.ts';
import { changed, heldBack, isFinal, isUnanswered } from './life.ts';
import {
  type CommandPosition,
  changeCommand,
  getRememberedRequest,
  getStoredCommand,
  listStoredCommands,
  readQueue,
  rememberRequest,
} from './store.ts';
import { approvalGate, emergencyParts, limiterGate, tellOfRefusal } from './stored-gates.ts';
import { CommandRequest, commandTraits, longestExpiryDays } from './types.ts';

/** Most open commands of one device. More is a mistake of whoever asks, and would not reach the device in one reply. */
export const openLimit = 100;

/** What the writer works with. */
export interface CommandTables {
  readonly devices: Table;
  /** Places, limits, brakes. */
  readonly directory: Table;
  /** What the hospital has set of the interlock. @default defaultInterlock */
  readonly interlock?: InterlockSettings;
}

/** Who asks for a command, and how it is recorded. */
export interface QueueRequest {
  readonly deviceId: DeviceId;
  /** The body of the request; checked here against `CommandRequest`, whoever calls. */
  readonly request: unknown;
  /** `user:<sub>`, or `system:<function>` for what a rollout queues. */
  readonly requestedBy: string;
  /** How many devices the request that this belongs to is for. @default 1 */
  readonly devices?: number;
  /** The request that a second person agreed to, as it was read. */
  readonly approval?: Approval | undefined;
  /** In an emergency, instead of a second person. */
  readonly breakGlass?: BreakGlass | undefined;
  /** The rollout that queues it, as it was read: what two people agreed to. Only `download-update` and `activate-update` ask. */
  readonly rollout?: RolloutGrant | undefined;
  /** `Idempotency-Key`: the same key and request by the same person within 24 h gives the same command. */
  readonly idempotencyKey?: string | undefined;
  /** The beginning of the audit record, from the decision that the caller may do this: `Guard.permit`; for a rollout, what it does. */
  readonly entry: AuditEntry;
  readonly now: Date;
}

/** `created` is false when an equal command was open already, or the idempotency key was seen before. */
export interface QueuedCommand {
  readonly command: Command;
  readonly created: boolean;
}

/**
 * The one writer of commands: whoever asks for something to be done by a device (person, rollout, event) goes through
 * here, and through its gates in their order: authorization, approval, limiter, interlock, brake. What they decided is
 * stored with the command and in the audit record; a refusal leaves an audit record of its own.
 *
 * Requests: head and queue with the idempotency key, what the gates need to know, then one transaction.
 *
 * @throws ProblemError 400 for a request that is not valid, 404 for an unknown device, 409 for a device that is not
 *   enrolled, a full queue, or an idempotency key that was used for another request
 * @throws GateRefusal (409) when a gate says no
 */
export async function queueCommand(tables: CommandTables, asked: QueueRequest): Promise<QueuedCommand> {
  const request = validate(CommandRequest, asked.request);
  const expiresAt = expiryOf(request, asked);
  assertBeginsBefore(request, expiresAt);
  const remembered =
    asked.idempotencyKey === undefined
      ? undefined
      : { keyHash: contentHash([asked.requestedBy, asked.idempotencyKey]), request: contentHash(asked.request) };
  for (let tries = 0; tries < mostTries; tries += 1) {
    const answer = await retryContention(() => tryToQueue(tables, asked, request, expiresAt, remembered), mostTries);
    if (answer !== undefined) return answer;
    // Each try that fails means that somebody else's succeeded: a limit is used up after as many as it allows.
    await pause(Math.random() * Math.min(400, 10 * 2 ** tries));
  }
  throw problems.unavailable('Too many commands are being queued at the same moment.');
}

/** Tries of one command: enough for a limit's window that everybody writes to, and within the function's time. */
const mostTries = 40;

async function tryToQueue(
  tables: CommandTables,
  asked: QueueRequest,
  request: CommandRequest,
  expiresAt: string,
  remembered: { readonly keyHash: string; readonly request: string } | undefined,
): Promise<QueuedCommand | undefined> {
  const { deviceId, now } = asked;
  const table = tables.devices;
  const [queue, earlier] = await Promise.all([
    readQueue(table, deviceId, { consistent: true }),
    remembered === undefined ? undefined : getRememberedRequest(table, deviceId, remembered.keyHash),
  ]);
  const { device } = queue;
  if (device === undefined) throw problems.notFound('There is no device with this id.');
  if (earlier !== undefined) {
    if (earlier.request !== remembered?.request) {
      throw keyWasUsed();
    }
    return { command: await getCommand(table, deviceId, earlier.commandId, now), created: false };
  }
  if (device.lifecycle !== Lifecycle.Enrolled) {
    throw problems.conflict(`The device is ${device.lifecycle}; only an enrolled device takes commands.`);
  }
  const open = await closeOverdue(table, queue.open, now);
  const waiting = open.filter((command) => isSame(command, request));
  // An emergency does not end in a command that waits for what an emergency need not wait for.
  const same = waiting.find((command) => asked.breakGlass === undefined || command.breakGlass !== undefined);
  if (same !== undefined) {
    if (remembered !== undefined) {
      const kept = { commandId: same.id, request: remembered.request };
      await rememberRequest(table, deviceId, remembered.keyHash, kept, now);
    }
    return { command: shown(same, now.getTime()), created: false };
  }
  if (open.length >= openLimit) {
    throw problems.conflict(`The device has ${open.length} open commands already; cancel some or wait for it.`);
  }
  const passage = await passRecorded(tables, asked, request, device);
  const command = newCommand(asked, request, expiresAt, device, queue.open, passage);
  const parts = [...passage.parts, ...emergencyParts(tables.directory, command, device)];
  const stored = await insertCommand(table, device, command, [recordOf(asked, command)], parts, remembered, now);
  if (!stored) return undefined;
  await Promise.all(waiting.map((earlier) => supersede(table, asked, earlier)));
  return { command: shown(command, now.getTime()), created: true };
}

/** An equal command that waits is not done a second time after the emergency. One that the device has already stays. */
async function supersede(table: Table, { deviceId, entry, requestedBy, now }: QueueRequest, earlier: StoredCommand) {
  const reason = 'asked for again in an emergency';
  const change = { status: CommandStatus.Cancelled, at: now.toISOString(), source: requestedBy, reason };
  const record = ({ id, type }: StoredCommand) =>
    auditRecord(
      devicePartition(deviceId),
      { ...entry, action: 'CancelCommand', reason, after: { commandId: id, type } },
      now,
    );
  await changeCommand(table, earlier, (current) => changed(current, change), record);
}

/** The gates, in their order. */
const gatesOf = (tables: CommandTables, asked: QueueRequest): readonly CommandGate[] => [
  async ({ device, request, requestedBy, now }) => ({
    decision:
      asked.rollout !== undefined && isRolloutType(request.type)
        ? authorizedByRollout(asked.rollout.id, requestedBy, now)
        : authorized(asked.entry, device, requestedBy, now),
  }),
  approvalGate(tables, asked),
  limiterGate(tables, asked),
  interlockGate(tables, asked.breakGlass !== undefined),
  async ({ device, request, now }) => ({
    decision: brakeDecision(await listBrakes(tables.directory), request.type, device, 'write', now),
  }),
];

/** Passes the gates; a refusal is recorded before it is thrown. */
async function passRecorded(
  tables: CommandTables,
  asked: QueueRequest,
  request: CommandRequest,
  device: Device,
): Promise<Passage> {
  const { requestedBy, now } = asked;
  try {
    return await passGates(gatesOf(tables, asked), { device, request, requestedBy, now });
  } catch (error) {
    if (error instanceof GateRefusal) {
      await tellOfRefusal(tables.directory, error, request.type, requestedBy, now);
      const entry = {
        ...asked.entry,
        outcome: AuditOutcome.Refused,
        reason: error.message,
        after: { type: request.type, decisions: error.decisions },
      };
      await keepRecord(tables.devices, auditRecord(devicePartition(device.id), entry, now));
    }
    throw error;
  }
}

/** The audit record of a stored command. Its parameters stay out of the trail: a message to a ward can hold anything. */
function recordOf(asked: QueueRequest, command: StoredCommand): AuditItem {
  const { id, type, expiresAt, decisions, reason, approvalId, approvedBy, breakGlass } = command;
  return auditRecord(
    devicePartition(command.deviceId),
    {
      ...asked.entry,
      ...(reason === undefined ? {} : { reason }),
      after: {
        commandId: id,
        type,
        expiresAt,
        ...(approvedBy === undefined ? {} : { approvedBy }),
        ...(approvalId === undefined ? {} : { approvalId }),
        ...(breakGlass === undefined ? {} : { breakGlass: breakGlass.reasonCode, reviewId: breakGlass.reviewId }),
        decisions,
      },
    },
    asked.now,
  );
}

/** Whether asking for `request` would add nothing to the open `command`. */
function isSame(command: StoredCommand, request: CommandRequest): boolean {
  return (
    commandTraits[request.type].collapses &&
    command.type === request.type &&
    isUnanswered(command) &&
    canonicalJson(command.parameters) === canonicalJson(request.parameters)
  );
}

/** Persists what the clock has ended, so that the queue of a device that never comes back stays short. */
async function closeOverdue(table: Table, open: readonly StoredCommand[], now: Date): Promise<StoredCommand[]> {
  const overdue = open.filter((command) => isOverdue(command, now.getTime()));
  await Promise.all(
    overdue.map((command) =>
      changeCommand(table, command, (current) =>
        changed(current, { status: CommandStatus.Expired, at: current.expiresAt, source: 'clock' }),
      ),
    ),
  );
  return open.filter((command) => !overdue.includes(command));
}

function newCommand(
  asked: QueueRequest,
  request: CommandRequest,
  expiresAt: string,
  device: Device,
  open: readonly StoredCommand[],
  { decisions }: Passage,
): StoredCommand {
  const at = asked.now.toISOString();
  const queued: StoredCommand = {
    id: nextId(commandTraits[request.type].priority, asked.now.getTime(), open),
    deviceId: device.id,
    type: request.type,
    parameters: request.parameters,
    status: CommandStatus.Queued,
    createdAt: at,
    expiresAt,
    requestedBy: asked.requestedBy,
    ...(request.reason === undefined ? {} : { reason: request.reason }),
    ...secondPerson(asked, request),
    history: [{ status: CommandStatus.Queued, at, source: asked.requestedBy }],
    decisions,
    revision: 1,
    seq: device.queueSeq + 1,
  };
  // A rollout asks a device to come and say for itself whether it is free; until it has come, nothing is known to hold it back.
  const held = isRolloutType(request.type) ? undefined : deferralOf(decisions);
  return held === undefined ? queued : heldBack(queued, held);
}

/** Who agreed to it, or that nobody did. */
function secondPerson({ approval, breakGlass, rollout, now }: QueueRequest, { type }: CommandRequest) {
  if (isRolloutType(type)) return rollout?.approvedBy === undefined ? {} : { approvedBy: rollout.approvedBy };
  if (approval?.decidedBy !== undefined) return { approvalId: approval.id, approvedBy: approval.decidedBy };
  if (breakGlass === undefined) return {};
  return { breakGlass: { ...breakGlass, reviewId: `rv-${ulid(now.getTime()).toLowerCase()}` } };
}

/**
 * An id that sorts after all open ones of its priority, even when two are queued in the same millisecond or by
 * functions whose clocks differ: first in, first out.
 */
function nextId(priority: number, now: number, open: readonly StoredCommand[]): CommandId {
  const last = open.filter((command) => command.id.startsWith(`${priority}-`)).at(-1);
  const time = last === undefined ? now : Math.max(now, timeOfUlid(last.id.slice(2)) + 1);
  return `${priority}-${ulid(time)}`;
}

/** The time in a ULID's first ten characters, milliseconds since the epoch. */
function timeOfUlid(id: string): number {
  const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  return [...id.slice(0, 10)].reduce((time, letter) => time * 32 + alphabet.indexOf(letter), 0);
}

function expiryOf(request: CommandRequest, { breakGlass, now }: QueueRequest): string {
  // An emergency is over soon: what is not fetched by then is asked for anew, and then there is time for two people.
  const hours = breakGlass === undefined ? commandTraits[request.type].expiresAfterHours : breakGlassMinutes / 60;
  if (request.expiresAt === undefined) return new Date(now.getTime() + hours * 3_600_000).toISOString();
  const wanted = Date.parse(request.expiresAt);
  if (breakGlass !== undefined) {
    throw problems.invalid(`A command past approval always expires after ${breakGlassMinutes} minutes.`, [
      { pointer: '/expiresAt', detail: 'cannot be chosen together with breakGlass' },
    ]);
  }
  const latest = now.getTime() + longestExpiryDays * 86_400_000;
  if (!(wanted > now.getTime() && wanted <= latest)) {
    throw problems.invalid(`expiresAt must lie in the future, at most ${longestExpiryDays} days ahead.`, [
      { pointer: '/expiresAt', detail: `must lie in the future, at most ${longestExpiryDays} days ahead` },
    ]);
  }
  return new Date(wanted).toISOString();
}

/** A restart that is asked for from a time on must still stand then. */
function assertBeginsBefore(request: CommandRequest, expiresAt: string): void {
  if (request.type !== CommandType.Restart || request.parameters.notBefore === undefined) return;
  if (Date.parse(request.parameters.notBefore) < Date.parse(expiresAt)) return;
  throw problems.invalid('notBefore must lie before the command expires.', [
    { pointer: '/parameters/notBefore', detail: `must lie before ${expiresAt}` },
  ]);
}

/** Who withdraws a command, and how it is recorded. */
export interface CancelRequest {
  readonly deviceId: DeviceId;
  readonly commandId: CommandId;
  /** `user:<sub>` */
  readonly requestedBy: string;
  readonly reason?: string | undefined;
  readonly audit: (command: Command) => AuditItem;
  readonly now: Date;
}

/**
 * Withdraws a command that the device does not hold: one that was not delivered, or that the device gave back
 * (deferred). Delivery is recorded before the device gets the command, so a command that was cancelled is never
 * handed out. Cancelling twice changes nothing.
 *
 * @throws ProblemError 404, or 409 when the device has it already or it came to its end
 */
export async function cancelCommand(table: Table, asked: CancelRequest): Promise<Command> {
  const { deviceId, commandId, now } = asked;
  const found = await getStoredCommand(table, deviceId, commandId);
  if (found === undefined) throw problems.notFound('The device has no command with this id.');
  const at = now.toISOString();
  let current = found;
  const after = isFinal(found)
    ? found
    : await changeCommand(
        table,
        found,
        (before) => {
          current = before;
          if (isOverdue(before, now.getTime())) return undefined;
          return changed(before, {
            status: CommandStatus.Cancelled,
            at,
            source: asked.requestedBy,
            ...(asked.reason === undefined ? {} : { reason: asked.reason }),
          });
        },
        (command) => asked.audit(shown(command, now.getTime())),
      );
  const end = after ?? (await getStoredCommand(table, deviceId, commandId)) ?? current;
  const command = shown(end, now.getTime());
  if (command.status === CommandStatus.Cancelled) return command;
  throw problems.conflict(
    command.closedAt === undefined && command.status === CommandStatus.Delivered
      ? 'The device has the command already; it can no longer be cancelled.'
      : `The command is ${command.status}; it can no longer be cancelled.`,
    { commandStatus: command.status },
  );
}

/**
 * The command as people see it.
 *
 * @throws ProblemError 404
 */
export async function getCommand(table: Table, deviceId: DeviceId, commandId: CommandId, now: Date): Promise<Command> {
  const command = await getStoredCommand(table, deviceId, commandId);
  if (command === undefined) throw problems.notFound('The device has no command with this id.');
  return shown(command, now.getTime());
}

/** One page of a device's commands as people see them: open ones in order of delivery, then closed ones, newest first. */
export async function listCommands(
  table: Table,
  deviceId: DeviceId,
  limit: number,
  position: CommandPosition | undefined,
  now: Date,
): Promise<{ readonly commands: readonly Command[]; readonly next?: CommandPosition }> {
  const page = await listStoredCommands(table, deviceId, limit, position);
  return {
    commands: page.commands.map((command) => shown(command, now.getTime())),
    ...(page.next === undefined ? {} : { next: page.next }),
  };
}
