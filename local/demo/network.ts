import { DeviceClass } from '../../shared/devices/device.ts';
import type { UnitKind } from '../devices/profile.ts';
import { homeSite } from '../identity/users.ts';

/** A care unit of the demo network. */
export interface DemoUnit {
  readonly name: string;
  readonly kind: UnitKind;
  readonly acuityTier: 'T0' | 'T1' | 'T2' | 'T3';
  readonly building: string;
  readonly floor: string;
  /** Beds, bays, rooms or chairs: the places that devices stand at. */
  readonly places: number;
  /** What a place is called in this unit. */
  readonly place: string;
}

/** A hospital or an outpatient site. */
export interface DemoSite {
  readonly name: string;
  readonly timeZone: string;
  readonly units: readonly DemoUnit[];
}

/** Devices for each place of a unit, by what the unit does. */
export const deviceMix: Readonly<Record<UnitKind, Partial<Record<DeviceClass, number>>>> = {
  intensive: {
    [DeviceClass.InfusionPump]: 3,
    [DeviceClass.PatientMonitor]: 1,
    [DeviceClass.Ventilator]: 0.6,
    [DeviceClass.Workstation]: 0.5,
    [DeviceClass.Phone]: 0.5,
  },
  emergency: {
    [DeviceClass.InfusionPump]: 0.8,
    [DeviceClass.PatientMonitor]: 0.9,
    [DeviceClass.Ventilator]: 0.08,
    [DeviceClass.Workstation]: 0.4,
    [DeviceClass.Phone]: 0.5,
    [DeviceClass.Tablet]: 0.2,
  },
  operating: {
    [DeviceClass.InfusionPump]: 2,
    [DeviceClass.PatientMonitor]: 1.2,
    [DeviceClass.Ventilator]: 1,
    [DeviceClass.Workstation]: 1,
    [DeviceClass.Phone]: 0.3,
  },
  'step-down': {
    [DeviceClass.InfusionPump]: 1.2,
    [DeviceClass.PatientMonitor]: 1,
    [DeviceClass.Workstation]: 0.3,
    [DeviceClass.Phone]: 0.3,
    [DeviceClass.Tablet]: 0.5,
  },
  ward: {
    [DeviceClass.InfusionPump]: 0.7,
    [DeviceClass.PatientMonitor]: 0.15,
    [DeviceClass.Workstation]: 0.25,
    [DeviceClass.Phone]: 0.3,
    [DeviceClass.Tablet]: 0.9,
  },
  clinic: {
    [DeviceClass.PatientMonitor]: 0.3,
    [DeviceClass.Workstation]: 0.5,
    [DeviceClass.Phone]: 0.2,
    [DeviceClass.Tablet]: 0.7,
  },
  'infusion-center': {
    [DeviceClass.InfusionPump]: 1,
    [DeviceClass.PatientMonitor]: 0.2,
    [DeviceClass.Workstation]: 0.2,
    [DeviceClass.Tablet]: 0.6,
  },
  office: { [DeviceClass.Workstation]: 0.3, [DeviceClass.Phone]: 0.3 },
};

const unit = (
  name: string,
  kind: UnitKind,
  acuityTier: DemoUnit['acuityTier'],
  building: string,
  floor: string,
  places: number,
  place: string,
): DemoUnit => ({ name, kind, acuityTier, building, floor, places, place });

/** A hospital with about `beds` beds; what it offers grows with it. */
function hospital(name: string, timeZone: string, beds: number, extra: readonly DemoUnit[] = []): DemoSite {
  const share = (part: number): number => Math.max(4, Math.round(beds * part));
  return {
    name,
    timeZone,
    units: [
      unit('Emergency Department', 'emergency', 'T0', 'Main', '1', share(0.1), 'Bay'),
      unit('Operating Rooms', 'operating', 'T0', 'Main', '2', share(0.035), 'OR'),
      unit('Medical ICU', 'intensive', 'T0', 'Main', '3', share(0.05), 'Bed'),
      unit('Surgical ICU', 'intensive', 'T0', 'Main', '3', share(0.045), 'Bed'),
      unit('Telemetry', 'step-down', 'T1', 'East Tower', '4', share(0.08), 'Bed'),
      unit('Surgical Ward', 'ward', 'T2', 'East Tower', '5', share(0.14), 'Bed'),
      unit('Medical Ward', 'ward', 'T2', 'East Tower', '6', share(0.16), 'Bed'),
      unit('Administration', 'office', 'T3', 'West Wing', '1', share(0.03), 'Desk'),
      ...extra,
    ],
  };
}

