import { type AuditEntry, auditRecord } from '../../shared/audit/record.ts';
import type { Device } from '../../shared/devices/device.ts';
import { devicePartition } from '../../shared/devices/keys.ts';
import { getDevice } from '../../shared/devices/store.ts';
import { operation } from '../../shared/http/api.ts';
import { parameter } from '../../shared/http/operation.ts';
import { problems } from '../../shared/http/problem.ts';
import { actorOf, type Caller } from '../../shared/identity/caller.ts';
import { deviceResource } from '../../shared/identity/resource.ts';
import { interlockOperations } from '../../shared/interlock/operations.ts';
import { reportSignal } from '../../shared/interlock/report-signal.ts';
import { isSignalKind, isStateOf, type Signal, type SignalKind, signalStates } from '../../shared/interlock/signals.ts';
import type { Services } from './services.ts';

/** What other systems say of a device's use. */
export function signalHandlers(services: Services) {
  const { devices, guard } = services;

  const permitted = async (caller: Caller, path: Readonly<Record<string, string>>, now: Date) => {
    const device = await getDevice(devices, parameter(path, 'deviceId'));
    if (device === undefined) throw problems.notFound('There is no device with this id.');
    const partition = devicePartition(device.id);
    const entry = await guard.permit(caller, 'ReportSignal', deviceResource(device), partition, now);
    return { device, kind: kindOf(path), entry };
  };
  const report = (device: Device, kind: SignalKind, signal: Signal | undefined, entry: AuditEntry, now: Date) =>
    reportSignal(services, {
      deviceId: device.id,
      kind,
      signal,
      audit: (before) =>
        auditRecord(
          devicePartition(device.id),
          { ...entry, before: { [kind]: before?.state ?? null }, after: { [kind]: signal?.state ?? null } },
          now,
        ),
      now: now.getTime(),
    });

  return {
    putSignal: operation(interlockOperations.putSignal, async ({ caller, path, body, receivedAt }) => {
      const { device, kind, entry } = await permitted(caller, path, receivedAt);
      if (!isStateOf(kind, body.state)) {
        const detail = `must be one of: ${signalStates[kind].join(', ')}`;
        throw problems.invalid(`The state of ${kind} ${detail}.`, [{ pointer: '/state', detail }]);
      }
      // A source whose clock is ahead must not silence the others until its time comes.
      const at = Math.min(Date.parse(body.at), receivedAt.getTime());
      const signal: Signal = {
        state: body.state,
        at: new Date(at).toISOString(),
        until: new Date(at + body.ttlSeconds * 1_000).toISOString(),
        source: actorOf(caller),
      };
      return { body: await report(device, kind, signal, entry, receivedAt) };
    }),

    deleteSignal: operation(interlockOperations.deleteSignal, async ({ caller, path, receivedAt }) => {
      const { device, kind, entry } = await permitted(caller, path, receivedAt);
      await report(device, kind, undefined, entry, receivedAt);
      return {};
    }),
  };
}

function kindOf(path: Readonly<Record<string, string>>): SignalKind {
  const kind = parameter(path, 'kind');
  if (!isSignalKind(kind))
    throw problems.notFound(`There is no signal ${kind}; there are ${Object.keys(signalStates).join(', ')}.`);
  return kind;
}
