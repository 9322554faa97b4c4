import type { Table } from '../../shared/aws/dynamodb.ts';
import { CommandType } from '../../shared/commands/command.ts';
import { Gate } from '../../shared/commands/gates/gate.ts';
import { type CommandPage, type CommandPosition, listStoredCommands } from '../../shared/commands/store.ts';
import type { DeviceId } from '../../shared/devices/device.ts';
import { operation } from '../../shared/http/api.ts';
import { pageBody } from '../../shared/http/page.ts';
import { interlockOperations, shadowCommandsOfDevice } from '../../shared/interlock/operations.ts';
import type { InterlockSettings } from '../../shared/interlock/settings.ts';
import { type Decided, shadow } from '../../shared/interlock/shadow.ts';
import { limitOperations } from '../../shared/limits/operations.ts';
import { shadowLimits } from '../../shared/limits/shadow.ts';
import { type DecidedRequest, decidedSince } from './decided.ts';
import type { Services } from './services.ts';
import { ofEach, type ShadowPage, shadowPage } from './shadow-devices.ts';

/** Shadow mode (R17). */
export function shadowHandlers(services: Services) {
  const { devices, interlock } = services;
  return {
    shadowInterlock: operation(interlockOperations.shadowInterlock, async ({ caller, body, receivedAt }) => {
      const settings = merged(interlock, body.settings);
      const page = await shadowPage(services, 'interlock-shadow', caller, body, receivedAt);
      const { found, cutDevices } = await ofEach(page.devices, async (deviceId) => {
        const [commands, trail] = await Promise.all([
          commandsSince(devices, deviceId, page.since),
          decidedSince(devices, deviceId, page.since),
        ]);
        return { asked: [...commands.asked, ...refusedOf(trail.requests)], cut: commands.cut || trail.cut };
      });
      const results = found.flatMap(({ asked }) => asked.map((each) => shadow(each, settings)));
      return { body: { settings, commands: results.length, ...reportOf(page, results, cutDevices) } };
    }),

    shadowLimits: operation(limitOperations.shadowLimits, async ({ caller, body, receivedAt }) => {
      const page = await shadowPage(services, 'limits-shadow', caller, body, receivedAt);
      const { found, cutDevices } = await ofEach(page.devices, (deviceId) =>
        decidedSince(devices, deviceId, page.since),
      );
      const results = found.flatMap(({ requests }) =>
        requests.map(({ refused: _refused, ...request }) => shadowLimits(request, body.limits)),
      );
      return { body: { limits: body.limits, requests: results.length, ...reportOf(page, results, cutDevices) } };
    }),
  };
}

/** What both kinds of shadow report: what was looked at, what could be decided anew, and what came out otherwise. */
function reportOf<Change>(
  { devices, list, next, since }: ShadowPage,
  results: readonly { readonly decided: number; readonly undecidable: number; readonly changes: readonly Change[] }[],
  cutDevices: readonly DeviceId[],
) {
  const changes = results.flatMap((result) => result.changes);
  return {
    since,
    devices: devices.length,
    decided: results.reduce((total, { decided }) => total + decided, 0),
    undecidable: results.reduce((total, { undecidable }) => total + undecidable, 0),
    cutDevices: [...cutDevices],
    ...pageBody(list, changes, next),
  };
}

/** What the interlock refused. Only erasing is, and what its decision says does not hang on the parameters. */
function refusedOf(requests: readonly DecidedRequest[]): Decided[] {
  return requests.flatMap(({ refused, type, decisions, deviceId }) =>
    refused && type === CommandType.Wipe && decisions.some(({ gate }) => gate === Gate.Interlock)
      ? [{ deviceId, type, parameters: {}, decisions }]
      : [],
  );
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

/** Open commands, then closed ones from the newest on, until they are too old or too many. */
async function commandsSince(
  table: Table,
  deviceId: string,
  since: string,
): Promise<{ readonly asked: readonly Decided[]; readonly cut: boolean }> {
  const asked: Decided[] = [];
  let position: CommandPosition | undefined;
  for (;;) {
    const page: CommandPage = await listStoredCommands(table, deviceId, 100, position);
    const recent = page.commands.filter(({ createdAt }) => createdAt >= since);
    asked.push(
      ...recent.map(({ id, type, parameters, decisions = [] }) => ({
        deviceId,
        commandId: id,
        type,
        parameters,
        decisions,
      })),
    );
    const old = page.commands.some(({ createdAt, closedAt }) => closedAt !== undefined && createdAt < since);
    if (page.next === undefined || old) return { asked, cut: false };
    if (asked.length >= shadowCommandsOfDevice) return { asked, cut: true };
    position = page.next;
  }
}
