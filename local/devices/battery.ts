import { ClinicalState, DeviceClass } from '../../shared/devices/device.ts';
import type { DeviceProfile } from './profile.ts';
import { seeded } from './seeded.ts';
import type { Usage } from './usage.ts';

/** Charge and power source. `percent` comes in steps of ten, so that it is not news at each check-in. */
export interface Battery {
  readonly percent: number;
  readonly charging: boolean;
}

const HOUR = 3_600_000;

/** Percent an hour: what use takes, and what the charger gives. Medical devices mostly stay plugged in. */
const POWER: Readonly<
  Record<DeviceClass, { readonly drain: number; readonly charge: number; readonly plugged: number }>
> = {
  [DeviceClass.Phone]: { drain: 7, charge: 40, plugged: 0 },
  [DeviceClass.Tablet]: { drain: 12, charge: 30, plugged: 0.2 },
  [DeviceClass.Workstation]: { drain: 14, charge: 25, plugged: 0.3 },
  [DeviceClass.InfusionPump]: { drain: 9, charge: 20, plugged: 0.8 },
  [DeviceClass.PatientMonitor]: { drain: 15, charge: 25, plugged: 0.9 },
  [DeviceClass.Ventilator]: { drain: 12, charge: 25, plugged: 0.97 },
  [DeviceClass.Other]: { drain: 10, charge: 25, plugged: 0.5 },
};

/** The battery of a device in this use: it drains while the device is carried about and charges when it is put back. */
export function batteryAt(seed: number, profile: DeviceProfile, usage: Usage, time: number): Battery {
  const power = POWER[profile.class];
  const random = seeded(seed, profile.serial, 'battery', usage.since);
  const hours = Math.max(0, time - usage.since) / HOUR;
  const plugged = random() < power.plugged;
  if (usage.state === ClinicalState.InUse && !plugged) {
    return { percent: inSteps(100 - random() * 10 - hours * power.drain), charging: false };
  }
  if (usage.state === ClinicalState.InUse) return { percent: 100, charging: true };
  return { percent: inSteps(plugged ? 100 : 35 + random() * 45 + hours * power.charge), charging: true };
}

const inSteps = (percent: number): number => Math.round(Math.max(10, Math.min(100, percent)) / 10) * 10;
