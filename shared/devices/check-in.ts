import { type CommandChange, CommandStatus, type StoredCommand } from '../commands/command.ts';
import { isOverdue } from '../commands/expiry.ts';
import { changed, closedUnverified, isFinal, isHeldByGate, isUnanswered } from '../commands/life.ts';
import { type Evidence, isVerifiedBy, type StoredInventory } from '../commands/verification.ts';
import type { CheckInMessage, CheckInReply, CommandResult, HandedCommand } from '../protocols/agent/messages.ts';
import type { Channel, Device } from './device.ts';
import { checkInSeconds } from './intervals.ts';
import { clockAhead, effectiveTime } from './report-time.ts';

/** What a check-in is decided on. Times in milliseconds, our clock. */
export interface CheckIn {
  /** The head with what this check-in changes of it. */
  readonly device: Device;
  readonly message: CheckInMessage;
  /** The inventory that was reported before, where it counts and the message has none. */
  readonly storedInventory?: StoredInventory;
  readonly receivedAt: number;
  readonly now: number;
}

/** A device that says "not now" without a time is asked again after this. */
const defaultDeferral = 15 * 60_000;
/** Not earlier and not later than this, whatever the device says. */
const shortestDeferral = 30_000;
const longestDeferral = 7 * 24 * 3_600_000;

/**
 * What becomes of one open command at a check-in, before anything is handed out: the device's results, then the
 * evidence in its reports, then the clock. Returns the same object when nothing changes, so it may be asked as often
 * as needed, on whatever state the command has by then.
 */
export function settle(command: StoredCommand, checkIn: CheckIn): StoredCommand {
  const results = (checkIn.message.results ?? []).filter((result) => result.commandId === command.id);
  let current = endedByEnrolment(command, checkIn);
  for (const result of results) current = withResult(current, result, checkIn);
  current = withEvidence(current, checkIn);
  const now = new Date(checkIn.now).toISOString();
  current = closedUnverified(current, now) ?? current;
  return isOverdue(current, checkIn.now) ? expired(current) : current;
}

function withResult(command: StoredCommand, result: CommandResult, checkIn: CheckIn): StoredCommand {
  if (isFinal(command)) return command;
  const at = new Date(checkIn.receivedAt).toISOString();
  const said = {
    ...(result.reason === undefined ? {} : { reason: result.reason }),
    ...(result.detail === undefined ? {} : { detail: result.detail }),
  };
  if (isOverdue(command, checkIn.receivedAt)) {
    // People saw it as expired already, and what is final stays final; but what the device did is kept.
    return { ...expired(command), lateResult: { status: result.status, at, ...said } };
  }
  const until = result.status === 'deferred' ? { until: deferredUntil(command, result, checkIn) } : {};
  return changed(command, { status: result.status, at, source: 'device', ...said, ...until }) ?? command;
}

/** The device's "until" on our clock: as long from now as it is from the message on the device's own clock. */
function deferredUntil(command: StoredCommand, result: CommandResult, { message, receivedAt }: CheckIn): string {
  const wanted = result.until === undefined ? defaultDeferral : Date.parse(result.until) - Date.parse(message.at);
  const wait = Math.min(Math.max(wanted, shortestDeferral), longestDeferral);
  const until = effectiveTime(message.at, receivedAt) + wait;
  return new Date(Math.min(until, Date.parse(command.expiresAt))).toISOString();
}

function withEvidence(command: StoredCommand, checkIn: CheckIn): StoredCommand {
  if (isFinal(command) || command.status !== CommandStatus.Acknowledged) return command;
  if (!isVerifiedBy(command, evidenceOf(checkIn))) return command;
  return changed(command, verified(checkIn)) ?? command;
}

const verified = ({ receivedAt }: CheckIn): CommandChange => ({
  status: CommandStatus.Verified,
  at: new Date(receivedAt).toISOString(),
  source: 'report',
});

/**
 * A device that enrolled anew has forgotten what it was told before (it was erased, or is another board in the same
 * case): nothing of that is handed out again. For a wipe, enrolling anew is the evidence.
 */
