import { type AuditEntry, auditRecord } from '../audit/record.ts';
import type { Table } from '../aws/dynamodb.ts';
import { retryContention } from '../aws/retry.ts';
import { type Device, deviceIdOf, Lifecycle } from '../devices/device.ts';
import { devicePartition } from '../devices/keys.ts';
import { type NewDevice, putExpectedDevice } from '../devices/store.ts';
import { ProblemError } from '../http/problem.ts';
import type { Caller } from '../identity/caller.ts';
import type { Guard } from '../identity/guard.ts';
import { deviceResource } from '../identity/resource.ts';
import type { PlaceLookup } from '../places/lookup.ts';
import type { ImportJob, RowResult } from './job.ts';
import type { Row } from './list.ts';
import { type ParsedRow, parseRow } from './row.ts';

/** What registering a row works with. */
export interface RegisterServices {
  readonly devices: Table;
  readonly guard: Guard;
  readonly places: PlaceLookup;
}

/**
 * Pre-registers the device of one row, with the permissions of whoever uploaded the list.
 *
 * The registration carries a time of its own, the import's plus one millisecond for each line: a row that is carried
 * out again after a crash recognizes by it what it had created itself, and the report stays true.
 */
export async function registerRow(job: ImportJob, row: Row, services: RegisterServices): Promise<RowResult> {
  const parsed = parseRow(row.cells);
  if ('reasons' in parsed) return refused(row, row.cells.serial?.slice(0, 64), parsed.reasons);
  const place = await services.places.find(parsed.site, parsed.unit);
  if ('reason' in place) return refused(row, parsed.serial, [place.reason]);
  const at = new Date(Date.parse(job.createdAt) + row.line);
  const device = newDeviceOf(parsed, place);
  const id = deviceIdOf(device.serial);
  const caller = callerOf(job);
  const resource = deviceResource({ id, ...device, lifecycle: Lifecycle.Expected });
  const partition = devicePartition(id);
  let permit: AuditEntry;
  try {
    permit = await services.guard.permit(caller, 'RegisterDevice', resource, partition, at);
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    return refused(row, parsed.serial, [`You may not register such a device at this place. ${error.message}`]);
  }
  const audit = auditRecord(partition, { ...permit, after: { ...device, importId: job.id, line: row.line } }, at);
  // A revoked device is taken from where it was: that needs the permission there as well.
  const mayReplace = (revoked: Device) =>
    services.guard.decide(caller, 'RegisterDevice', deviceResource(revoked), at).allowed;
  const registration = await retryContention(() =>
    putExpectedDevice(services.devices, device, () => audit, at, mayReplace),
  );
  if (registration.outcome === 'exists') {
    const reason = reasonOf(registration.device.lifecycle);
    return { ...refused(row, parsed.serial, [reason]), deviceId: id };
  }
  const mine = registration.device.createdAt === at.toISOString();
  return { line: row.line, serial: parsed.serial, deviceId: id, outcome: mine ? 'created' : registration.outcome };
}

function reasonOf(lifecycle: Lifecycle): string {
  switch (lifecycle) {
    case Lifecycle.Expected:
      return 'A device with this serial number is registered with other data.';
    case Lifecycle.Enrolled:
      return 'A device with this serial number is enrolled with other data.';
    case Lifecycle.Revoked:
      return 'A device with this serial number was revoked at a place where you may not register devices.';
  }
}

function newDeviceOf(row: ParsedRow, place: { readonly siteId?: string; readonly unitId?: string }): NewDevice {
  const { serial, platform, class: deviceClass, ownership, name, location, model, user } = row;
  return {
    serial,
    platform,
    class: deviceClass,
    ownership,
    ...place,
    ...(name === undefined ? {} : { name }),
    ...(location === undefined ? {} : { location }),
    ...(model === undefined ? {} : { model }),
    ...(user === undefined ? {} : { user }),
  };
}

function callerOf(job: ImportJob): Caller {
  const { acr, authTime, ...rest } = job.uploader;
  return { ...rest, ...(acr === undefined ? {} : { acr }), ...(authTime === undefined ? {} : { authTime }) };
}

function refused(row: Row, serial: string | undefined, reasons: readonly string[]): RowResult {
  return { line: row.line, ...(serial === undefined ? {} : { serial }), outcome: 'refused', reasons: [...reasons] };
}
