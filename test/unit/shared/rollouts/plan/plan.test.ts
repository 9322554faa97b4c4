import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { DeviceClass } from '../../../../../shared/devices/device.ts';
import { defaultWaves, problemsOf, type WaveDefinition } from '../../../../../shared/rollouts/gate/wave-definition.ts';
import { lotOf, RolloutOrder } from '../../../../../shared/rollouts/plan/order.ts';
import { approvalDigest, planDigest, planSites, type SitePlan } from '../../../../../shared/rollouts/plan/plan.ts';
import type { PlanRequest } from '../../../../../shared/rollouts/plan/plan-request.ts';
import type { Candidate } from '../../../../../shared/rollouts/plan/selection.ts';
import { rolloutDefinition } from '../../../../support/rollouts.ts';

const candidate = (id: string, siteId: string, unitId: string, more: Partial<Candidate> = {}): Candidate => ({
  ...{ id, enrolled: true, siteId, unitId, unitType: 'T2', class: DeviceClass.InfusionPump, hardwareRevision: 'A' },
  ...{ version: '1.0' },
  ...more,
});

const [, , , , rest] = defaultWaves([]);
const wave = (scope: WaveDefinition['scope']): WaveDefinition => ({ ...(rest ?? fail()), name: scope.kind, scope });
const fail = (): never => {
  throw new Error('no default wave');
};

const request = (more: Partial<PlanRequest> = {}): PlanRequest => ({
  ...{ rolloutId: 'r-1', selection: {}, target: '2.0', waves: defaultWaves(['u-lab']), order: RolloutOrder.PilotFirst },
  ...more,
});

/** Sorted by site, as the index returns them. */
const bySite = (devices: readonly Candidate[]) =>
  [...devices].sort((a, b) => ((a.siteId ?? '') < (b.siteId ?? '') ? -1 : 1));

async function all(plans: AsyncIterable<SitePlan>): Promise<SitePlan[]> {
  const sites: SitePlan[] = [];
  for await (const site of plans) sites.push(site);
  return sites;
}

async function plan(of: PlanRequest, devices: readonly Candidate[]): Promise<SitePlan[]> {
  return all(planSites(of, () => bySite(devices)));
}

/** The number of the wave for each device. */
const waveOf = (plans: readonly SitePlan[]): Map<string, number> =>
  new Map(
    plans.flatMap(({ waves }) => waves.flatMap((devices, index) => devices.map(({ id }) => [id, index] as const))),
  );

/** A fleet of a few sites with units of all tiers and two hardware revisions. */
const fleets = fc
  .array(
    fc.record({
      site: fc.integer({ min: 1, max: 6 }),
      unit: fc.integer({ min: 1, max: 3 }),
      revision: fc.constantFrom('A', 'B'),
      risk: fc.integer({ min: 0, max: 100 }),
      advisory: fc.boolean(),
    }),
    { minLength: 1, maxLength: 120 },
  )
  .map((devices) =>
    devices.map(({ site, unit, revision, risk, advisory }, index) =>
      candidate(`d-${index}`, `s-${site}`, site === 6 && unit === 1 ? 'u-lab' : `u-${site}-${unit}`, {
        ...{ unitType: `T${unit}`, hardwareRevision: revision, riskScore: risk, openAdvisory: advisory },
      }),
    ),
  );
const orders = fc.constantFrom(...Object.values(RolloutOrder));

