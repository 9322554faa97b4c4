import * as v from 'valibot';
import type { Table } from '../aws/dynamodb.ts';
import { type DeviceId, Lifecycle } from '../devices/device.ts';
import type { WakeUp } from '../protocols/agent/messages.ts';
import { wakeTopic } from '../protocols/agent/topics.ts';
import { CommandStatus } from './command.ts';
import { isOverdue } from './expiry.ts';
import { readQueue } from './store.ts';

/**
 * A look at a device some time after it was woken: the message in the queue of wake-ups. `n` is the number of the
 * newest command that it was woken for, `attempt` counts from 0.
 */
export const WakeCheck = v.object({
  deviceId: v.string(),
  n: v.pipe(v.number(), v.safeInteger()),
  attempt: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});
export type WakeCheck = v.InferOutput<typeof WakeCheck>;

/** What becomes of a message whose receipt is to be confirmed. */
type WakeReceipt = 'confirmed' | 'unconfirmed' | 'not-connected';

/** Sends a wake-up to a connected device and waits until it has it. */
export type WakeDeviceConfirmed = (deviceId: DeviceId, topic: string, message: WakeUp) => Promise<WakeReceipt>;

/** What a look at a device came to. With `next`, the device is to be looked at again. */
export type WakeCheckOutcome =
  | { readonly kind: 'fetched' | 'left-to-newer' | 'not-connected' }
  | { readonly kind: 'woken' | 'unconfirmed'; readonly next: WakeCheck };

/** Pauses before the first, second and third look, seconds; each later one is as long as the last. */
const pauses = [60, 300, 900] as const;

/** How long to wait before this look, seconds: one minute, then five, then fifteen each time. */
export const pauseBefore = (check: Pick<WakeCheck, 'attempt'>): number => pauses[check.attempt] ?? pauses[2];

/**
 * Looks whether a device has fetched what it was woken for, and wakes it again if not. That ends when everything was
 * fetched, expired or cancelled, when the device is not connected (it checks in when it is), or when it was woken for
 * a newer command since: then that wake-up has a look of its own, which sees the older ones too.
 *
 * One eventually consistent request: it was a minute ago.
 *
 * @throws what the broker throws when it cannot be asked for the moment
 */
export async function wakeAgain(
  table: Table,
  check: WakeCheck,
  wake: WakeDeviceConfirmed,
  now: Date,
): Promise<WakeCheckOutcome> {
  const { device, open } = await readQueue(table, check.deviceId);
  const waiting = open.filter(
    (command) => command.status === CommandStatus.Pushed && !isOverdue(command, now.getTime()),
  );
  if (device?.lifecycle !== Lifecycle.Enrolled || waiting.length === 0) return { kind: 'fetched' };
  const newest = Math.max(...waiting.map((command) => command.seq));
  if (newest > check.n) return { kind: 'left-to-newer' };
  const receipt = await wake(check.deviceId, wakeTopic(check.deviceId), { v: 1, n: newest });
  if (receipt === 'not-connected') return { kind: receipt };
  const next = { ...check, attempt: check.attempt + 1 };
  return { kind: receipt === 'confirmed' ? 'woken' : 'unconfirmed', next };
}
