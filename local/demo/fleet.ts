import { createHash } from 'node:crypto';
import type { DeviceClass } from '../../shared/devices/device.ts';
import type { DeviceProfile } from '../devices/profile.ts';
import { pick, seeded } from '../devices/seeded.ts';
import { type DeviceModel, models } from './models.ts';
import { type DemoSite, type DemoUnit, demoSites, deviceMix } from './network.ts';

/** A device of the demo network, and where it belongs. */
export interface DemoDevice {
  readonly profile: DeviceProfile;
  /** As the staff calls it. */
  readonly name: string;
  readonly site: DemoSite;
  readonly unit: DemoUnit;
}

/** A kind of device in a unit, how many it should have, and how many it has been given. */
interface Cell {
  readonly site: DemoSite;
  readonly unit: DemoUnit;
  readonly class: DeviceClass;
  readonly wanted: number;
  given: number;
}

/**
 * The first `count` devices of the demo network, spread over the units as their mix asks for. Each device goes to where
 * the most are missing (Sainte-Laguë), so that a larger network contains the smaller one: `--devices 300` after
 * `--devices 200` adds a hundred and changes none.
 */
export function demoFleet(count: number, seed: number): DemoDevice[] {
  const cells = demoSites.flatMap((site) =>
    site.units.flatMap((unit) =>
      Object.entries(deviceMix[unit.kind]).map(
        ([kind, perPlace]): Cell => ({
          site,
          unit,
          class: kind as DeviceClass,
          wanted: unit.places * perPlace,
          given: 0,
        }),
      ),
    ),
  );
  return Array.from({ length: count }, (_, index) => {
    // Every site gets its first device before any gets its second, so that a small network has no empty places.
    const first = demoSites[index];
    const cell = neediest(first === undefined ? cells : cells.filter(({ site }) => site === first));
    cell.given += 1;
    return deviceOf(cell, cell.given, seed);
  });
}

function neediest(cells: readonly Cell[]): Cell {
  const need = ({ wanted, given }: Cell): number => wanted / (2 * given + 1);
  const first = cells[0];
  if (first === undefined) throw new Error('the demo network has no units');
  return cells.reduce((best, cell) => (need(cell) > need(best) ? cell : best), first);
}

function deviceOf({ site, unit, class: kind }: Cell, number: number, seed: number): DemoDevice {
  const random = seeded(seed, 'device', site.name, unit.name, kind, number);
  const model = pick(
    random,
    models.filter((candidate) => candidate.class === kind).map((candidate) => [candidate, candidate.weight] as const),
  );
  const place = 1 + ((number - 1) % unit.places);
  return {
    site,
    unit,
    name: `${unit.name} ${wordFor(kind)} ${number}`,
    profile: {
      serial: serialOf(model, [seed, site.name, unit.name, kind, number]),
      class: kind,
      platform: model.platform,
      manufacturer: model.manufacturer,
      model: model.model,
      os: { name: model.os, version: pick(random, model.versions) },
      channel: random() < model.polls ? 'https' : 'mqtt',
      timeZone: site.timeZone,
      unitKind: unit.kind,
      location: {
        facility: site.name,
        building: unit.building,
        floor: unit.floor,
        pointOfCare: unit.name,
        ...(unit.place === 'Bed'
          ? { room: String(100 * Number(unit.floor) + Math.ceil(place / 2)) }
          : { room: `${unit.place} ${place}` }),
        ...(unit.place === 'Bed' ? { bed: place % 2 === 1 ? 'A' : 'B' } : {}),
      },
    },
  };
}

const wordFor = (kind: DeviceClass): string => kind.replace('-', ' ');

/** Serial numbers as makers print them: a prefix for the model and digits; 40 bits, so that no two are alike. */
function serialOf(model: DeviceModel, parts: readonly unknown[]): string {
  const digest = createHash('sha256')
    .update(JSON.stringify(['serial', ...parts]))
    .digest();
  return `${model.prefix}${String(digest.readUIntBE(0, 5)).padStart(13, '0')}`;
}
