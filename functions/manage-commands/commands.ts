import { auditRecord } from '../../shared/audit/record.ts';
import type { Table } from '../../shared/aws/dynamodb.ts';
import { commandOperations } from '../../shared/commands/operations.ts';
import { cancelCommand, getCommand, listCommands, queueCommand } from '../../shared/commands/writer.ts';
import type { Device } from '../../shared/devices/device.ts';
import { devicePartition } from '../../shared/devices/keys.ts';
import { getDevice } from '../../shared/devices/store.ts';
import { operation } from '../../shared/http/api.ts';
import { decodeCursor } from '../../shared/http/cursor.ts';
import { parameter } from '../../shared/http/operation.ts';
import { pageBody } from '../../shared/http/page.ts';
import { problems } from '../../shared/http/problem.ts';
import { commandActions } from '../../shared/identity/actions.ts';
import { actorOf } from '../../shared/identity/caller.ts';
import type { Guard } from '../../shared/identity/guard.ts';
import { deviceResource } from '../../shared/identity/resource.ts';
import { CommandPositionSchema } from './position.ts';

/** What the operations on commands work with. */
export interface Services {
  readonly devices: Table;
  readonly directory: Table;
  readonly guard: Guard;
}

/** The operations on commands. */
export function commandHandlers({ devices, directory, guard }: Services) {
  return {
    listCommands: operation(commandOperations.listCommands, async ({ caller, path, query, receivedAt }) => {
      const device = await requireDevice(devices, path);
      guard.assertMay(caller, 'ReadCommand', deviceResource(device), receivedAt);
      const list = ['commands', device.id];
      const position = query.cursor === undefined ? undefined : decodeCursor(list, query.cursor, CommandPositionSchema);
      const page = await listCommands(devices, device.id, query.limit, position, receivedAt);
      return { body: pageBody(list, page.commands, page.next) };
    }),

    createCommand: operation(commandOperations.createCommand, async (request) => {
      const { caller, path, body, idempotencyKey, receivedAt } = request;
      const device = await requireDevice(devices, path);
      const partition = devicePartition(device.id);
      const action = commandActions[body.type];
      const permit = await guard.permit(caller, action, deviceResource(device), partition, receivedAt);
      const { command } = await queueCommand(
        { devices, directory },
        {
          deviceId: device.id,
          request: body,
          requestedBy: actorOf(caller),
          idempotencyKey,
          entry: permit,
          now: receivedAt,
        },
      );
      return { body: command, headers: { location: `/v1/devices/${device.id}/commands/${command.id}` } };
    }),

    getCommand: operation(commandOperations.getCommand, async ({ caller, path, receivedAt }) => {
      const device = await requireDevice(devices, path);
      guard.assertMay(caller, 'ReadCommand', deviceResource(device), receivedAt);
      return { body: await getCommand(devices, device.id, parameter(path, 'commandId'), receivedAt) };
    }),

    cancelCommand: operation(commandOperations.cancelCommand, async ({ caller, path, receivedAt }) => {
      const device = await requireDevice(devices, path);
      const partition = devicePartition(device.id);
      const permit = await guard.permit(caller, 'CancelCommand', deviceResource(device), partition, receivedAt);
      const command = await cancelCommand(devices, {
        deviceId: device.id,
        commandId: parameter(path, 'commandId'),
        requestedBy: actorOf(caller),
        audit: ({ id, type }) => auditRecord(partition, { ...permit, after: { commandId: id, type } }, receivedAt),
        now: receivedAt,
      });
      return { body: command };
    }),
  };
}

async function requireDevice(table: Table, path: Readonly<Record<string, string>>): Promise<Device> {
  const device = await getDevice(table, parameter(path, 'deviceId'));
  if (device === undefined) throw problems.notFound('There is no device with this id.');
  return device;
}
