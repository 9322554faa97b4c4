import { Compliance } from '../compliance/assess.ts';
import { decodeLocation } from '../places/location.ts';
import type { Device } from './device.ts';
import type { DeviceView } from './operations.ts';

/** Attributes that the API shows as they are stored. */
const same = [
  'id',
  'serial',
  'platform',
  'class',
  'ownership',
  'lifecycle',
  'siteId',
  'unitId',
  'name',
  'model',
  'user',
  'clinical',
  'power',
  'signals',
  'channel',
  'lastSeenAt',
  'createdAt',
  'enrolledAt',
  'certificateExpiresAt',
  'desiredVersion',
  'reportedVersion',
  'version',
] as const satisfies readonly (keyof Device & keyof DeviceView)[];

/** A device as the API shows it: nothing of certificates, queues and hashes. */
export function viewOf(device: Device): DeviceView {
  const { presence } = device;
  const shown: DeviceView = {
    ...pick(device, same),
    ...(device.location === undefined ? {} : { location: decodeLocation(device.location) }),
    compliance: device.compliance ?? Compliance.Unknown,
  };
  return presence === undefined ? shown : { ...shown, connected: { state: presence.connected, at: presence.at } };
}

function pick<Value extends object, Name extends keyof Value>(value: Value, names: readonly Name[]): Pick<Value, Name> {
  const entries = names.filter((name) => value[name] !== undefined).map((name) => [name, value[name]]);
  // Exactly the named members are left, which is what Pick says.
  return Object.fromEntries(entries) as Pick<Value, Name>;
}
