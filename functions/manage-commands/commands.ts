import { type AuditEntry, auditRecord } from '../../shared/audit/record.ts';
import { destructiveTypes } from '../../shared/commands/gates/approval.ts';
import { commandOperations } from '../../shared/commands/operations.ts';
import { revokeThroughGates } from '../../shared/commands/revocation.ts';
import { cancelCommand, getCommand, listCommands, queueCommand } from '../../shared/commands/writer.ts';
import { type Device, Lifecycle } from '../../shared/devices/device.ts';
import { devicePartition } from '../../shared/devices/keys.ts';
import { getDevices } from '../../shared/devices/store.ts';
import { viewOf } from '../../shared/devices/view.ts';
import { operation } from '../../shared/http/api.ts';
import { decodeCursor } from '../../shared/http/cursor.ts';
import { parameter } from '../../shared/http/operation.ts';
import { pageBody } from '../../shared/http/page.ts';
import { problems } from '../../shared/http/problem.ts';
import { commandActions } from '../../shared/identity/actions.ts';
import { actorOf } from '../../shared/identity/caller.ts';
import { deviceResource } from '../../shared/identity/resource.ts';
import { getLimits } from '../../shared/limits/store.ts';
import { eachDevice } from './carry-out.ts';
import { CommandPositionSchema } from './position.ts';
import { askForApproval } from './requests.ts';
import { requireDevice, type Services } from './services.ts';

/** The operations on commands. */
export function commandHandlers(services: Services) {
  const { devices, directory, guard } = services;
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
      const { breakGlass, ...order } = body;
      const entry = await guard.permit(
        caller,
        commandActions[order.type],
        deviceResource(device),
        partition,
        receivedAt,
      );
      if (breakGlass !== undefined) {
        await guard.permit(caller, 'BreakGlass', deviceResource(device), partition, receivedAt);
      } else if (destructiveTypes.has(order.type)) {
        assertEnrolled(device);
        const { type, parameters, expiresAt, reason } = order;
        const more = { ...(expiresAt === undefined ? {} : { expiresAt }), ...(reason === undefined ? {} : { reason }) };
        const content = { kind: 'command', type, parameters, deviceIds: [device.id], ...more } as const;
        const siteIds = device.siteId === undefined ? [] : [device.siteId];
        return askForApproval(directory, { content, entry, siteIds, idempotencyKey, now: receivedAt });
      }
      const { command } = await queueCommand(services, {
        deviceId: device.id,
        request: order,
        requestedBy: actorOf(caller),
        breakGlass,
        idempotencyKey,
        entry,
        now: receivedAt,
      });
      return { body: command, headers: { location: `/v1/devices/${device.id}/commands/${command.id}` } };
    }),

    createCommands: operation(commandOperations.createCommands, async (request) => {
      const { caller, body, idempotencyKey, receivedAt } = request;
      const { deviceIds: listed, ...order } = body;
      const deviceIds = [...new Set(listed)].sort();
      if (deviceIds.length !== listed.length) {
        throw problems.invalid('A device is listed twice.', [{ pointer: '/deviceIds', detail: 'must not repeat' }]);
      }
      const found = await getDevices(devices, deviceIds);
      const known = new Set(found.map(({ id }) => id));
      const unknown = deviceIds.filter((id) => !known.has(id));
      if (unknown.length > 0) {
        throw problems.invalid('Some devices do not exist.', [
          { pointer: '/deviceIds', detail: `not the id of a device: ${unknown.slice(0, 10).join(', ')}` },
        ]);
      }
      const entries = new Map<string, AuditEntry>();
      for (const device of found) {
        const partition = devicePartition(device.id);
        const action = commandActions[order.type];
        entries.set(device.id, await guard.permit(caller, action, deviceResource(device), partition, receivedAt));
      }
      const { limits } = await getLimits(directory);
      const destructive = destructiveTypes.has(order.type);
      const many = deviceIds.length > limits.bulkWithoutApproval;
      if (many && !destructive) {
        // Two people are no stronger than the weaker of their sign-ins: whoever asks proves a second factor too.
        for (const device of found) {
          await guard.permit(caller, 'RequestInBulk', deviceResource(device), devicePartition(device.id), receivedAt);
        }
      }
      const [first] = entries.values();
      if (first !== undefined && (destructive || many)) {
        const { type, parameters, expiresAt, reason } = order;
        const more = { ...(expiresAt === undefined ? {} : { expiresAt }), ...(reason === undefined ? {} : { reason }) };
        const content = { kind: 'command', type, parameters, deviceIds, ...more } as const;
        const places = [...new Set(found.map(({ siteId }) => siteId))];
        // A device that stands nowhere is the organization's, and so is a request that is about it too.
        const siteIds = places.includes(undefined) ? [] : places.flatMap((siteId) => siteId ?? []).sort();
        const entry = {
          ...first,
          policyIds: [...new Set([...entries.values()].flatMap(({ policyIds = [] }) => policyIds))],
        };
        return askForApproval(directory, { content, entry, siteIds, idempotencyKey, now: receivedAt });
      }
      const results = await eachDevice(deviceIds, async (deviceId) => {
        const entry = entries.get(deviceId);
        if (entry === undefined) throw problems.notFound('There is no device with this id.');
        const asked = { deviceId, request: order, requestedBy: actorOf(caller), devices: deviceIds.length };
        const { command } = await queueCommand(services, { ...asked, idempotencyKey, entry, now: receivedAt });
        return { deviceId, commandId: command.id };
      });
      return { body: { results } };
    }),

    revokeDevice: operation(
      commandOperations.revokeDevice,
      async ({ caller, path, body, idempotencyKey, receivedAt }) => {
        const device = await requireDevice(devices, path);
        const partition = devicePartition(device.id);
        const { breakGlass, reason } = body;
        const entry = await guard.permit(caller, 'RevokeDevice', deviceResource(device), partition, receivedAt);
        if (device.lifecycle === Lifecycle.Expected) {
          throw problems.conflict('The device never enrolled; delete its registration instead.');
        }
        if (device.lifecycle === Lifecycle.Revoked) return { status: 200, body: viewOf(device) };
        if (breakGlass === undefined) {
          const content = {
            kind: 'revoke',
            deviceIds: [device.id],
            ...(reason === undefined ? {} : { reason }),
          } as const;
          const siteIds = device.siteId === undefined ? [] : [device.siteId];
          return askForApproval(directory, { content, entry, siteIds, idempotencyKey, now: receivedAt });
        }
        await guard.permit(caller, 'BreakGlass', deviceResource(device), partition, receivedAt);
        const asked = { deviceId: device.id, requestedBy: actorOf(caller), breakGlass, reason, entry, now: receivedAt };
        return { status: 200, body: viewOf(await revokeThroughGates(services, asked)) };
      },
    ),

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

function assertEnrolled(device: Device): void {
  if (device.lifecycle === Lifecycle.Enrolled) return;
  throw problems.conflict(`The device is ${device.lifecycle}; only an enrolled device takes commands.`);
}
