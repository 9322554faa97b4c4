import type { Table } from '../../shared/aws/dynamodb.ts';
import type { CommandTables } from '../../shared/commands/writer.ts';
import type { Device } from '../../shared/devices/device.ts';
import { getDevice } from '../../shared/devices/store.ts';
import { parameter } from '../../shared/http/operation.ts';
import { problems } from '../../shared/http/problem.ts';
import type { Guard } from '../../shared/identity/guard.ts';

/** What the operations on commands work with. */
export interface Services extends CommandTables {
  readonly guard: Guard;
}

/** The device of the path, or 404. */
export async function requireDevice(table: Table, path: Readonly<Record<string, string>>): Promise<Device> {
  const device = await getDevice(table, parameter(path, 'deviceId'));
  if (device === undefined) throw problems.notFound('There is no device with this id.');
  return device;
}
