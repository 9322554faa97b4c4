import { DeviceClass } from '../../shared/devices/device.ts';
import { operation } from '../../shared/http/api.ts';
import { parameter } from '../../shared/http/operation.ts';
import { unitResource } from '../../shared/identity/resource.ts';
import { placeOperations } from '../../shared/places/operations.ts';
import { unitBudget } from '../../shared/rollouts/admission/admission.ts';
import { countByClass, listAway } from '../../shared/rollouts/admission/spares-store.ts';
import type { Services } from './services.ts';
import { requireUnit } from './units.ts';

/** Looking at what care units can spare. */
export function sparesOperations({ devices, directory, places, guard }: Services) {
  return {
    getUnitSpares: operation(placeOperations.getUnitSpares, async ({ caller, path, receivedAt }) => {
      const place = { siteId: parameter(path, 'siteId'), unitId: parameter(path, 'unitId') };
      guard.assertMay(caller, 'ReadPlace', unitResource(place.siteId, place.unitId), receivedAt);
      const [{ spares }, counts, taken] = await Promise.all([
        requireUnit(places, place.siteId, place.unitId),
        countByClass(devices, place),
        listAway(directory, place, receivedAt),
      ]);
      const classes = Object.values(DeviceClass).flatMap((deviceClass) => {
        const [inUnit = 0, keep, missing = {}] = [
          counts.get(deviceClass),
          spares?.[deviceClass],
          taken.get(deviceClass),
        ];
        const away = Object.entries(missing)
          .map(([deviceId, each]) => ({ deviceId, ...each }))
          .sort((a, b) => a.since.localeCompare(b.since));
        if (inUnit === 0 && keep === undefined && away.length === 0) return [];
        const budget = unitBudget({ devices: inUnit, keep });
        return [{ class: deviceClass, devices: inUnit, ...(keep === undefined ? {} : { keep }), budget, away }];
      });
      return { body: { classes } };
    }),
  };
}
