import fc from 'fast-check';
import { DeviceClass } from '../../../../../shared/devices/device.ts';
import type { UnitLoad } from '../../../../../shared/rollouts/plan/plan.ts';
import { packLoads, planKey, unpackLoads } from '../../../../../shared/rollouts/plan/site-summary.ts';

const loads = fc
  .uniqueArray(
    fc.record({
      wave: fc.integer({ min: 0, max: 19 }),
      unit: fc.integer({ min: 0, max: 5 }),
      class: fc.constantFrom(...Object.values(DeviceClass)),
      devices: fc.integer({ min: 1, max: 5_000 }),
    }),
    { selector: ({ wave, unit, class: deviceClass }) => `${wave} ${unit} ${deviceClass}` },
  )
  .map((entries) =>
    entries.map(({ unit, ...load }): UnitLoad => ({ ...load, unitId: `u-${unit}`, inUnit: 7_000 + unit })),
  );

test('loads come out of their short form as they went in', () => {
  fc.assert(fc.property(loads, (all) => expect(new Set(unpackLoads(packLoads(all)))).toEqual(new Set(all))));
});

test('loads come by wave, unit and class', () => {
  fc.assert(
    fc.property(loads, (all) => {
      const waves = unpackLoads(packLoads(all)).map(({ wave }) => wave);
      expect(waves).toEqual([...waves].sort((a, b) => a - b));
    }),
  );
});

test('devices without a site have a place of their own', () => {
  expect(planKey('ro-1', '', 'ab')).toBe('plans/ro-1/ab/-.json');
});
