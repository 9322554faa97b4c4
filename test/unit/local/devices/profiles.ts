import type { DeviceProfile } from '../../../../local/devices/profile.ts';

/** A device of a demo hospital, changed as a test needs it. */
export function profile(change: Partial<DeviceProfile> = {}): DeviceProfile {
  return {
    serial: 'MLV0000000000001',
    class: 'infusion-pump',
    platform: 'iomt',
    manufacturer: 'Meridian',
    model: 'Infuse LV-8',
    os: { name: 'Infuse firmware', version: '9.4.2' },
    channel: 'mqtt',
    timeZone: 'America/New_York',
    unitKind: 'ward',
    location: { facility: 'Hospital', building: 'Main', floor: '3', pointOfCare: 'Ward' },
    ...change,
  };
}
