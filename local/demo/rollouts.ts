import { createHash } from 'node:crypto';
import { DeviceClass } from '../../shared/devices/device.ts';
import { nextOpening } from '../../shared/places/windows.ts';
import { isBroken } from '../devices/behaviour.ts';
import { type ApiClient, text } from './api.ts';
import type { DemoDevice } from './fleet.ts';
import { hoursOf, type LoadedNetwork } from './load.ts';

/** A rollout as a hospital orders it (`RolloutInput` of the management API). */
export type RolloutOrder = Readonly<Record<string, unknown>> & { readonly name: string };

/** A rollout of the demo; its classes say who fits as the second person. */
export type DemoRollout = RolloutOrder & {
  readonly selection: Readonly<Record<string, unknown>> & { readonly classes: readonly DeviceClass[] };
};

/** What the demo's rollouts are made of. */
export interface RolloutWorld {
  readonly devices: readonly DemoDevice[];
  readonly network: LoadedNetwork;
  readonly seed: number;
  /** The cloud's time, milliseconds since the epoch. */
  readonly now: number;
}

/** An artifact that nobody installs: simulated devices believe its digest. */
const artifact = (kind: string, name: string, version: string) => ({
  ...{ kind, name, version },
  sha256: createHash('sha256').update(`${name} ${version}`).digest('hex'),
  signature: Buffer.from(`signature of ${name} ${version}`).toString('base64'),
});

const pumpModel = 'Infuse LV-8';
const appVersion = '3.1.0-bad';

/** Fewer than this in the first wave would say nothing at all. */
const pilotDevices = 3;

/** The hospitals of the first wave of pumps. */
const firstHospitals = 3;

/** A window that closes sooner is of no use: what is to be activated is fetched first. Milliseconds. */
const shortestWindow = 90 * 60_000;

/**
 * The rollouts of the demo network: pump firmware that goes on at several hospitals at once, where pumps that are in use keep
 * it waiting; and an app that fails on some tablets, so that the gate holds its first wave. Those that the fleet is too
 * small for are left out.
 */
export function demoRollouts(world: RolloutWorld): DemoRollout[] {
  return [pumpFirmware(world), faultyApp(world)].filter((order) => order !== undefined);
}

function pumpFirmware({ devices, network }: RolloutWorld): DemoRollout | undefined {
  const pumps = devices.filter(({ profile }) => profile.model === pumpModel);
  const [first] = pumps;
  if (first === undefined) return undefined;
  const most = [...Map.groupBy(pumps, ({ site }) => site).values()].sort((a, b) => b.length - a.length);
  return {
    name: 'Pump firmware 9.5.0',
    artifact: artifact('firmware', pumpModel, '9.5.0'),
    selection: {
      siteIds: siteIdsOf(pumps, network),
      classes: [DeviceClass.InfusionPump],
      models: [`${first.profile.manufacturer} ${pumpModel}`],
    },
    waves: [
      {
        name: 'Three hospitals',
        scope: { kind: 'sites', siteIds: siteIdsOf(most.slice(0, firstHospitals).flat(), network) },
      },
      { name: 'The rest', scope: { kind: 'rest' } },
    ],
    wayBack: 'The pump keeps the version before in its second slot.',
  };
}

function faultyApp(world: RolloutWorld): DemoRollout | undefined {
  const { devices, network } = world;
  const pilot = soonest(world, pilots(world));
  if (pilot === undefined) return undefined;
  const tablets = devices.filter(({ profile }) => profile.class === DeviceClass.Tablet);
  return {
    name: `Bedside Chart ${appVersion}`,
    artifact: artifact('app', 'Bedside Chart', appVersion),
    selection: { siteIds: siteIdsOf(tablets, network), classes: [DeviceClass.Tablet] },
    waves: [
      { name: 'Pilot wards', scope: { kind: 'units', unitIds: unitIdsOf(pilot, network) } },
      { name: 'The rest', scope: { kind: 'rest' } },
    ],
    wayBack: 'The earlier version of the app is installed again.',
  };
}

