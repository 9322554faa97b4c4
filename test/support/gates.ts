import { auditRecord } from '../../shared/audit/record.ts';
import type { Table } from '../../shared/aws/dynamodb.ts';
import { brakeReader } from '../../shared/brake/store.ts';
import type { HandOutMeans } from '../../shared/devices/hold-back.ts';
import type { NewDevice } from '../../shared/devices/store.ts';
import { defaultInterlock } from '../../shared/interlock/settings.ts';
import { placeReader } from '../../shared/places/facts.ts';
import type { AcuityTier, Unit } from '../../shared/places/place.ts';
import { PlaceStore, sitePartition } from '../../shared/places/store.ts';
import type { DevicesTable } from './devices-table.ts';

/** What the gates of a check-in look at, read from the Directory table of the test. */
export const gateMeans = (directory: Table, now: () => number): HandOutMeans => ({
  directory,
  readBrakes: brakeReader(directory),
  placeOf: placeReader(directory, now),
  interlock: defaultInterlock,
});

/** The site of the unit `office`. */
export const officeSite = 's-0000000000000000000000test';
/** Administration (T3): what stands there has no clinical role, so that the interlock lets every command through. */
export const office = 'u-00000000000000000000office';

/** A phone in the office, not registered yet: for tests of what happens when no gate stands in the way. */
export const officePhone = (serial: string): NewDevice => ({
  serial,
  platform: 'apple',
  class: 'phone',
  ownership: 'organization',
  siteId: officeSite,
  unitId: office,
});

/** Creates the site and the unit that `officePhone` stands in. */
export const openOffice = (devices: DevicesTable): Promise<void> => createUnit(devices, officeSite, office, 'T3');

/** Creates a unit and, if there is none yet, its site. */
export async function createUnit(
  { directory, table }: DevicesTable,
  siteId: string,
  unitId: string,
  acuityTier: AcuityTier,
  more: Partial<Unit> = {},
): Promise<void> {
  const places = new PlaceStore(directory, table);
  const at = '2026-03-01T00:00:00.000Z';
  const kept = { createdAt: at, updatedAt: at, version: 1 };
  const audit = () =>
    auditRecord(
      sitePartition(siteId),
      { actor: 'user:x', action: 'CreateUnit', resource: `unit/${unitId}`, outcome: 'allowed' },
      new Date(at),
    );
  if ((await places.getSite(siteId)) === undefined) {
    await places.createSite({ id: siteId, name: siteId, timeZone: 'America/New_York', ...kept }, audit());
  }
  await places.createUnit({ id: unitId, siteId, name: unitId, acuityTier, ...more, ...kept }, audit());
}
