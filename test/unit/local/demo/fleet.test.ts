import * as v from 'valibot';
import { demoFleet } from '../../../../local/demo/fleet.ts';
import { demoSites } from '../../../../local/demo/network.ts';
import { homeSite } from '../../../../local/identity/users.ts';
import { parseSerial } from '../../../../shared/enrollment/serial.ts';
import { AcuityTier, isTimeZone, SiteInput, UnitInput } from '../../../../shared/places/place.ts';

test('five hospitals and twenty outpatient sites, in zones that exist', () => {
  const hospitals = demoSites.filter(({ units }) => units.some(({ kind }) => kind === 'operating'));
  expect([hospitals.length, demoSites.length]).toEqual([5, 25]);
  expect(demoSites.filter(({ timeZone }) => !isTimeZone(timeZone))).toEqual([]);
  const zones = new Set(demoSites.map(({ timeZone }) => timeZone));
  for (const zone of ['America/Phoenix', 'Asia/Kolkata', 'Pacific/Honolulu']) expect(zones).toContain(zone);
  expect(demoSites.map(({ name }) => name)).toContain(homeSite);
});

test('every place is one that the API accepts, names are unique where they must be', () => {
  expect(new Set(demoSites.map(({ name }) => name)).size).toBe(demoSites.length);
  for (const { name, timeZone, units } of demoSites) {
    v.parse(SiteInput, { name, timeZone });
    expect(new Set(units.map((unit) => unit.name)).size).toBe(units.length);
    for (const unit of units) v.parse(UnitInput, { name: unit.name, acuityTier: unit.acuityTier });
  }
  const tiers = new Set(demoSites.flatMap(({ units }) => units.map(({ acuityTier }) => acuityTier)));
  expect(tiers).toEqual(new Set(Object.values(AcuityTier)));
});

test('serial numbers are unique and can be enrolled with', () => {
  const serials = demoFleet(5_000, 1).map(({ profile }) => profile.serial);
  expect(new Set(serials).size).toBe(5_000);
  for (const serial of serials) expect(parseSerial(serial)).toBe(serial);
});

test('a larger network contains the smaller one', () => {
  expect(demoFleet(300, 1).slice(0, 200)).toEqual(demoFleet(200, 1));
});

test('the default network has every kind of device and something at every site', () => {
  const fleet = demoFleet(200, 1);
  expect(new Set(fleet.map(({ profile }) => profile.class))).toEqual(
    new Set(['infusion-pump', 'patient-monitor', 'ventilator', 'phone', 'tablet', 'workstation']),
  );
  expect(new Set(fleet.map(({ site }) => site.name)).size).toBe(25);
  expect(new Set(fleet.map(({ profile }) => profile.channel))).toEqual(new Set(['mqtt', 'https']));
});
