import { auditRecord } from '../audit/record.ts';
import type { Table } from '../aws/dynamodb.ts';
import { retryContention } from '../aws/retry.ts';
import { deviceIdOf, Lifecycle } from '../devices/device.ts';
import { devicePartition } from '../devices/keys.ts';
import { getDevice, type NewDevice, putExpectedDevice } from '../devices/store.ts';
import type { Caller } from '../identity/caller.ts';
import { actorOf } from '../identity/caller.ts';
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
  const decision = services.guard.decide(caller, 'RegisterDevice', resource, at);
  // A revoked device is taken from where it was: that needs the permission there as well.
  const known = await getDevice(services.devices, id);
  const elsewhere = known !== undefined && known.siteId !== device.siteId;
  const mayTake = !elsewhere || services.guard.decide(caller, 'RegisterDevice', deviceResource(known), at).allowed;
  if (!decision.allowed || !mayTake)
    return refused(row, parsed.serial, ['You may not register such a device at this place.']);
  const audit = auditRecord(
    devicePartition(id),
    {
      actor: actorOf(caller),
      action: 'RegisterDevice',
      resource: resource.name,
      ...(resource.siteId === undefined ? {} : { siteId: resource.siteId }),
      outcome: 'allowed',
      policyIds: decision.policies.map((policy) => policy.id),
      after: { ...device, importId: job.id, line: row.line },
    },
    at,
  );
  const registration = await retryContention(() => putExpectedDevice(services.devices, device, () => audit, at));
  if (registration.outcome === 'exists') {
    const { lifecycle } = registration.device;
    const reason =
      lifecycle === Lifecycle.Expected
        ? 'A device with this serial number is registered with other data.'
        : `A device with this serial number is ${lifecycle} with other data.`;
    return { ...refused(row, parsed.serial, [reason]), deviceId: id };
  }
  const mine = registration.device.createdAt === at.toISOString();
  return { line: row.line, serial: parsed.serial, deviceId: id, outcome: mine ? 'created' : registration.outcome };
}

function newDeviceOf(row: ParsedRow, place: { readonly siteId?: string; readonly unitId?: string }): NewDevice {
  const { serial, platform, class: deviceClass, ownership, name, model, user } = row;
  return {
    serial,
    platform,
    class: deviceClass,
    ownership,
    ...place,
    ...(name === undefined ? {} : { name }),
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
