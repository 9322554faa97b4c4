import * as v from 'valibot';
import type { Table } from '../aws/dynamodb.ts';
import { Lifecycle } from '../devices/device.ts';
import { wakeTopic } from '../protocols/agent/topics.ts';
import { CommandStatus, type StoredCommand } from './command.ts';
import { isOverdue } from './expiry.ts';
import { readQueue } from './store.ts';
import { pauseBefore, type WakeDeviceConfirmed } from './wake-again.ts';

/**
 * A look at a device when what a command of it waits for is over by time: a message in the queue of wake-ups. `until` is
 * the command's `deferredUntil` (RFC 3339), `attempt` counts from 0.
 */
export const DueCheck = v.object({
  deviceId: v.string(),
  until: v.pipe(v.string(), v.isoTimestamp()),
  attempt: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});
export type DueCheck = v.InferOutput<typeof DueCheck>;

/** What a look at a device came to. With `next`, the device is to be looked at again. */
export type DueOutcome =
  | { readonly kind: 'gone-on' | 'left-to-newer' | 'not-connected' }
  | { readonly kind: 'not-yet' | 'woken' | 'unconfirmed'; readonly next: DueCheck };

/** A device that was told when to come gets this long to do so by itself, milliseconds. */
const graceMilliseconds = 60_000;
/** A queue holds a message back no longer than this, seconds. */
const longestDelay = 900;

/** How long to wait before this look, seconds: until a minute after the time has come, in steps of a quarter of an hour. */
export function pauseBeforeDue({ until, attempt }: DueCheck, now: number): number {
  if (attempt > 0) return pauseBefore({ attempt });
  const wait = Math.ceil((Date.parse(until) + graceMilliseconds - now) / 1_000);
  return Math.min(longestDelay, Math.max(1, wait));
}

/**
 * The looks that changes of commands call for: one for each device and time that a command waits for. A command that
 * expires before its time comes needs none.
 *
 * @param changes of open commands; `before` is missing for a new one
 */
export function dueChecks(
  changes: readonly { readonly before?: StoredCommand | undefined; readonly after: StoredCommand }[],
): DueCheck[] {
  const checks = new Map<string, DueCheck>();
  for (const { before, after } of changes) {
    const { deviceId, deferredUntil: until } = after;
    if (until === undefined || until === before?.deferredUntil || until >= after.expiresAt) continue;
    checks.set(`${deviceId} ${until}`, { deviceId, until, attempt: 0 });
  }
  return [...checks.values()];
}

/**
 * Wakes a device whose command waited for a time that has come, unless it came by itself: then the command was handed
 * out, or waits for another time, which has a look of its own. A device that is not connected checks in when it is.
 *
 * No request before the time; then one, eventually consistent: it was a minute ago.
 *
 * @throws what the broker throws when it cannot be asked for the moment
 */
export async function wakeWhenDue(
  table: Table,
  check: DueCheck,
  wake: WakeDeviceConfirmed,
  now: Date,
): Promise<DueOutcome> {
  if (now.getTime() < Date.parse(check.until) + graceMilliseconds) return { kind: 'not-yet', next: check };
  const { device, open } = await readQueue(table, check.deviceId);
  const due = open.filter((command) => isDue(command, now)).map(({ deferredUntil }) => deferredUntil);
  if (device?.lifecycle !== Lifecycle.Enrolled || !due.includes(check.until)) return { kind: 'gone-on' };
  if (due.some((until) => until !== undefined && until > check.until)) return { kind: 'left-to-newer' };
  const receipt = await wake(check.deviceId, wakeTopic(check.deviceId), { v: 1, n: device.queueSeq });
  if (receipt === 'not-connected') return { kind: receipt };
  const next = { ...check, attempt: check.attempt + 1 };
  return { kind: receipt === 'confirmed' ? 'woken' : 'unconfirmed', next };
}

const isDue = (command: StoredCommand, now: Date): boolean =>
  command.status === CommandStatus.Deferred &&
  command.deferredUntil !== undefined &&
  Date.parse(command.deferredUntil) + graceMilliseconds <= now.getTime() &&
  !isOverdue(command, now.getTime());
