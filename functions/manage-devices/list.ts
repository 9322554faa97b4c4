import { readTrail } from '../../shared/audit/store.ts';
import { type Device, deviceIdOf } from '../../shared/devices/device.ts';
import { devicePartition } from '../../shared/devices/keys.ts';
import { listPosition } from '../../shared/devices/list-position.ts';
import { type DeviceQuery, deviceOperations } from '../../shared/devices/operations.ts';
import { type DeviceFilter, getDevice, getReport, listDevices } from '../../shared/devices/store.ts';
import { viewOf } from '../../shared/devices/view.ts';
import { operation } from '../../shared/http/api.ts';
import { etagOf } from '../../shared/http/etag.ts';
import { parameter } from '../../shared/http/operation.ts';
import { pageBody, startAfter } from '../../shared/http/page.ts';
import { type Caller, everySite, listedSites } from '../../shared/identity/caller.ts';
import { deviceResource } from '../../shared/identity/resource.ts';
import { requireDevice, type Services } from './services.ts';

/** Reading devices. */
export function listHandlers({ devices, guard }: Pick<Services, 'devices' | 'guard'>) {
  return {
    listDevices: operation(deviceOperations.listDevices, async ({ caller, query, receivedAt }) => {
      guard.assertReadsSomewhere(caller, receivedAt);
      const mayRead = guard.readable(caller, receivedAt);
      const readable = (device: Device) => mayRead(deviceResource(device));
      if (query.serial !== undefined) {
        const device = await getDevice(devices, deviceIdOf(query.serial));
        const found = device !== undefined && matches(device, query) && readable(device) ? [viewOf(device)] : [];
        return { body: { items: found } };
      }
      const filter = filterOf(query, caller);
      const { limit, cursor, ...filters } = query;
      // The caller's sites are positions of the list: a cursor is of no use with another token's sites.
      const list = ['devices', filters, filter.siteIds ?? everySite];
      const position = listPosition(list, cursor, filter);
      const page = await listDevices(devices, filter, limit, position);
      return { body: pageBody(list, page.devices.filter(readable).map(viewOf), page.next) };
    }),

    getDevice: operation(deviceOperations.getDevice, async ({ caller, path, receivedAt }) => {
      const device = await requireDevice(devices, path);
      guard.assertMay(caller, 'ReadDevice', deviceResource(device), receivedAt);
      const [inventory, posture] = await Promise.all([
        device.inventory === undefined ? undefined : getReport(devices, device.id, 'inventory'),
        device.posture === undefined ? undefined : getReport(devices, device.id, 'posture'),
      ]);
      const body = {
        ...viewOf(device),
        ...(inventory === undefined ? {} : { inventory }),
        ...(posture === undefined ? {} : { posture }),
      };
      return { body, headers: { etag: etagOf(device.version) } };
    }),

    listDeviceAudit: operation(deviceOperations.listDeviceAudit, async ({ caller, path, query, receivedAt }) => {
      const deviceId = parameter(path, 'deviceId');
      const device = await requireDevice(devices, path);
      guard.assertMay(caller, 'ReadAudit', deviceResource(device), receivedAt);
      const list = ['device-audit', deviceId];
      const page = await readTrail(devices, devicePartition(deviceId), query.limit, startAfter(list, query.cursor));
      return { body: pageBody(list, page.items, page.after) };
    }),
  };
}

/** The filter, limited to the caller's sites. */
function filterOf(query: DeviceQuery, caller: Caller): DeviceFilter {
  const siteIds = listedSites(caller, query.site);
  return {
    ...(siteIds === undefined ? {} : { siteIds }),
    ...(query.unit === undefined ? {} : { unitId: query.unit }),
    equal: {
      ...(query.platform === undefined ? {} : { platform: query.platform }),
      ...(query.class === undefined ? {} : { class: query.class }),
      ...(query.state === undefined ? {} : { lifecycle: query.state }),
      ...(query.compliance === undefined ? {} : { compliance: query.compliance }),
      ...(query.user === undefined ? {} : { user: query.user }),
    },
  };
}

/** Whether the one device of a serial number also meets the other filters. */
function matches(device: Device, query: DeviceQuery): boolean {
  const view = viewOf(device);
  const wanted: readonly (readonly [unknown, unknown])[] = [
    [query.site, view.siteId],
    [query.unit, view.unitId],
    [query.platform, view.platform],
    [query.class, view.class],
    [query.state, view.lifecycle],
    [query.compliance, view.compliance],
    [query.user, view.user],
  ];
  return wanted.every(([asked, actual]) => asked === undefined || asked === actual);
}
