import { DeviceClass } from '../../devices/device.ts';
import { nowhere } from '../../devices/keys.ts';
import type { SitePlan, UnitLoad } from './plan.ts';
import { Ineligibility } from './selection.ts';

/** What a plan comes to at one site: small, where the plan itself may be of many megabytes. */
export interface SiteSummary {
  /** Empty for devices without a site: all of them are ineligible. */
  readonly siteId: string;
  /** Of the site's plan, lower-case hex. */
  readonly digest: string;
  /** Number of devices of each wave. */
  readonly devices: readonly number[];
  readonly units: readonly UnitLoad[];
  /** Devices that take no part, by reason. */
  readonly ineligible: Readonly<Record<Ineligibility, number>>;
  /** Where the plan lies in the bucket. */
  readonly objectKey: string;
}

/** Key of a site's plan: another plan has another digest, and lies beside it. */
export const planKey = (rolloutId: string, siteId: string, digest: string): string =>
  `plans/${rolloutId}/${digest}/${siteId === '' ? nowhere : siteId}.json`;

/** The summary of a site's plan. */
export function summaryOf(rolloutId: string, { siteId, digest, waves, units, ineligible }: SitePlan): SiteSummary {
  const counts = Object.fromEntries(Object.values(Ineligibility).map((reason) => [reason, 0])) as Record<
    Ineligibility,
    number
  >;
  for (const { reason } of ineligible) counts[reason] += 1;
  return {
    siteId,
    digest,
    devices: waves.map((devices) => devices.length),
    units,
    ineligible: counts,
    objectKey: planKey(rolloutId, siteId, digest),
  };
}

/**
 * The loads in a short form, since a site has hundreds of units with several classes each. By `<unit> <class>`: how many
 * there are of the class, then for each wave that takes any `<wave>:<devices>`, all with blanks between them.
 */
export type PackedLoads = Readonly<Record<string, string>>;

/** The loads in their short form. */
export function packLoads(loads: readonly UnitLoad[]): PackedLoads {
  const packed: Record<string, string> = {};
  for (const { wave, unitId, class: deviceClass, devices, inUnit } of loads) {
    const key = `${unitId} ${deviceClass}`;
    packed[key] = `${packed[key] ?? inUnit} ${wave}:${devices}`;
  }
  return packed;
}

/** The loads of the short form, by wave, unit and class. */
export function unpackLoads(packed: PackedLoads): UnitLoad[] {
  const loads = Object.entries(packed).flatMap(([key, text]) => {
    const [unitId = '', name] = key.split(' ');
    const deviceClass = Object.values(DeviceClass).find((known) => known === name) ?? DeviceClass.Other;
    const [inUnit, ...waves] = text.split(' ');
    return waves.map((load): UnitLoad => {
      const [wave = 0, devices = 0] = load.split(':').map(Number);
      return { wave, unitId, class: deviceClass, devices, inUnit: Number(inUnit) };
    });
  });
  const order = ({ wave, unitId, class: deviceClass }: UnitLoad) =>
    `${String(wave).padStart(2, '0')} ${unitId} ${deviceClass}`;
  return loads.sort((a, b) => (order(a) < order(b) ? -1 : 1));
}