function endedByEnrolment(command: StoredCommand, checkIn: CheckIn): StoredCommand {
  const { enrolledAt } = checkIn.device;
  if (isFinal(command) || enrolledAt === undefined || command.createdAt >= enrolledAt) return command;
  if (command.type === 'wipe' && isVerifiedBy(command, evidenceOf(checkIn))) {
    const wiped = changed(command, { ...verified(checkIn), source: 'enrolment' });
    if (wiped !== undefined) return wiped;
  }
  if (!isUnanswered(command)) return command;
  return (
    changed(command, {
      status: CommandStatus.Expired,
      at: enrolledAt,
      source: 'enrolment',
      reason: 'the device enrolled anew',
    }) ?? command
  );
}

function evidenceOf({ device, message, storedInventory, receivedAt }: CheckIn): Evidence {
  return {
    inventory: message.inventory,
    storedInventory,
    posture: message.posture,
    reportedVersion: message.desiredVersion ?? device.reportedVersion,
    device,
    clockAhead: clockAhead(message.at, receivedAt),
  };
}

const expired = (command: StoredCommand): StoredCommand =>
  changed(command, { status: CommandStatus.Expired, at: command.expiresAt, source: 'clock' }) ?? command;

/** Whether the device may have the command now, as far as its gates let it. One that was delivered and not answered is handed out again each time. */
export function mayBeHandedOut(command: StoredCommand, now: number): boolean {
  if (isFinal(command) || !isUnanswered(command) || isOverdue(command, now)) return false;
  // A gate is asked again each time: what it waited for may have come early.
  if (isHeldByGate(command)) return true;
  return command.deferredUntil === undefined || Date.parse(command.deferredUntil) <= now;
}

/** The command once it is handed out; the same object when that was recorded before. */
export function handedOut(command: StoredCommand, now: number): StoredCommand {
  if (command.status === CommandStatus.Delivered) return command;
  const at = new Date(now).toISOString();
  return changed(command, { status: CommandStatus.Delivered, at, source: 'check-in' }) ?? command;
}

/** Most commands in one reply, and most bytes of them: with the rest it stays below what one MQTT message carries. */
export const handOutLimit = { commands: 32, bytes: 48 * 1024 } as const;

/** The first commands of the queue that fit into one reply, in its order, and whether others have to wait. */
export function chooseHandOut(
  queue: readonly StoredCommand[],
  now: number,
): { readonly chosen: readonly StoredCommand[]; readonly more: boolean } {
  const waiting = queue.filter((command) => mayBeHandedOut(command, now));
  const chosen: StoredCommand[] = [];
  let bytes = 0;
  for (const command of waiting) {
    bytes += Buffer.byteLength(JSON.stringify(asHanded(command)));
    if (chosen.length >= handOutLimit.commands || bytes > handOutLimit.bytes) break;
    chosen.push(command);
  }
  return { chosen, more: chosen.length < waiting.length };
}

/** The command as the device gets it. */
export const asHanded = (command: StoredCommand): HandedCommand => ({
  id: command.id,
  type: command.type,
  parameters: { ...command.parameters },
  expiresAt: command.expiresAt,
});

/**
 * Seconds until the next check-in: the channel's, up to a tenth less, so that devices which started together drift
 * apart; sooner when a deferred command is due before that, or when not everything fitted into the reply.
 *
 * @param random 0 to 1
 */
export function nextCheckInSeconds(
  channel: Channel,
  queue: readonly StoredCommand[],
  more: boolean,
  now: number,
  random: number,
): number {
  if (more) return 1;
  const usual = Math.round(checkInSeconds[channel] * (1 - random / 10));
  const due = queue
    .filter((command) => !isFinal(command) && command.deferredUntil !== undefined)
    .map((command) => Math.ceil((Date.parse(command.deferredUntil ?? '') - now) / 1_000));
  return Math.max(1, Math.min(usual, ...due));
}

/** The reply, in the form of the agent protocol. */
export function replyOf(
  checkIn: CheckIn,
  commands: readonly StoredCommand[],
  nextSeconds: number,
  desired: { readonly version: number; readonly state: Readonly<Record<string, unknown>> } | undefined,
): CheckInReply {
  const { message, device, now } = checkIn;
  return {
    ...(message.clientToken === undefined ? {} : { clientToken: message.clientToken }),
    serverTime: new Date(now).toISOString(),
    nextCheckInSeconds: nextSeconds,
    commands: commands.map(asHanded),
    // The document's own version: the head may have been read a moment before another one was set.
    desiredVersion: desired?.version ?? device.desiredVersion,
    ...(desired === undefined ? {} : { desired: { ...desired.state } }),
  };
}
