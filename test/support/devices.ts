import { createHash } from 'node:crypto';
import { TransactWriteCommand } from '@aws-sdk/lib-dynamodb';
import * as v from 'valibot';
import { type Approval, type ApprovalContent, hashOf } from '../../shared/approvals/approval.ts';
import { auditRecord } from '../../shared/audit/record.ts';
import type { Table } from '../../shared/aws/dynamodb.ts';
import { isRolloutType } from '../../shared/commands/command.ts';
import { destructiveTypes } from '../../shared/commands/gates/approval.ts';
import { CommandRequest } from '../../shared/commands/types.ts';
import { queueCommand } from '../../shared/commands/writer.ts';
import { Channel, type Device, deviceIdOf } from '../../shared/devices/device.ts';
import { devicePartition } from '../../shared/devices/keys.ts';
import type { Caller } from '../../shared/devices/recognize.ts';
import { enrolUnregistered, getDevice, type NewDevice } from '../../shared/devices/store.ts';
import type { CheckInMessage } from '../../shared/protocols/agent/messages.ts';
import { directoryOf } from './devices-table.ts';

/** The time at which tests begin. */
export const start = Date.parse('2026-03-02T08:00:00.000Z');

/** A fingerprint that looks like one. */
export const fingerprint = (name: string): string => createHash('sha256').update(name).digest('hex');

/** A device that is not registered yet. */
export const infusionPump = (serial: string): NewDevice => ({
  serial,
  platform: 'iomt',
  class: 'infusion-pump',
  ownership: 'organization',
});

/** Enrols a device with the certificate `fingerprint(serial)`. */
export async function enrol(table: Table, device: NewDevice, now = new Date(start)): Promise<Device> {
  const certificate = {
    fingerprint: fingerprint(device.serial),
    expiresAt: new Date(now.getTime() + 365 * 86_400_000),
  };
  const parts = enrolUnregistered(table, device, certificate, now);
  await table.client.send(new TransactWriteCommand({ TransactItems: parts }));
  const enrolled = await getDevice(table, deviceIdOf(device.serial), { consistent: true });
  if (enrolled === undefined) throw new Error('The device was not enrolled.');
  return enrolled;
}

/** The device as a caller. */
export const callerFor = (device: Device, channel: Channel = Channel.Mqtt): Caller => ({
  deviceId: device.id,
  certificate: device.certificate ?? '',
  channel,
});

/** A check-in that says nothing but its time. */
export const message = (time: number, more: Partial<CheckInMessage> = {}): CheckInMessage => ({
  at: new Date(time).toISOString(),
  ...more,
});

/** What `user:anna` asked for and `user:bert` agreed to. */
export function approved(content: ApprovalContent, now: number): Approval {
  const asked = {
    id: 'ap-test',
    content,
    requestedBy: 'user:anna',
    requestedAt: new Date(now).toISOString(),
    expiresAt: new Date(now + 3_600_000).toISOString(),
  };
  const decided = { state: 'approved', decidedBy: 'user:bert', decidedAt: asked.requestedAt } as const;
  return { ...asked, ...decided, hash: hashOf(asked), policyIds: [], siteIds: [], version: 2 };
}

/** The approval that a request needs, if it needs one and is one that can be stored at all. */
function approvalFor(request: unknown, device: Device, now: number): Approval | undefined {
  const parsed = v.safeParse(CommandRequest, request);
  if (!parsed.success) return undefined;
  const { type, parameters } = parsed.output;
  if (isRolloutType(type) || !destructiveTypes.has(type)) return undefined;
  return approved({ kind: 'command', type, parameters, deviceIds: [device.id] }, now);
}

/** Queues a command for tests, with its audit record and, if it needs one, an approval. `table` is one of `startDevicesTable`. */
export const queue = (table: Table, device: Device, request: unknown, now = start, idempotencyKey?: string) =>
  queueCommand(
    { devices: table, directory: directoryOf(table) },
    {
      deviceId: device.id,
      request,
      approval: approvalFor(request, device, now),
      requestedBy: 'user:anna',
      idempotencyKey,
      entry: { actor: 'user:anna', action: 'QueueCommand', resource: `device/${device.id}`, outcome: 'allowed' },
      now: new Date(now),
    },
  );

/** An audit record about a device. */
export const auditOf = (device: Pick<Device, 'id'>, action: string, subject: string, now: number) =>
  auditRecord(
    devicePartition(device.id),
    { actor: 'user:anna', action, resource: `device/${device.id}`, outcome: 'allowed', after: { subject } },
    new Date(now),
  );
