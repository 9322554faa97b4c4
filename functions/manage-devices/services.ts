import type { Table } from '../../shared/aws/dynamodb.ts';
import type { Device } from '../../shared/devices/device.ts';
import { getDevice } from '../../shared/devices/store.ts';
import { parameter } from '../../shared/http/operation.ts';
import { problems } from '../../shared/http/problem.ts';
import type { Guard } from '../../shared/identity/guard.ts';
import type { ImportStore } from '../../shared/imports/store.ts';

/** What the operations on devices work with. */
export interface Services {
  readonly devices: Table;
  readonly directory: Table;
  readonly guard: Guard;
  readonly imports: ImportStore;
}

/** The device of the path, read consistently because something is decided on it; or 404. */
export async function requireDevice(devices: Table, path: Readonly<Record<string, string>>): Promise<Device> {
  const device = await getDevice(devices, parameter(path, 'deviceId'), { consistent: true });
  if (device === undefined) throw problems.notFound('There is no device with this id.');
  return device;
}
