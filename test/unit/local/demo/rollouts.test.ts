import * as v from 'valibot';
import { demoFleet } from '../../../../local/demo/fleet.ts';
import type { LoadedNetwork } from '../../../../local/demo/load.ts';
import { type DemoUnit, demoSites } from '../../../../local/demo/network.ts';
import { beginRollout, demoRollouts } from '../../../../local/demo/rollouts.ts';
import { isBroken } from '../../../../local/devices/behaviour.ts';
import { RolloutInput } from '../../../../shared/rollouts/definition.ts';

const idOf = (prefix: string, n: number) => `${prefix}-${String(n).padStart(26, '0')}`;
const siteIds = new Map(demoSites.map((site, n) => [site, idOf('s', n)] as const));
const units = demoSites.flatMap((site) => site.units.map((unit) => `${siteIds.get(site)} ${unit.name}`));
const network: LoadedNetwork = { siteIds, unitIds: new Map(units.map((key, n) => [key, idOf('u', n)])), created: 0 };
const world = (count: number, at: string) => ({ devices: demoFleet(count, 1), network, seed: 1, now: Date.parse(at) });

/** Devices of the first wave of the faulty app, and the site that they stand at. */
function pilot(at: string) {
  const order = v.parse(RolloutInput, demoRollouts(world(200, at))[1]);
  const [wave] = order.waves;
  const unitIds = wave?.scope.kind === 'units' ? wave.scope.unitIds : [];
  const unitOf = (site: object, unit: DemoUnit) =>
    network.unitIds.get(`${[...siteIds].find(([known]) => known === site)?.[1]} ${unit.name}`) ?? '';
  const devices = demoFleet(200, 1).filter(
    ({ profile, site, unit }) => profile.class === 'tablet' && unitIds.includes(unitOf(site, unit)),
  );
  return { devices, version: order.artifact.version, zones: new Set(devices.map(({ site }) => site.timeZone)) };
}

describe('demoRollouts', () => {
  test('are orders that the API accepts; those that the fleet is too small for are left out', () => {
    const orders = demoRollouts(world(200, '2027-03-01T12:00:00Z'));
    expect(orders.map(({ name }) => name)).toEqual(['Pump firmware 9.5.0', 'Bedside Chart 3.1.0-bad']);
    for (const order of orders) v.parse(RolloutInput, order);
    expect(demoRollouts(world(0, '2027-03-01T12:00:00Z'))).toEqual([]);
  });

  test('the pilot has one tablet that the app breaks, so that its wave is held; it is where the windows open first', () => {
    const zones = new Set<string>();
    for (let hour = 0; hour < 24; hour += 1) {
      const { devices, version, zones: own } = pilot(`2027-03-01T${String(hour).padStart(2, '0')}:30:00Z`);
      expect(devices.length).toBeGreaterThanOrEqual(3);
      expect(devices.filter(({ profile }) => isBroken(1, profile.serial, version))).toHaveLength(1);
      expect(own.size).toBe(1);
      for (const zone of own) zones.add(zone);
    }
    expect(zones.size).toBeGreaterThan(1);
  });
});

describe('beginRollout', () => {
  test('does what two people do, and goes on where an earlier start stopped', async () => {
    const states = ['draft', 'planning', 'planned', 'awaiting-approval', 'scheduled', 'running'];
    for (let from = 0; from < states.length; from += 1) {
      let at = from;
      const done: string[] = [];
      const as = (who: string) => ({
        get: async () => {
          const state = states[at];
          return state === 'planning'
            ? { state: 'draft', plan: { state: 'planning' } }
            : { state, digest: 'd', ...(at > 1 ? { plan: { state: 'done' } } : {}) };
        },
        list: async () => (from === 0 ? [] : [{ id: 'ro-1', name: 'Pumps' }]),
        post: async (path: string) => {
          if (path !== '/rollouts') at += 1;
          done.push(`${who} ${path}`);
          return { id: 'ro-1' };
        },
      });
      const wait = async () => {
        at += 1;
      };
      expect(await beginRollout({ maker: as('ada'), approver: as('ben') }, { name: 'Pumps' }, wait)).toBe('ro-1');
      const all = ['plan', 'submit', 'approve', 'start'].map(
        (deed) => `${deed === 'approve' ? 'ben' : 'ada'} /rollouts/ro-1/${deed}`,
      );
      const left = [['ada /rollouts', ...all], all.slice(1), all.slice(1), all.slice(2), all.slice(3), []];
      expect(done).toEqual(left[from]);
    }
  });
});