/** Groups of ward tablets of a site, of which the faulty app breaks exactly one: enough to hold a wave, not to stop it. */
function pilots({ devices, seed }: RolloutWorld): DemoDevice[][] {
  const bySite = Map.groupBy(
    devices.filter(({ profile, unit }) => profile.class === DeviceClass.Tablet && unit.kind === 'ward'),
    ({ site }) => site,
  );
  return [...bySite.values()].flatMap((tablets) => {
    const units = [...Map.groupBy(tablets, ({ unit }) => unit).values()];
    const broken = (of: readonly DemoDevice[]) =>
      of.filter(({ profile }) => isBroken(seed, profile.serial, appVersion)).length;
    const [faulty] = units.filter((unit) => broken(unit) === 1);
    if (faulty === undefined) return [];
    const group = [...faulty];
    for (const sound of units.filter((unit) => broken(unit) === 0))
      if (group.length < pilotDevices) group.push(...sound);
    return group.length < pilotDevices ? [] : [group];
  });
}

/** The group whose units open first, so that there is something to see soon. */
function soonest({ now }: RolloutWorld, groups: readonly (readonly DemoDevice[])[]): readonly DemoDevice[] | undefined {
  const opensAt = (group: readonly DemoDevice[]) => Math.max(...group.map((device) => usefulOpening(device, now)));
  return [...groups].sort((a, b) => opensAt(a) - opensAt(b))[0];
}

/** When a window of the device's unit opens next, or now, that stays open for long enough. */
function usefulOpening({ site, unit }: Pick<DemoDevice, 'site' | 'unit'>, from: number): number {
  const { maintenanceWindows: windows, blackouts } = hoursOf(unit);
  const opening = nextOpening({ zone: site.timeZone, windows, blackouts, freezes: [] }, from);
  if (opening === undefined) return Number.POSITIVE_INFINITY;
  return opening.to - opening.from >= shortestWindow ? opening.from : usefulOpening({ site, unit }, opening.to);
}

const siteIdsOf = (devices: readonly DemoDevice[], { siteIds }: LoadedNetwork): string[] =>
  [...new Set(devices.map(({ site }) => siteIds.get(site) ?? ''))].filter((id) => id !== '').sort();

const unitIdsOf = (devices: readonly DemoDevice[], { siteIds, unitIds }: LoadedNetwork): string[] =>
  [...new Set(devices.map(({ site, unit }) => unitIds.get(`${siteIds.get(site)} ${unit.name}`) ?? ''))].filter(
    (id) => id !== '',
  );

/** The people who bring a rollout on its way: the second is another one than the first, and fits its devices. */
export interface RolloutPeople {
  readonly maker: ApiClient;
  readonly approver: ApiClient;
}

/** Between two looks at a plan that is being made, milliseconds of the wall clock. */
const lookEvery = 500;

/**
 * Brings a rollout on its way as two people do: draft, plan, submission, approval, start. One of an earlier start of the
 * demo goes on where it was, whatever became of it since.
 *
 * @returns its id
 */
export async function beginRollout(
  { maker, approver }: RolloutPeople,
  order: RolloutOrder,
  wait: (milliseconds: number) => Promise<void>,
): Promise<string> {
  const known = (await maker.list('/rollouts')).find((rollout) => text(rollout, 'name') === order.name);
  const id = text(known, 'id') ?? text(await maker.post('/rollouts', order), 'id');
  if (id === undefined) throw new Error('the management API answered without an id');
  for (;;) {
    const rollout = await maker.get(`/rollouts/${id}`);
    const plan = planStateOf(rollout);
    switch (text(rollout, 'state')) {
      case 'draft':
        if (plan === 'failed') throw new Error(`"${order.name}" could not be planned: ${text(rollout, 'words')}`);
        if (plan === undefined) await maker.post(`/rollouts/${id}/plan`, {});
        else await wait(lookEvery);
        break;
      case 'planned':
        await maker.post(`/rollouts/${id}/submit`, {});
        break;
      case 'awaiting-approval':
        await approver.post(`/rollouts/${id}/approve`, { digest: text(rollout, 'digest') });
        break;
      case 'scheduled':
        await maker.post(`/rollouts/${id}/start`, {});
        break;
      default:
        return id;
    }
  }
}

function planStateOf(rollout: unknown): string | undefined {
  const plan: unknown = typeof rollout === 'object' && rollout !== null ? Reflect.get(rollout, 'plan') : undefined;
  return text(plan, 'state');
}
