import { CommandType } from '../commands/command.ts';
import { DeviceClass, Platform } from '../devices/device.ts';
import { defaultLimits } from '../limits/limits.ts';

const siteId = 's-01jc2v4g6m8t0w2y4b6d8f0h2k';
const unitId = 'u-01jc2v4g6m8t0w2y4b6d8f0h2m';
const tablet = 'd-0ay5tz9vsvcb6n7m3e4nn40x';
const pump = 'd-27peb2sadg4d9jwh0v33s8pn';

/** For each schema of a request that has a name, what somebody would send. A test holds them against the schemas. */
export const examples = {
  SiteInput: {
    name: 'Linden Park Hospital',
    timeZone: 'America/Chicago',
    maintenanceWindows: [{ days: ['tue', 'thu'], from: '02:00', to: '05:00' }],
    blackouts: [
      { name: 'Shift change', days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'], from: '06:30', to: '07:30' },
    ],
  },
  SiteChanges: { freezes: [{ name: 'Go-live of the EHR', from: '2027-03-01T00:00', to: '2027-03-08T00:00' }] },
  UnitInput: { name: 'Medical ICU', acuityTier: 'T0', spares: { [DeviceClass.InfusionPump]: 12 } },
  UnitChanges: { acuityTier: 'T1', timeZone: null },
  EnrollmentTokenRequest: { siteId, platform: Platform.Iomt, class: DeviceClass.InfusionPump, uses: 40 },
  DeviceInput: {
    serial: 'MLV0206481822486',
    platform: Platform.Iomt,
    class: DeviceClass.InfusionPump,
    siteId,
    unitId,
    name: 'ICU pump 12',
    location: { building: 'East Tower', floor: '5', room: '512', bed: 'B' },
  },
  DeviceChanges: { unitId: null, name: 'Loan pump 3' },
  CommandRequest: {
    type: CommandType.Message,
    parameters: { title: 'Maintenance', text: 'This tablet restarts at 02:00.' },
    reason: 'CHG-2041',
  },
  BulkCommandRequest: { type: CommandType.Inventory, deviceIds: [tablet, pump], reason: 'Quarterly count' },
  Limits: defaultLimits,
  BrakeRequest: { scope: 'unit', siteId, unitId, reason: 'Pumps restart under patients' },
  SignalInput: { state: 'occupied', at: '2027-03-01T09:30:00Z', ttlSeconds: 3600 },
  InterlockShadowRequest: { settings: { deviceStateSeconds: 600 }, siteId },
  LimitsShadowRequest: { limits: { ...defaultLimits, bulkWithoutApproval: 10 }, siteId },
  RolloutInput: {
    name: 'Pump firmware 9.5.0',
    artifact: {
      kind: 'firmware',
      name: 'Infuse LV-8',
      version: '9.5.0',
      sha256: '2dd71649fb0835472986845bcb2d75e3c61fd14a7921d0228edbfcb8504e8cd8',
      signature: 'c2lnbmF0dXJlIG9mIEluZnVzZSBMVi04IDkuNS4w',
    },
    selection: { siteIds: [siteId], classes: [DeviceClass.InfusionPump], versions: { below: '9.5.0' } },
    waves: [
      { name: 'One unit', scope: { kind: 'one-unit' }, bakeHours: 48 },
      { name: 'The rest', scope: { kind: 'rest' } },
    ],
    wayBack: 'The pump keeps the version before in its second slot.',
  },
} as const satisfies Readonly<Record<string, unknown>>;
