import { DeviceClass } from '../devices/device.ts';

/**
 * How strictly the interlock protects each class: the higher, the less gets through, also in an emergency (R12). A workstation
 * needs no charger; of what may have a patient connected, `other` needs no proof in administration.
 */
const strictness: Readonly<Record<DeviceClass, number>> = {
  [DeviceClass.Workstation]: 0,
  [DeviceClass.Phone]: 1,
  [DeviceClass.Tablet]: 1,
  [DeviceClass.Other]: 2,
  [DeviceClass.PatientMonitor]: 3,
  [DeviceClass.InfusionPump]: 4,
  [DeviceClass.Ventilator]: 5,
};

/** Whether a device of the one class would lose protection as one of the other. */
export const losesProtection = (before: DeviceClass, after: DeviceClass): boolean =>
  strictness[after] < strictness[before];