const clinic = (name: string, timeZone: string, rooms: number, extra: readonly DemoUnit[] = []): DemoSite => ({
  name,
  timeZone,
  units: [unit('Clinic', 'clinic', 'T2', 'Main', '1', rooms, 'Room'), ...extra],
});

const infusion = (chairs: number) => unit('Infusion Center', 'infusion-center', 'T2', 'Main', '1', chairs, 'Chair');
const dialysis = (chairs: number) => unit('Dialysis', 'infusion-center', 'T0', 'Main', '1', chairs, 'Chair');
const urgentCare = (bays: number) => unit('Urgent Care', 'clinic', 'T1', 'Main', '1', bays, 'Bay');

/**
 * The demo hospital network: five hospitals and twenty outpatient sites from Hawaii to New York, one zone without
 * daylight saving (Phoenix) and one affiliate half an hour off the hour (Bengaluru). All names are invented.
 */
export const demoSites: readonly DemoSite[] = [
  hospital(homeSite, 'America/New_York', 420, [
    unit('Neonatal ICU', 'intensive', 'T0', 'Women and Children', '2', 18, 'Bed'),
    unit('Labor and Delivery', 'step-down', 'T0', 'Women and Children', '3', 14, 'Room'),
    unit('Pediatrics', 'ward', 'T2', 'Women and Children', '4', 24, 'Bed'),
  ]),
  hospital('Saguaro Vista Medical Center', 'America/Phoenix', 310, [dialysis(16)]),
  hospital('Lakeshore General Hospital', 'America/Chicago', 360, [
    unit('Cardiac Catheterization', 'operating', 'T0', 'Main', '2', 5, 'Lab'),
    unit('Oncology', 'ward', 'T2', 'East Tower', '7', 28, 'Bed'),
  ]),
  hospital('Cascade Harbor Hospital', 'America/Los_Angeles', 280, [
    unit('Labor and Delivery', 'step-down', 'T0', 'Main', '4', 12, 'Room'),
  ]),
  hospital('Front Range Regional Hospital', 'America/Denver', 190),

  clinic('Linden Park Primary Care Midtown', 'America/New_York', 14),
  clinic('Linden Park Primary Care Riverside', 'America/New_York', 10),
  clinic('Linden Park Cancer Center', 'America/New_York', 16, [infusion(24)]),
  clinic('Linden Park Dialysis Northgate', 'America/New_York', 4, [dialysis(20)]),
  clinic('Bluegrass Heart Clinic', 'America/Kentucky/Louisville', 8),
  clinic('Maple Street Urgent Care', 'America/Indiana/Indianapolis', 6, [urgentCare(8)]),
  clinic('Harbor Light Women and Family Health', 'America/Detroit', 12),
  clinic('Lakeshore Specialty Clinic', 'America/Chicago', 18),
  clinic('Lakeshore Infusion West', 'America/Chicago', 6, [infusion(16)]),
  clinic('Prairie Family Medicine', 'America/Chicago', 8),
  clinic('Bayou Urgent Care', 'America/Chicago', 4, [urgentCare(10)]),
  clinic('Front Range Orthopedics', 'America/Denver', 12),
  clinic('High Plains Rural Health', 'America/Boise', 5),
  clinic('Saguaro Vista Family Medicine', 'America/Phoenix', 12),
  clinic('Saguaro Vista Infusion Center', 'America/Phoenix', 4, [infusion(18)]),
  clinic('Cascade Harbor Pediatrics', 'America/Los_Angeles', 14),
  clinic('Cascade Harbor Imaging', 'America/Los_Angeles', 6),
  clinic('Aurora Sound Clinic', 'America/Anchorage', 5),
  clinic('Koa Bay Family Health', 'Pacific/Honolulu', 7),
  clinic('Kaveri Affiliate Clinic Bengaluru', 'Asia/Kolkata', 9),
];
