import * as v from 'valibot';
import type { SendLater } from '../aws/delayed-queue.ts';
import type { Table } from '../aws/dynamodb.ts';
import { type DeviceId, Lifecycle } from '../devices/device.ts';
import { type ListPosition, listDevices } from '../devices/store.ts';
import { wakeTopic } from '../protocols/agent/topics.ts';
import { isOverdue } from './expiry.ts';
import { Gate } from './gates/gate.ts';
import { isHeldByGate } from './life.ts';
import type { WakeDevice } from './push.ts';
import { readQueue } from './store.ts';

/**
 * A look at all devices of a place, after a gate that held commands there said something else: the brake was released, or
 * the unit's hours were changed. A message in the queue of wake-ups. Without `siteId`: the whole network; without `unitId`: all of the site.
 */
export const HeldLook = v.object({
  held: v.picklist([Gate.Brake, Gate.Interlock]),
  siteId: v.optional(v.string()),
  unitId: v.optional(v.string()),
  /** Where the look goes on. */
  position: v.optional(v.object({ site: v.union([v.number(), v.string()]), after: v.optional(v.string()) })),
});
export type HeldLook = v.InferOutput<typeof HeldLook>;

/** A check-in may go by a brake or a place that was read up to a second ago: a device that came at once would be told to wait. */
const settleSeconds = 2;

/** Has the devices of a place woken for whose commands a gate was in the way. */
export type WakeHeld = (place: Pick<HeldLook, 'siteId' | 'unitId'>) => Promise<void>;

/**
 * Puts such looks into the queue of wake-ups.
 *
 * @param failed told when the queue takes none: what let the commands go is done, and the devices come by themselves
 */
export const heldWaker =
  (later: SendLater, held: HeldLook['held'], failed: (error: unknown) => void): WakeHeld =>
  async ({ siteId, unitId }) => {
    const look: HeldLook = { held, siteId, unitId };
    try {
      await later(look, settleSeconds);
    } catch (error) {
      failed(error);
    }
  };

/** What a look works with. */
export interface HeldMeans {
  readonly table: Table;
  readonly wake: WakeDevice;
  /** Told of a device that could not be woken: the others are, and it comes by itself when its command's time has come. */
  readonly failed: (deviceId: DeviceId, error: unknown) => void;
  /** Milliseconds, our clock. */
  readonly now: () => number;
}

/** Devices of one page, and how many of them are looked at together: so fast devices come to fetch what waited, and no faster. */
const page = 100;
const together = 20;
/** After this a look goes on in another message, milliseconds. */
const longestLook = 8_000;

/**
 * Wakes the devices of a place for whose commands the gate was in the way, some at a time: a network that was braked for
 * hours must not come all at once. For each device its head and its queue are read, half a unit each.
 *
 * @returns how many were woken, and the look that goes on where this one ended
 */
export async function wakeHeld(
  means: HeldMeans,
  look: HeldLook,
): Promise<{ readonly woken: number; readonly next?: HeldLook }> {
  const { position: start, ...place } = look;
  const { siteId, unitId } = place;
  const filter = {
    ...(siteId === undefined ? {} : { siteIds: [siteId] }),
    ...(unitId === undefined ? {} : { unitId }),
  };
  const end = means.now() + longestLook;
  let woken = 0;
  let at: ListPosition | undefined = start === undefined ? undefined : positionOf(start);
  do {
    const found = await listDevices(means.table, filter, page, at);
    const enrolled = found.devices.filter(({ lifecycle }) => lifecycle === Lifecycle.Enrolled);
    for (let first = 0; first < enrolled.length; first += together) {
      const some = enrolled.slice(first, first + together);
      const results = await Promise.all(some.map(({ id }) => wakeIfHeld(means, id, look.held)));
      woken += results.filter(Boolean).length;
    }
    at = found.next;
  } while (at !== undefined && means.now() < end);
  return at === undefined ? { woken } : { woken, next: { ...place, position: at } };
}

async function wakeIfHeld({ table, wake, failed, now }: HeldMeans, id: DeviceId, gate: HeldLook['held']) {
  try {
    const { device, open } = await readQueue(table, id);
    const held = open.some(
      (command) => isHeldByGate(command) && command.history.at(-1)?.source === gate && !isOverdue(command, now()),
    );
    if (!held || device === undefined) return false;
    return await wake(id, wakeTopic(id), { v: 1, n: device.queueSeq });
  } catch (error) {
    failed(id, error);
    return false;
  }
}

const positionOf = ({ site, after }: NonNullable<HeldLook['position']>): ListPosition =>
  after === undefined ? { site } : { site, after };