describe('planSites', () => {
  test('the lot can be reckoned again with sha256sum', () => {
    const digest = createHash('sha256').update('r-1d-17').digest('hex');
    expect(lotOf('r-1', 'd-17')).toBe(Number.parseInt(digest.slice(0, 12), 16));
  });

  test('a share of devices stays a share, though each device writes something else as its hardware revision', async () => {
    const waves = [wave({ kind: 'share-of-devices', percent: 10 }), wave({ kind: 'rest' })];
    const devices = Array.from({ length: 1_000 }, (_, index) =>
      candidate(`d-${index}`, 's-1', 'u-1', { hardwareRevision: index % 2 === 0 ? 'A' : `SN-${index}` }),
    );
    const [site] = await plan(request({ waves }), devices);
    expect(site?.waves[0]?.length).toBeGreaterThanOrEqual(100);
    expect(site?.waves[0]?.length).toBeLessThanOrEqual(100 + 21);
    const strata = new Set(site?.waves.flat().map(({ stratum }) => stratum));
    expect(strata.size).toBeLessThanOrEqual(21);
    expect(strata).toContain('A/T2');
    expect(strata).toContain('other/T2');
  });

  test('each device that takes part is in exactly one wave; the same plan comes out whatever the order of reading', async () => {
    await fc.assert(
      fc.asyncProperty(fleets, orders, async (devices, order) => {
        const plans = await plan(request({ order }), devices);
        const ids = plans.flatMap(({ waves }) => waves.flat().map(({ id }) => id));
        expect(ids.sort()).toEqual(devices.map(({ id }) => id).sort());
        const again = await plan(request({ order }), [...devices].reverse());
        expect(again).toEqual(plans);
        expect(planDigest(again.reverse())).toBe(planDigest(plans));
      }),
      { numRuns: 50 },
    );
  });

  test('a larger share keeps the devices of the smaller, and each stratum gives its part, at least one', async () => {
    const share = fc.integer({ min: 1, max: 99 });
    await fc.assert(
      fc.asyncProperty(fleets, share, share, orders, async (devices, one, other, order) => {
        const [small, large] = [Math.min(one, other), Math.max(one, other)];
        const taken = async (percent: number) => {
          const waves = [wave({ kind: 'share-of-devices', percent }), wave({ kind: 'rest' })];
          return waveOf(await plan(request({ waves, order }), devices));
        };
        const [few, many] = [await taken(small), await taken(large)];
        for (const [id, index] of few) if (index === 0) expect(many.get(id)).toBe(0);
        const strata = Map.groupBy(
          devices,
          (device) => `${device.siteId}/${device.hardwareRevision}/${device.unitType}`,
        );
        for (const members of strata.values()) {
          const inCanary = members.filter(({ id }) => few.get(id) === 0).length;
          expect(inCanary).toBe(Math.ceil((small * members.length) / 100));
        }
      }),
      { numRuns: 50 },
    );
  });

  test('lab, one unit of the least acute tier, its site, a tenth of the sites, the rest', async () => {
    const devices = Array.from({ length: 30 }, (_, site) =>
      ['T0', 'T1', 'T3'].flatMap((unitType) =>
        Array.from({ length: 10 }, (_, n) =>
          candidate(`d-${site}-${unitType}-${n}`, `s-${site}`, `u-${site}-${unitType}`, { unitType }),
        ),
      ),
    ).flat();
    devices.push(candidate('d-lab', 's-7', 'u-lab'));
    const plans = await plan(request(), devices);
    const unitsOf = (index: number) =>
      new Set(plans.flatMap(({ waves }) => waves[index]?.map(({ unitId }) => unitId) ?? []));
    const sitesOf = (index: number) =>
      plans.filter(({ waves }) => waves[index]?.length !== 0).map(({ siteId }) => siteId);
    expect([...unitsOf(0)]).toEqual(['u-lab']);
    const [pilot, ...others] = unitsOf(1);
    expect(others).toEqual([]);
    expect(pilot).toMatch(/-T3$/);
    expect(sitesOf(2)).toEqual(sitesOf(1));
    // Three of thirty sites, of which one has had its turn.
    expect(sitesOf(3)).toHaveLength(2);
    expect(sitesOf(3)).not.toContain(sitesOf(2)[0]);
    expect(sitesOf(4)).toHaveLength(27);
    const loads = plans.flatMap(({ units }) => units).filter((load) => load.wave === 1);
    expect(loads).toEqual([{ wave: 1, unitId: pilot, class: DeviceClass.InfusionPump, devices: 10, inUnit: 10 }]);
  });

  test('says how many enrolled devices of the class the unit has, selected or not', async () => {
    const devices = [
      ...Array.from({ length: 5 }, (_, n) => candidate(`d-${n}`, 's-1', 'u-1', { model: n < 2 ? 'old' : 'new' })),
      candidate('d-tablet', 's-1', 'u-1', { class: DeviceClass.Tablet, model: 'old' }),
      candidate('d-away', 's-1', 'u-1', { enrolled: false }),
      candidate('d-next', 's-1', 'u-2'),
      candidate('d-there', 's-2', 'u-1'),
    ];
    const selection = { models: ['old'], classes: [DeviceClass.InfusionPump] };
    const plans = await plan(request({ selection }), devices);
    const loads = plans
      .flatMap(({ units }) => units)
      .map(({ unitId, devices: of, inUnit }) => ({ unitId, of, inUnit }));
    expect(loads).toEqual([{ unitId: 'u-1', of: 2, inUnit: 5 }]);
  });

  test('prefers a pilot unit that is large enough to promote its wave', async () => {
    const devices = [
      ...Array.from({ length: 40 }, (_, n) => candidate(`d-small-${n}`, 's-1', `u-small-${n}`)),
      ...Array.from({ length: 7 }, (_, n) => candidate(`d-large-${n}`, 's-2', 'u-large')),
    ];
    const [first] = (await plan(request(), devices)).flatMap(({ waves }) => waves[1] ?? []);
    expect(first?.unitId).toBe('u-large');
  });

  test('brings the first device of each stratum before the second of any', async () => {
    const devices = Array.from({ length: 60 }, (_, n) =>
      candidate(`d-${n}`, 's-1', `u-${n % 3}`, { unitType: `T${n % 3}`, hardwareRevision: n % 10 === 0 ? 'B' : 'A' }),
    );
    const waves = [wave({ kind: 'share-of-devices', percent: 50 }), wave({ kind: 'rest' })];
    const [site] = await plan(request({ waves }), devices);
    const strata = (site?.waves[0] ?? []).map(({ stratum }) => stratum);
    expect(new Set(strata.slice(0, 6)).size).toBe(6);
  });

  test('by risk: advisories, then scores; the lab and the first unit still come first', async () => {
    const devices = Array.from({ length: 200 }, (_, n) =>
      candidate(`d-${n}`, `s-${n % 10}`, `u-${n % 10}`, {
        riskScore: n % 7,
        openAdvisory: n % 10 === 3 && n % 20 === 3,
      }),
    );
    const plans = await plan(request({ order: RolloutOrder.RiskFirst, waves: defaultWaves(['u-9']) }), devices);
    const waves = waveOf(plans);
    expect(devices.filter(({ unitId }) => unitId === 'u-9').every(({ id }) => waves.get(id) === 0)).toBe(true);
    for (const { waves: sites } of plans) {
      for (const members of sites) {
        const risks = members.map(({ id }) => {
          const { riskScore = 0, openAdvisory } = devices[Number(id.slice(2))] ?? {};
          return (openAdvisory === true ? 1_000 : 0) + riskScore;
        });
        expect(risks).toEqual([...risks].sort((a, b) => b - a));
      }
    }
  });

  test('of devices at the same risk those in a unit at high risk come first', async () => {
    const devices = Array.from({ length: 40 }, (_, n) =>
      candidate(`d-${n}`, 's-1', `u-${n % 4}`, {
        // Half of each unit is alike; the other half of unit 2 is at risk, and an advisory is open on that of unit 3.
        ...{ unitType: 'T1', riskScore: n < 20 ? 10 : n % 4 === 2 ? 90 : 0 },
        openAdvisory: n >= 20 && n % 4 === 3,
      }),
    );
    const waves = [wave({ kind: 'units', unitIds: [] }), wave({ kind: 'rest' })];
    const [site] = await plan(request({ order: RolloutOrder.RiskFirst, waves }), devices);
    const alike = (site?.waves[1] ?? []).filter(({ id }) => Number(id.slice(2)) < 20).map(({ unitId }) => unitId);
    expect(alike.slice(0, 5)).toEqual(Array(5).fill('u-3'));
    expect(alike.slice(5, 10)).toEqual(Array(5).fill('u-2'));
  });

  test('says of each that takes no part why, and of those that are not selected nothing', async () => {
    const { siteId: _siteId, ...lost } = candidate('d-lost', 's-1', 'u-1');
    const devices = [
      candidate('d-1', 's-1', 'u-1'),
      candidate('d-2', 's-1', 'u-1', { version: '2.0' }),
      candidate('d-3', 's-1', 'u-1', { class: DeviceClass.Phone }),
      lost,
    ];
    const plans = await plan(request({ selection: { classes: [DeviceClass.InfusionPump] } }), devices);
    expect(plans.flatMap(({ ineligible }) => ineligible)).toEqual([
      { id: 'd-lost', reason: 'not-placed' },
      { id: 'd-2', reason: 'already-there' },
    ]);
    expect([...waveOf(plans).keys()]).toEqual(['d-1']);
  });

  test('a plan of other devices, of another order or for another rollout is another plan', async () => {
    const devices = Array.from({ length: 50 }, (_, n) =>
      candidate(`d-${n}`, `s-${n % 2}`, `u-${n % 4}`, { riskScore: n }),
    );
    const digest = async (of: PlanRequest, fleet = devices) => planDigest(await plan(of, fleet));
    const digests = [
      await digest(request()),
      await digest(request({ rolloutId: 'r-2' })),
      await digest(request({ order: RolloutOrder.RiskFirst })),
      await digest(request(), devices.slice(1)),
    ];
    expect(new Set(digests).size).toBe(4);
  });

  test('what is approved is all that the rollout says, not only who comes when', async () => {
    const sites = await plan(request(), [candidate('d-1', 's-1', 'u-1'), candidate('d-2', 's-2', 'u-2')]);
    const seen = rolloutDefinition();
    const { artifact, waves } = seen;
    const [first, ...others] = waves;
    const changed = [
      { ...seen, artifact: { ...artifact, sha256: 'f'.repeat(64) } },
      { ...seen, onStop: 'roll-back' as const },
      { ...seen, waves: [{ ...(first ?? fail()), bakeHours: 12 }, ...others] },
    ];
    expect(approvalDigest({ ...seen }, sites.toReversed())).toBe(approvalDigest(seen, sites));
    expect(new Set([seen, ...changed].map((definition) => approvalDigest(definition, sites))).size).toBe(4);
    expect(approvalDigest(seen, sites)).not.toBe(approvalDigest(seen, sites.slice(1)));
  });

  test('refuses a source that comes back to a site', async () => {
    const devices = [candidate('d-1', 's-1', 'u-1'), candidate('d-2', 's-2', 'u-2'), candidate('d-3', 's-1', 'u-1')];
    await expect(all(planSites(request(), () => devices))).rejects.toThrow('s-1 do not come in a row');
  });
});

describe('problemsOf', () => {
  test('finds nothing in the default waves, and names what is wrong with others', () => {
    expect(problemsOf(defaultWaves([]))).toEqual([]);
    expect(problemsOf([])).toHaveLength(2);
    expect(problemsOf([wave({ kind: 'rest' }), wave({ kind: 'one-unit' })])).toHaveLength(1);
    expect(problemsOf([wave({ kind: 'share-of-devices', percent: 0 }), wave({ kind: 'rest' })])).toHaveLength(1);
    expect(problemsOf([{ ...wave({ kind: 'one-unit' }), bakeHours: 3 }, wave({ kind: 'rest' })])).toHaveLength(1);
  });
});
