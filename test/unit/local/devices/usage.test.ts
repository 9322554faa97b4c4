import fc from 'fast-check';
import { demoFleet } from '../../../../local/demo/fleet.ts';
import { batteryAt } from '../../../../local/devices/battery.ts';
import { reachabilityAt } from '../../../../local/devices/reachability.ts';
import { isClosed, usageAt } from '../../../../local/devices/usage.ts';
import { profile } from './profiles.ts';

const hour = 3_600_000;
const monday = Date.parse('2026-03-02T00:00:00-05:00');
const devices = demoFleet(120, 1).map((device) => device.profile);
const anyDevice = fc.constantFrom(...devices);
const anyTime = fc.integer({ min: Date.parse('2026-01-01T00:00:00Z'), max: Date.parse('2027-12-31T00:00:00Z') });

test('tells the same story whenever it is asked', () => {
  fc.assert(
    fc.property(anyDevice, anyTime, fc.double({ min: 0, max: 1, noNaN: true }), (device, time, part) => {
      const usage = usageAt(1, device, time);
      expect(usage.since).toBeLessThanOrEqual(time);
      expect(usage.until).toBeGreaterThan(time);
      const later = time + Math.floor((usage.until - 1 - time) * part);
      expect(usageAt(1, device, later).state).toBe(usage.state);
      expect(usageAt(1, device, time)).toEqual(usage);
    }),
    { numRuns: 150 },
  );
});

test('another seed tells another story', () => {
  const week = Array.from({ length: 168 }, (_, index) => monday + index * hour);
  const story = (seed: number): string => week.map((time) => usageAt(seed, profile(), time).state).join();
  expect(story(1)).not.toBe(story(2));
});

/** Share of the devices that are in use, over four weeks at these local hours. */
function shareInUse(of: ReturnType<typeof profile>, hours: readonly number[], days = [0, 1, 2, 3, 4]): number {
  const samples = Array.from({ length: 30 }, (_, device) =>
    [0, 1, 2, 3].flatMap((week) =>
      days.flatMap((day) =>
        hours.map((at) =>
          usageAt(1, { ...of, serial: `S${device}` }, monday + (week * 7 + day) * 24 * hour + at * hour),
        ),
      ),
    ),
  ).flat();
  return samples.filter(({ state }) => state === 'in-use').length / samples.length;
}

test('pumps are in use more by day, ventilators as much at night', () => {
  const pump = profile();
  expect(shareInUse(pump, [13, 15, 17])).toBeGreaterThan(shareInUse(pump, [4, 5, 6]) + 0.05);
  const ventilator = profile({ class: 'ventilator', unitKind: 'intensive' });
  expect(Math.abs(shareInUse(ventilator, [14]) - shareInUse(ventilator, [3]))).toBeLessThan(0.12);
});

test('ventilators of intensive care run for days, workstations for minutes', () => {
  const lengthOf = (device: ReturnType<typeof profile>): number => {
    const lengths: number[] = [];
    for (let time = monday; lengths.length < 40; ) {
      const usage = usageAt(1, device, time);
      if (usage.state === 'in-use') lengths.push(usage.until - usage.since);
      time = usage.until;
    }
    return lengths.sort((a, b) => a - b)[20] ?? 0;
  };
  expect(lengthOf(profile({ class: 'ventilator', unitKind: 'intensive' }))).toBeGreaterThan(24 * hour);
  expect(lengthOf(profile({ class: 'workstation', platform: 'linux' }))).toBeLessThan(hour);
});

test('a clinic is closed at night and at weekends, in its own zone', () => {
  const clinic = profile({ unitKind: 'clinic', class: 'tablet', platform: 'android', timeZone: 'Asia/Kolkata' });
  expect(isClosed(clinic, Date.parse('2026-03-02T10:00:00+05:30'))).toBe(false);
  expect(isClosed(clinic, Date.parse('2026-03-02T22:00:00+05:30'))).toBe(true);
  expect(isClosed(clinic, Date.parse('2026-03-01T10:00:00+05:30'))).toBe(true);
  expect(shareInUse(profile({ unitKind: 'clinic', class: 'tablet' }), [10, 11], [5, 6])).toBe(0);
  expect(isClosed(profile(), Date.parse('2026-03-01T03:00:00-05:00'))).toBe(false);
});

test('a battery drains in use and charges at rest, within its bounds', () => {
  fc.assert(
    fc.property(anyDevice, anyTime, (device, time) => {
      const usage = usageAt(1, device, time);
      const first = batteryAt(1, device, usage, time);
      const last = batteryAt(1, device, usage, usage.until - 1);
      for (const { percent } of [first, last]) {
        expect(percent).toBeGreaterThanOrEqual(10);
        expect(percent).toBeLessThanOrEqual(100);
      }
      expect(first.charging ? last.percent - first.percent : first.percent - last.percent).toBeGreaterThanOrEqual(0);
    }),
    { numRuns: 100 },
  );
});

test('most devices of open units are on the network; some are not, and come back', () => {
  const hospital = devices.filter(({ unitKind }) => !['clinic', 'office', 'infusion-center'].includes(unitKind));
  const states = hospital.flatMap((device) =>
    Array.from({ length: 24 }, (_, index) => reachabilityAt(1, device, monday + index * 13 * hour).state),
  );
  const online = states.filter((state) => state === 'online').length / states.length;
  expect(online).toBeGreaterThan(0.9);
  expect(online).toBeLessThan(1);
});

test('reachability names a time that lies ahead', () => {
  fc.assert(
    fc.property(anyDevice, anyTime, (device, time) => {
      const { state, until } = reachabilityAt(1, device, time);
      expect(until).toBeGreaterThan(time);
      expect(reachabilityAt(1, device, time)).toEqual({ state, until });
    }),
    { numRuns: 100 },
  );
});
