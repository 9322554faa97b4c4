import type { Device, DeviceId } from '../../shared/devices/device.ts';
import { listPosition } from '../../shared/devices/list-position.ts';
import { listDevices } from '../../shared/devices/store.ts';
import { type Caller, everySite, listedSites } from '../../shared/identity/caller.ts';
import { deviceResource } from '../../shared/identity/resource.ts';
import { shadowDays } from '../../shared/interlock/operations.ts';
import type { Services } from './services.ts';

/** Queries at the same time. */
const parallel = 10;

/** A request of shadow mode, as far as it says which devices it is about. */
export interface ShadowQuestion {
  readonly siteId?: string | undefined;
  readonly devices: number;
  readonly cursor?: string | undefined;
}

/** The devices that one request of shadow mode looks at. */
export interface ShadowPage {
  readonly devices: readonly Device[];
  /** Names the list: part of the cursor, so that it goes on with the same question only. */
  readonly list: readonly unknown[];
  readonly next: unknown;
  /** What is older is not looked at (RFC 3339). */
  readonly since: string;
}

/**
 * The next devices that the caller may read the commands of.
 *
 * @param name of the list
 */
export async function shadowPage(
  { devices, guard }: Pick<Services, 'devices' | 'guard'>,
  name: string,
  caller: Caller,
  body: ShadowQuestion,
  now: Date,
): Promise<ShadowPage> {
  guard.assertReadsSomewhere(caller, now);
  const { cursor, ...question } = body;
  const siteIds = listedSites(caller, body.siteId);
  const filter = siteIds === undefined ? {} : { siteIds };
  const list = [name, question, siteIds ?? everySite];
  const position = listPosition(list, cursor, filter);
  const page = await listDevices(devices, filter, body.devices, position);
  const since = new Date(now.getTime() - shadowDays * 86_400_000).toISOString();
  const readable = page.devices.filter(
    (device) => guard.decide(caller, 'ReadCommand', deviceResource(device), now).allowed,
  );
  return { devices: readable, list, next: page.next, since };
}

/** What `read` finds of each device, a few at a time; with `cut` where it stopped before it was through. */
export async function ofEach<Found extends { readonly cut: boolean }>(
  devices: readonly Device[],
  read: (deviceId: DeviceId) => Promise<Found>,
): Promise<{ readonly found: readonly Found[]; readonly cutDevices: readonly DeviceId[] }> {
  const found: Found[] = [];
  for (let start = 0; start < devices.length; start += parallel) {
    found.push(...(await Promise.all(devices.slice(start, start + parallel).map(({ id }) => read(id)))));
  }
  return { found, cutDevices: devices.filter((_, index) => found[index]?.cut === true).map(({ id }) => id) };
}
