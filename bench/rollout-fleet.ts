import { DeviceClass, deviceIdOf } from '../shared/devices/device.ts';
import { weekdays } from '../shared/places/calendar.ts';
import type { Calendar } from '../shared/places/windows.ts';
import type { Candidate } from '../shared/rollouts/plan/selection.ts';

/** The fleet of the benches of rollouts: infusion pumps, in equal sites of equal units. */
export const fleet = { devices: 1_000_000, sites: 40, unitsOfSite: 30 } as const;

/**
 * The ids of its devices. Through a buffer, since a text that was put together from pieces takes ten times the memory of
 * one that was read.
 */
export const fleetIds = (): string[] =>
  Array.from({ length: fleet.devices }, (_, number) => Buffer.from(deviceIdOf(`BENCH-${number}`)).toString('latin1'));

/** A new object for each device, as from a page of the table. */
export async function* fleetCandidates(ids: readonly string[]): AsyncGenerator<Candidate> {
  const perSite = fleet.devices / fleet.sites;
  for (let number = 0; number < fleet.devices; number += 1) {
    const site = Math.floor(number / perSite);
    const unit = number % fleet.unitsOfSite;
    yield {
      id: ids[number] ?? '',
      enrolled: true,
      siteId: `s-${site}`,
      unitId: `u-${site}-${unit}`,
      unitType: `T${unit % 4}`,
      class: DeviceClass.InfusionPump,
      model: 'P100',
      hardwareRevision: number % 3 === 0 ? 'B' : 'A',
      version: `4.${number % 5}.0`,
      riskScore: number % 101,
    };
  }
}

const zones = ['America/New_York', 'America/Phoenix', 'America/Chicago', 'Asia/Kolkata', 'Australia/Adelaide'];

/** Open by night, but not while shifts change, in the zone of the site. */
export const calendarOfSite = (site: number): Calendar => ({
  windows: [{ days: [...weekdays], from: '22:00', to: '06:45' }],
  blackouts: [
    { name: 'morning', days: [...weekdays], from: '06:30', to: '07:30' },
    { name: 'evening', days: [...weekdays], from: '18:30', to: '19:30' },
  ],
  freezes: [],
  zone: zones[site % zones.length] ?? '',
});
