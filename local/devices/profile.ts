import type { DeviceClass, Platform } from '../../shared/devices/device.ts';

/** What a care unit does; it decides when its devices are in use. */
export type UnitKind =
  | 'intensive'
  | 'emergency'
  | 'operating'
  | 'step-down'
  | 'ward'
  | 'clinic'
  | 'infusion-center'
  | 'office';

/** A simulated device: who it is and where it stands. What it does follows from this, a seed and the time. */
export interface DeviceProfile {
  readonly serial: string;
  readonly class: DeviceClass;
  readonly platform: Platform;
  readonly manufacturer: string;
  readonly model: string;
  /** Operating system or firmware at the factory. */
  readonly os: { readonly name: string; readonly version: string };
  readonly channel: 'mqtt' | 'https';
  /** IANA zone of the unit. */
  readonly timeZone: string;
  readonly unitKind: UnitKind;
  readonly location: DeviceLocation;
  /** Commands never fail by chance: for tests that count. What is bad fails on it like on any other. */
  readonly reliable?: true;
}

/** Where a device stands, in the words of HL7's PL. */
export interface DeviceLocation {
  readonly facility: string;
  readonly building: string;
  readonly floor: string;
  readonly pointOfCare: string;
  readonly room?: string;
  readonly bed?: string;
}
