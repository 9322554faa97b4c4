import type { Table } from '../../aws/dynamodb.ts';
import type { Device, DeviceId } from '../../devices/device.ts';
import { missingSince } from '../../devices/presence.ts';
import { getDevices } from '../../devices/store.ts';
import type { Engine } from '../engine.ts';
import { listExecutions, type StoredExecution } from '../executions/execution-store.ts';
import type { PlanStore } from '../plan/plan-store.ts';
import type { SiteSummary } from '../plan/site-summary.ts';
import type { Rollout } from '../rollout.ts';
import type { Comparison, Observed } from './control.ts';
import { getControl, putControl } from './control-store.ts';

/** A device that is watched. */
export interface Sampled {
  readonly deviceId: DeviceId;
  /** `<site>/<hardware revision>/<unit type>` */
  readonly stratum: string;
}

/**
 * The updated devices of each stratum beside those that are not updated yet: how many of them are missing at this moment.
 * Both are looked at together, so that a broken access point harms both alike.
 *
 * @param devices heads by id; a device that is not there, or is not expected to be, says nothing
 * @param now milliseconds since the epoch
 */
export function comparisonsOf(
  updated: readonly Sampled[],
  notYet: readonly Sampled[],
  devices: ReadonlyMap<DeviceId, Device>,
  now: number,
): Comparison[] {
  const [one, other] = [observe(updated, devices, now), observe(notYet, devices, now)];
  return [...one].flatMap(([stratum, seen]) => {
    const control = other.get(stratum);
    return control === undefined ? [] : [{ stratum, updated: seen, notYet: control }];
  });
}

function observe(
  sampled: readonly Sampled[],
  devices: ReadonlyMap<DeviceId, Device>,
  now: number,
): ReadonlyMap<string, Observed> {
  const strata = new Map<string, Observed>();
  for (const { deviceId, stratum } of sampled) {
    const device = devices.get(deviceId);
    if (device?.lifecycle !== 'enrolled') continue;
    const { affected, watched } = strata.get(stratum) ?? { affected: 0, watched: 0 };
    const missing = missingSince(device, now) !== undefined;
    strata.set(stratum, { affected: affected + Number(missing), watched: watched + 1 });
  }
  return strata;
}

/** A wave is compared at most so often, milliseconds. */
const sampleEvery = 15 * 60_000;

/** Most devices of each kind that are watched, and most sites of a wave that they are taken from. */
const [mostDevices, mostSites] = [400, 10];

/**
 * Compares the updated devices of a wave with devices of the same sites that come later, if that was not done in the last
 * quarter of an hour, and keeps the result for the gate. At most 800 heads, and one plan for each site.
 */
export async function sampleControl(
  { devices, directory, plans }: Engine & { readonly plans: PlanStore },
  rollout: Rollout,
  wave: number,
  summaries: readonly SiteSummary[],
  now: Date,
): Promise<void> {
  const last = await getControl(directory, rollout.id, wave);
  if (last !== undefined && Date.parse(last.at) + sampleEvery > now.getTime()) return;
  const sites = summaries
    .filter(({ siteId, devices: planned }) => (planned[wave] ?? 0) > 0 && !rollout.skippedSites.includes(siteId))
    .slice(0, mostSites);
  const ofSite = Math.ceil(mostDevices / Math.max(1, sites.length));
  const updated: Sampled[] = [];
  const notYet: Sampled[] = [];
  for (const { siteId, digest } of sites) {
    const succeeded = await succeededIn(devices, rollout.id, siteId, wave, ofSite);
    if (succeeded.length === 0) continue;
    updated.push(...succeeded.map((execution) => sampled(siteId, execution)));
    const plan = await plans.get(rollout.id, siteId, digest);
    const later = plan.waves.slice(wave + 1).flat();
    notYet.push(...later.slice(0, ofSite).map(({ id, stratum }) => sampled(siteId, { deviceId: id, stratum })));
  }
  if (updated.length === 0 || notYet.length === 0) return;
  const heads = await getDevices(
    devices,
    [...updated, ...notYet].map(({ deviceId }) => deviceId),
  );
  const comparisons = comparisonsOf(updated, notYet, new Map(heads.map((head) => [head.id, head])), now.getTime());
  await putControl(directory, rollout.id, wave, { at: now.toISOString(), comparisons });
}

/** Pages that are read for the devices of one site. */
const mostPages = 5;

/** Devices of a wave at a site that came through, at most so many. */
async function succeededIn(
  devices: Table,
  rolloutId: string,
  siteId: string,
  wave: number,
  most: number,
): Promise<readonly StoredExecution[]> {
  const succeeded: StoredExecution[] = [];
  let after: string | undefined;
  for (let page = 0; page < mostPages && succeeded.length < most; page += 1) {
    const listed = await listExecutions(devices, rolloutId, siteId, { group: 'Z', limit: mostDevices, after });
    succeeded.push(
      ...listed.items.filter(
        (execution) =>
          execution.wave === wave && execution.direction === 'forward' && execution.status.state === 'succeeded',
      ),
    );
    after = listed.after;
    if (after === undefined) break;
  }
  return succeeded.slice(0, most);
}

const sampled = (siteId: string, { deviceId, stratum }: Sampled): Sampled => ({
  deviceId,
  stratum: `${siteId}/${stratum}`,
});
