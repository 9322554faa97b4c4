import { DeviceClass, Platform } from '../../shared/devices/device.ts';

/** A device model that the demo hospitals bought. Makers and models are invented. */
export interface DeviceModel {
  readonly class: DeviceClass;
  readonly platform: Platform;
  readonly manufacturer: string;
  readonly model: string;
  /** What its serial numbers begin with. */
  readonly prefix: string;
  readonly os: string;
  /** Versions found in the field, newest first, with how common they are. */
  readonly versions: readonly (readonly [version: string, weight: number])[];
  /** Share of the devices of this model that poll over HTTPS instead of holding an MQTT connection. */
  readonly polls: number;
  /** How common the model is among those of its class. */
  readonly weight: number;
}

/** All models of the demo network. */
export const models: readonly DeviceModel[] = [
  {
    class: DeviceClass.Tablet,
    platform: Platform.Android,
    manufacturer: 'Halden',
    model: 'CareTab 10',
    prefix: 'HCT',
    os: 'Android',
    versions: [
      ['16.1', 5],
      ['16.0', 3],
      ['15.4', 2],
    ],
    polls: 0,
    weight: 3,
  },
  {
    class: DeviceClass.Tablet,
    platform: Platform.Linux,
    manufacturer: 'Brisa',
    model: 'Bedside Panel 12',
    prefix: 'BBP',
    os: 'Brisa OS',
    versions: [
      ['4.2.1', 6],
      ['4.1.8', 3],
    ],
    polls: 0.3,
    weight: 1,
  },
  {
    class: DeviceClass.Phone,
    platform: Platform.Android,
    manufacturer: 'Halden',
    model: 'Clinical Phone 5',
    prefix: 'HCP',
    os: 'Android',
    versions: [
      ['16.1', 6],
      ['16.0', 2],
      ['14.9', 1],
    ],
    polls: 0,
    weight: 1,
  },
  {
    class: DeviceClass.Workstation,
    platform: Platform.Linux,
    manufacturer: 'Nordvik',
    model: 'Ward Cart W3',
    prefix: 'NWC',
    os: 'Debian GNU/Linux',
    versions: [
      ['13', 4],
      ['12', 6],
    ],
    polls: 0.2,
    weight: 2,
  },
  {
    class: DeviceClass.Workstation,
    platform: Platform.Windows,
    manufacturer: 'Nordvik',
    model: 'Ward Cart W2',
    prefix: 'NWB',
    os: 'Windows',
    versions: [
      ['11 24H2', 6],
      ['11 23H2', 3],
      ['10 22H2', 1],
    ],
    polls: 0.6,
    weight: 1,
  },
  {
    class: DeviceClass.InfusionPump,
    platform: Platform.Iomt,
    manufacturer: 'Meridian',
    model: 'Infuse LV-8',
    prefix: 'MLV',
    os: 'Infuse firmware',
    versions: [
      ['9.4.2', 5],
      ['9.4.0', 3],
      ['9.2.7', 2],
    ],
    polls: 0,
    weight: 4,
  },
  {
    class: DeviceClass.InfusionPump,
    platform: Platform.Iomt,
    manufacturer: 'Meridian',
    model: 'Infuse S-2 syringe',
    prefix: 'MSY',
    os: 'Infuse firmware',
    versions: [
      ['6.1.3', 7],
      ['6.0.9', 3],
    ],
    polls: 0.4,
    weight: 1,
  },
  {
    class: DeviceClass.PatientMonitor,
    platform: Platform.Iomt,
    manufacturer: 'Corvane',
    model: 'Vista M8',
    prefix: 'CVM',
    os: 'Vista firmware',
    versions: [
      ['5.0.4', 6],
      ['4.9.11', 4],
    ],
    polls: 0,
    weight: 1,
  },
  {
    class: DeviceClass.Ventilator,
    platform: Platform.Iomt,
    manufacturer: 'Aerion',
    model: 'V3',
    prefix: 'AEV',
    os: 'Aerion firmware',
    versions: [
      ['3.12.0', 8],
      ['3.10.5', 2],
    ],
    polls: 0,
    weight: 1,
  },
];
