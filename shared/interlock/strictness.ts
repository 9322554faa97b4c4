import { DeviceClass } from '../devices/device.ts';

/** How strictly the interlock protects each class: the higher, the less gets through, also in an emergency (R12). */
const strictness: Readonly<Record<DeviceClass, number>> = {
  [DeviceClass.Phone]: 0,
  [DeviceClass.Tablet]: 0,
  [DeviceClass.Workstation]: 0,
  [DeviceClass.Other]: 1,
  [DeviceClass.PatientMonitor]: 1,
  [DeviceClass.InfusionPump]: 2,
  [DeviceClass.Ventilator]: 3,
};

/** Whether a device of the one class would lose protection as one of the other. */
export const losesProtection = (before: DeviceClass, after: DeviceClass): boolean =>
  strictness[after] < strictness[before];
