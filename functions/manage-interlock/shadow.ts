import type { Table } from '../../shared/aws/dynamodb.ts';
import type { Command } from '../../shared/commands/command.ts';
import { type CommandPage, type CommandPosition, listStoredCommands } from '../../shared/commands/store.ts';
import { listPosition } from '../../shared/devices/list-position.ts';
import { type DeviceFilter, listDevices } from '../../shared/devices/store.ts';
import { operation } from '../../shared/http/api.ts';
import { pageBody } from '../../shared/http/page.ts';
import { type Caller, everySite } from '../../shared/identity/caller.ts';
import { deviceResource } from '../../shared/identity/resource.ts';
import { interlockOperations, shadowCommandsOfDevice, shadowDays } from '../../shared/interlock/operations.ts';
import type { InterlockSettings } from '../../shared/interlock/settings.ts';
import { shadow } from '../../shared/interlock/shadow.ts';
import type { Services } from './services.ts';

/** Queries at the same time. */
const parallel = 10;

/** Shadow mode (R17). */
export function shadowHandlers({ devices, guard, interlock }: Services) {
  return {
    shadowInterlock: operation(interlockOperations.shadowInterlock, async ({ caller, body, receivedAt }) => {
      guard.assertReadsSomewhere(caller, receivedAt);
      const settings = merged(interlock, body.settings);
      const { cursor, ...question } = body;
      const filter = filterOf(caller, body.siteId);
      const list = ['interlock-shadow', question, filter.siteIds ?? everySite];
      const position = listPosition(list, cursor, filter);
      const page = await listDevices(devices, filter, body.devices, position);
      const mayRead = page.devices.filter(
        (device) => guard.decide(caller, 'ReadCommand', deviceResource(device), receivedAt).allowed,
      );
      const since = new Date(receivedAt.getTime() - shadowDays * 86_400_000).toISOString();
      const histories = await inParallel(mayRead, (device) => commandsSince(devices, device.id, since));
      const results = histories.flatMap(({ commands }) => commands.map((command) => shadow(command, settings)));
      const changes = results.flatMap((result) => result.changes);
      const sum = (count: (result: (typeof results)[number]) => number) =>
        results.reduce((total, result) => total + count(result), 0);
      return {
        body: {
          settings,
          since,
          devices: mayRead.length,
          commands: results.length,
          decided: sum(({ decided }) => decided),
          undecidable: sum(({ undecidable }) => undecidable),
          cutDevices: mayRead.filter((_, index) => histories[index]?.cut).map(({ id }) => id),
          ...pageBody(list, changes, page.next),
        },
      };
    }),
  };
}

function merged(
  settings: InterlockSettings,
  changes: { readonly [Name in keyof InterlockSettings]?: InterlockSettings[Name] | undefined },
): InterlockSettings {
  return {
    deviceStateSeconds: changes.deviceStateSeconds ?? settings.deviceStateSeconds,
    foregroundSeconds: changes.foregroundSeconds ?? settings.foregroundSeconds,
    batteryPercent: changes.batteryPercent ?? settings.batteryPercent,
    recheckMinutes: changes.recheckMinutes ?? settings.recheckMinutes,
    windows: changes.windows ?? settings.windows,
  };
}

/** Devices of the caller's sites: what they may not see is not even read. */
function filterOf(caller: Caller, siteId: string | undefined): DeviceFilter {
  const own = caller.sites.includes(everySite) ? undefined : [...new Set(caller.sites)].sort();
  const siteIds = siteId === undefined ? own : own === undefined || own.includes(siteId) ? [siteId] : [];
  return siteIds === undefined ? {} : { siteIds };
}

/** Open commands, then closed ones from the newest on, until they are too old or too many. */
async function commandsSince(
  table: Table,
  deviceId: string,
  since: string,
): Promise<{ readonly commands: readonly Command[]; readonly cut: boolean }> {
  const commands: Command[] = [];
  let position: CommandPosition | undefined;
  for (;;) {
    const page: CommandPage = await listStoredCommands(table, deviceId, 100, position);
    const recent = page.commands.filter(({ createdAt }) => createdAt >= since);
    commands.push(...recent);
    const old = page.commands.some(({ createdAt, closedAt }) => closedAt !== undefined && createdAt < since);
    if (page.next === undefined || old) return { commands, cut: false };
    if (commands.length >= shadowCommandsOfDevice) return { commands, cut: true };
    position = page.next;
  }
}

async function inParallel<Item, Result>(
  items: readonly Item[],
  run: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < items.length; start += parallel) {
    results.push(...(await Promise.all(items.slice(start, start + parallel).map(run))));
  }
  return results;
}
