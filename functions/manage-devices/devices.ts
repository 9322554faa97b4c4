import { auditRecord } from '../../shared/audit/record.ts';
import { retryContention } from '../../shared/aws/retry.ts';
import { brakeLeftBehind, nameOfPlace } from '../../shared/brake/brake.ts';
import { listBrakes } from '../../shared/brake/store.ts';
import { type Device, deviceIdOf, Lifecycle } from '../../shared/devices/device.ts';
import { devicePartition } from '../../shared/devices/keys.ts';
import { type DeviceInput, type DevicePatch, deviceOperations } from '../../shared/devices/operations.ts';
import { deleteExpected } from '../../shared/devices/removal.ts';
import {
  type DeviceChanges,
  getDevice,
  type NewDevice,
  putExpectedDevice,
  updateDevice,
} from '../../shared/devices/store.ts';
import { viewOf } from '../../shared/devices/view.ts';
import { operation } from '../../shared/http/api.ts';
import { assertVersion, etagOf } from '../../shared/http/etag.ts';
import { problems } from '../../shared/http/problem.ts';
import { deviceResource } from '../../shared/identity/resource.ts';
import { losesProtection } from '../../shared/interlock/strictness.ts';
import { assertPlace } from '../../shared/places/assert-place.ts';
import { encodeLocation } from '../../shared/places/location.ts';
import { requireDevice, type Services } from './services.ts';

/** Changing devices. */
export function deviceHandlers({ devices, directory, guard }: Omit<Services, 'imports'>) {
  return {
    createDevice: operation(deviceOperations.createDevice, async ({ caller, body, receivedAt }) => {
      const device = newDeviceOf(body);
      const id = deviceIdOf(device.serial);
      const partition = devicePartition(id);
      const resource = deviceResource({ id, ...device, lifecycle: Lifecycle.Expected });
      const permit = await guard.permit(caller, 'RegisterDevice', resource, partition, receivedAt);
      await assertPlace(directory, body);
      // A revoked device goes on from where it was: whoever registers it anew needs the permission there too.
      const known = await getDevice(devices, id, { consistent: true });
      if (known !== undefined && known.siteId !== device.siteId) {
        await guard.permit(caller, 'RegisterDevice', deviceResource(known), partition, receivedAt);
      }
      const audit = auditRecord(partition, { ...permit, after: { ...device } }, receivedAt);
      const registration = await retryContention(() => putExpectedDevice(devices, device, () => audit, receivedAt));
      if (registration.outcome === 'exists') {
        throw problems.conflict(
          `A device with this serial number is ${registration.device.lifecycle} already, with other data.`,
          { deviceId: id },
        );
      }
      return {
        body: viewOf(registration.device),
        headers: { etag: etagOf(registration.device.version), location: `/v1/devices/${id}` },
      };
    }),

    updateDevice: operation(deviceOperations.updateDevice, async ({ caller, path, body, ifMatch, receivedAt }) => {
      const device = await requireDevice(devices, path);
      const partition = devicePartition(device.id);
      const changes = changesOf(device, body);
      const permit = await guard.permit(caller, 'UpdateDevice', deviceResource(device), partition, receivedAt);
      // Also as the device will be: where it goes, and what it becomes, must be the caller's to decide.
      await guard.permit(caller, 'UpdateDevice', deviceResource(applied(device, changes)), partition, receivedAt);
      assertVersion(ifMatch, device.version);
      assertStaysProtected(device, changes);
      await assertPlaceOf(directory, device, changes);
      await assertStaysBraked(directory, device, changes);
      const after = await updateDevice(devices, device.id, device.version, changes, (before, changed) =>
        auditRecord(
          partition,
          { ...permit, before: differing(before, changed), after: differing(changed, before) },
          receivedAt,
        ),
      );
      return { body: viewOf(after), headers: { etag: etagOf(after.version) } };
    }),

    deleteDevice: operation(deviceOperations.deleteDevice, async ({ caller, path, ifMatch, receivedAt }) => {
      const device = await requireDevice(devices, path);
      const partition = devicePartition(device.id);
      const permit = await guard.permit(caller, 'DeleteDevice', deviceResource(device), partition, receivedAt);
      assertVersion(ifMatch, device.version);
      if (device.lifecycle !== Lifecycle.Expected) {
        throw problems.conflict(
          `The device is ${device.lifecycle}; only an expected device can be deleted. Revoke it.`,
        );
      }
      const { serial, platform, class: deviceClass, siteId, unitId } = device;
      const before = { serial, platform, class: deviceClass, siteId, unitId };
      const deleted = await deleteExpected(devices, device, auditRecord(partition, { ...permit, before }, receivedAt));
      if (!deleted) throw problems.preconditionFailed('The device was changed at the same moment. Read it again.');
      return {};
    }),
  };
}

