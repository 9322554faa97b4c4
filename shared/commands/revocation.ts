import { setTimeout as pause } from 'node:timers/promises';
import { ulid } from 'ulid';
import type { Approval } from '../approvals/approval.ts';
import { type AuditEntry, AuditOutcome, auditRecord } from '../audit/record.ts';
import { keepRecord } from '../audit/store.ts';
import { cancellationsOf } from '../aws/errors.ts';
import { brakeDecision } from '../brake/brake.ts';
import { listBrakes } from '../brake/store.ts';
import { type Device, type DeviceId, Lifecycle } from '../devices/device.ts';
import { devicePartition } from '../devices/keys.ts';
import { getDevice, revokeDevice } from '../devices/store.ts';
import { ProblemError, problems } from '../http/problem.ts';
import type { BreakGlass } from '../reviews/review.ts';
import { authorized, GateRefusal, type Passage, passGates } from './gates/pipeline.ts';
import { approvalGate, emergencyOf, limiterGate, tellOfRefusal } from './stored-gates.ts';
import type { CommandTables } from './writer.ts';

/** Who wants a device's certificate revoked. */
export interface RevocationRequest {
  readonly deviceId: DeviceId;
  /** `user:<sub>` */
  readonly requestedBy: string;
  /** How many devices the request is for. @default 1 */
  readonly devices?: number;
  readonly approval?: Approval | undefined;
  readonly breakGlass?: BreakGlass | undefined;
  readonly reason?: string | undefined;
  readonly entry: AuditEntry;
  readonly now: Date;
}

/** Tries of one revocation; others may be using up the same limit. */
const mostTries = 40;

/**
 * Revokes a device through the gates that destructive commands pass: it is one, only that the device cannot refuse it.
 * The interlock is not among them: a revoked device goes on working for its patient, it only no longer reaches us.
 * The stream of the Devices table then takes its certificates and connection away (`functions/device-retire`).
 * Revoking twice changes nothing.
 *
 * @throws ProblemError 404, or 409 for a device that never enrolled
 * @throws GateRefusal (409)
 */
export async function revokeThroughGates(tables: CommandTables, asked: RevocationRequest): Promise<Device> {
  const { deviceId } = asked;
  for (let tries = 0; tries < mostTries; tries += 1) {
    const device = await getDevice(tables.devices, deviceId, { consistent: true });
    if (device === undefined) throw problems.notFound('There is no device with this id.');
    if (device.lifecycle === Lifecycle.Revoked) return device;
    if (device.lifecycle === Lifecycle.Expected) {
      throw problems.conflict('The device never enrolled; delete its registration instead.');
    }
    const { decisions, parts } = await passRecorded(tables, asked, device);
    try {
      return await revokeDevice(
        tables.devices,
        deviceId,
        device.version,
        (before, after) => recordOf(asked, before, after, decisions),
        [...parts, ...emergencyParts(tables, asked, device)],
      );
    } catch (error) {
      // A limit that others used up since, or a device that was changed: moved, for one. It is decided again.
      const changed = error instanceof ProblemError && error.problem.status === 412;
      if (!changed && !cancellationsOf(error)?.some(({ code }) => code === 'ConditionalCheckFailed')) throw error;
      await pause(Math.random() * Math.min(400, 10 * 2 ** tries));
    }
  }
  throw problems.unavailable('Too many devices are being revoked at the same moment.');
}

async function passRecorded(tables: CommandTables, asked: RevocationRequest, device: Device): Promise<Passage> {
  const { requestedBy, now } = asked;
  const gates = [
    async () => ({ decision: authorized(asked.entry, device, requestedBy, now) }),
    approvalGate(tables, asked),
    limiterGate(tables, asked),
    async () => ({ decision: brakeDecision(await listBrakes(tables.directory), 'revoke', device, 'write', now) }),
  ];
  try {
    return await passGates(gates, { device, request: { type: 'revoke', parameters: {} }, requestedBy, now });
  } catch (error) {
    if (error instanceof GateRefusal) {
      await tellOfRefusal(tables.directory, error, 'revoke', requestedBy, now);
      const after = { type: 'revoke', decisions: error.decisions };
      const entry = { ...asked.entry, outcome: AuditOutcome.Refused, reason: error.message, after };
      await keepRecord(tables.devices, auditRecord(devicePartition(device.id), entry, now));
    }
    throw error;
  }
}

function recordOf(asked: RevocationRequest, before: Device, after: Device, decisions: Passage['decisions']) {
  const { entry, reason, approval, breakGlass, now } = asked;
  return auditRecord(
    devicePartition(before.id),
    {
      ...entry,
      ...(reason === undefined ? {} : { reason }),
      before: { lifecycle: before.lifecycle },
      after: {
        lifecycle: after.lifecycle,
        ...(approval === undefined ? {} : { approvalId: approval.id, approvedBy: approval.decidedBy }),
        ...(breakGlass === undefined ? {} : { breakGlass: breakGlass.reasonCode }),
        decisions,
      },
    },
    now,
  );
}

function emergencyParts({ directory }: CommandTables, asked: RevocationRequest, device: Device) {
  const { breakGlass, requestedBy, now } = asked;
  if (breakGlass === undefined) return [];
  return emergencyOf(directory, device, {
    reviewId: `rv-${ulid(now.getTime()).toLowerCase()}`,
    commandId: 'revoke',
    type: 'revoke',
    by: requestedBy,
    at: now.toISOString(),
    said: breakGlass,
  });
}
