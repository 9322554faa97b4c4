import { type CommandChange, CommandStatus, type StoredCommand } from './command.ts';
import { Gate, type GateDecision } from './gates/gate.ts';
import { isVerifiable, verificationHours } from './verification.ts';

const { Queued, Pushed, Delivered, Acknowledged, Verified, Failed, Deferred, Expired, Cancelled } = CommandStatus;

/**
 * Which change may follow which status. A result may come from `queued` or `pushed`: the device can be faster than
 * our note that it fetched the command. From `delivered` straight to `verified` goes a wiped device: it enrols anew and
 * remembers no command to answer. A `deferred` command may be cancelled, because the device has given it back:
 * it must not carry it out before it is handed out again.
 */
const next: Readonly<Record<CommandStatus, readonly CommandStatus[]>> = {
  [Queued]: [Pushed, Delivered, Acknowledged, Failed, Deferred, Expired, Cancelled],
  [Pushed]: [Delivered, Acknowledged, Failed, Deferred, Expired, Cancelled],
  [Delivered]: [Acknowledged, Verified, Failed, Deferred, Expired],
  [Deferred]: [Delivered, Acknowledged, Failed, Deferred, Expired, Cancelled],
  [Acknowledged]: [Verified],
  [Verified]: [],
  [Failed]: [],
  [Expired]: [],
  [Cancelled]: [],
};

/** Statuses that end a command whatever its type. */
const ends: ReadonlySet<CommandStatus> = new Set([Verified, Failed, Expired, Cancelled]);

/** Statuses of a command without a result: only these expire and collapse. */
const unanswered: ReadonlySet<CommandStatus> = new Set([Queued, Pushed, Delivered, Deferred]);

/** Whether the command came to its end. What is final never changes again. */
export const isFinal = (command: StoredCommand): boolean => command.closedAt !== undefined;

/** Whether the device still owes a result. */
export const isUnanswered = (command: Pick<StoredCommand, 'status'>): boolean => unanswered.has(command.status);

/** How many changes a command remembers: the first two and the latest. A device may defer for weeks. */
export const historyLength = 40;

/** A change as it is asked for; `detail` is the device's. */
export interface WantedChange extends CommandChange {
  readonly detail?: unknown;
}

/**
 * The command after `change`, or undefined when its life does not allow that: it is final, or the change is one that
 * already happened. The same change twice is therefore harmless.
 *
 * An acknowledged command whose type can be verified stays open until evidence comes or its window is over; all other
 * ends close it.
 */
export function changed(command: StoredCommand, change: WantedChange): StoredCommand | undefined {
  if (isFinal(command) || !next[command.status].includes(change.status)) return undefined;
  if (isSameDeferral(command, change)) return undefined;
  const { detail, ...entry } = change;
  const { deferredUntil: _before, ...rest } = command;
  const waits = change.status === Acknowledged && isVerifiable(command.type);
  const closes = ends.has(change.status) || (change.status === Acknowledged && !waits);
  return {
    ...rest,
    status: change.status,
    history: remember(command.history, entry),
    revision: command.revision + 1,
    ...(detail === undefined ? {} : { detail }),
    ...(change.status === Deferred && change.until !== undefined ? { deferredUntil: change.until } : {}),
    ...(waits ? { verifyUntil: hoursAfter(change.at, verificationHours) } : {}),
    ...(closes ? { closedAt: change.at } : {}),
  };
}

/** Gates that hold back a command that is stored; the `source` of such a deferral. */
const holdingGates: ReadonlySet<string> = new Set<Gate>([Gate.Interlock, Gate.Brake, Gate.Admission]);

/** Whether it waits because a gate said so, not the device: then it is looked at again at every check-in. */
export const isHeldByGate = (command: StoredCommand): boolean =>
  command.status === Deferred && holdingGates.has(command.history.at(-1)?.source ?? '');

/**
 * The command that a gate holds back. One that was handed out before stays as it is: the device may be at it, and
 * `deferred` would say that it is not. It is only not handed out again. While the gate's reason stays the same, and the
 * time to look again has not come, nothing changes, so that a device that checks in often costs no writes.
 */
export function heldBack(command: StoredCommand, decision: GateDecision): StoredCommand {
  if (command.status === Delivered) return command;
  const { gate, reason, at } = decision;
  const last = command.history.at(-1);
  const again = isHeldByGate(command) && last?.source === gate && last.reason === reason;
  if (again && command.deferredUntil !== undefined && command.deferredUntil > at) return command;
  return changed(command, deferralBy(decision)) ?? command;
}

/** The change by which a gate has a command wait. */
export const deferralBy = ({ gate, reason, at, until }: GateDecision): CommandChange => ({
  status: Deferred,
  at,
  source: gate,
  reason,
  ...(until === undefined ? {} : { until }),
});

/** The acknowledged command at the end of its verification window: it stays what the device said, and ends. */
export function closedUnverified(command: StoredCommand, now: string): StoredCommand | undefined {
  if (isFinal(command) || command.status !== Acknowledged) return undefined;
  if (command.verifyUntil === undefined || command.verifyUntil > now) return undefined;
  return { ...command, closedAt: now, revision: command.revision + 1 };
}

/**
 * A repeated "not now". The device does not hold the command, so it cannot have thought again: only another reason or
 * a time that differs by more than a minute is news.
 */
function isSameDeferral(command: StoredCommand, change: WantedChange): boolean {
  if (command.status !== Deferred || change.status !== Deferred) return false;
  const moved = Date.parse(change.until ?? change.at) - Date.parse(command.deferredUntil ?? change.at);
  return command.history.at(-1)?.reason === change.reason && Math.abs(moved) <= 60_000;
}

function remember(history: readonly CommandChange[], change: CommandChange): readonly CommandChange[] {
  const all = [...history, change];
  return all.length <= historyLength ? all : [...all.slice(0, 2), ...all.slice(all.length - historyLength + 2)];
}

const hoursAfter = (time: string, hours: number) => new Date(Date.parse(time) + hours * 3_600_000).toISOString();