function newDeviceOf(body: DeviceInput): NewDevice {
  const { siteId, unitId, name, location, model, user, ...rest } = body;
  return {
    ...rest,
    ...(siteId === undefined ? {} : { siteId }),
    ...(unitId === undefined ? {} : { unitId }),
    ...(name === undefined ? {} : { name }),
    ...(location === undefined ? {} : { location: encodeLocation(location) }),
    ...(model === undefined ? {} : { model }),
    ...(user === undefined ? {} : { user }),
  };
}

/** A unit belongs to its site: who leaves the site without naming another unit is in no unit. */
function changesOf(device: Device, patch: DevicePatch): DeviceChanges {
  const leaves = patch.siteId !== undefined && (patch.siteId ?? undefined) !== device.siteId;
  const { location, ...others } = patch;
  const place = location === undefined || location === null ? location : encodeLocation(location);
  const named = Object.fromEntries(
    Object.entries({ ...others, location: place }).filter(([, value]) => value !== undefined),
  );
  return leaves && patch.unitId === undefined ? { ...named, unitId: null } : named;
}

/** The device as the policies will see it after the changes. */
function applied(device: Device, changes: DeviceChanges): Device {
  const { siteId, unitId, ...rest } = device;
  const place = {
    siteId: changes.siteId === undefined ? siteId : (changes.siteId ?? undefined),
    unitId: changes.unitId === undefined ? unitId : (changes.unitId ?? undefined),
  };
  return {
    ...rest,
    class: changes.class ?? device.class,
    ownership: changes.ownership ?? device.ownership,
    ...(place.siteId === undefined ? {} : { siteId: place.siteId }),
    ...(place.unitId === undefined ? {} : { unitId: place.unitId }),
  };
}

/** Who calls a ventilator a tablet could do with it, alone, what two people may not. */
function assertStaysProtected(device: Device, changes: DeviceChanges): void {
  const after = changes.class ?? device.class;
  if (device.lifecycle !== Lifecycle.Enrolled || !losesProtection(device.class, after)) return;
  throw problems.conflict(
    `An enrolled ${device.class} does not become a ${after}: the interlock would protect it less. Revoke it, which takes two people, and register it anew.`,
    { ruleId: 'R12' },
  );
}

/** A brake takes two people to release; one who moves devices out of its reach would do it alone. */
async function assertStaysBraked(
  directory: Services['directory'],
  device: Device,
  changes: DeviceChanges,
): Promise<void> {
  if (device.lifecycle !== Lifecycle.Enrolled) return;
  if (changes.siteId === undefined && changes.unitId === undefined) return;
  const brake = brakeLeftBehind(await listBrakes(directory), device, applied(device, changes));
  if (brake === undefined) return;
  throw problems.conflict(
    `The brake is pulled for ${nameOfPlace(brake)}. The device can be moved out of there once two people released it.`,
    { gate: 'brake', ruleId: 'R4' },
  );
}

async function assertPlaceOf(directory: Services['directory'], device: Device, changes: DeviceChanges): Promise<void> {
  if (changes.siteId === undefined && changes.unitId === undefined) return;
  const { siteId, unitId } = applied(device, changes);
  await assertPlace(directory, { siteId, unitId });
}

/** What of `one` is not the same in `other`, for the audit trail. */
function differing(one: Device, other: Device): Record<string, unknown> {
  const names = ['siteId', 'unitId', 'name', 'location', 'model', 'user', 'class', 'ownership'] as const;
  return Object.fromEntries(names.filter((name) => one[name] !== other[name]).map((name) => [name, one[name] ?? null]));
}
