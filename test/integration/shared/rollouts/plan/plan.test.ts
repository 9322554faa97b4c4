import { BatchWriteCommand } from '@aws-sdk/lib-dynamodb';
import { auditRecord } from '../../../../../shared/audit/record.ts';
import { readTrail } from '../../../../../shared/audit/store.ts';
import type { Item } from '../../../../../shared/aws/errors.ts';
import { type Device, DeviceClass, deviceIdOf, Lifecycle } from '../../../../../shared/devices/device.ts';
import { devicePartition } from '../../../../../shared/devices/keys.ts';
import { headItem } from '../../../../../shared/devices/store.ts';
import { AcuityTier } from '../../../../../shared/places/place.ts';
import { PlaceStore } from '../../../../../shared/places/store.ts';
import { defaultWaves } from '../../../../../shared/rollouts/gate/wave-definition.ts';
import { executionSortKey, rolloutPartition } from '../../../../../shared/rollouts/keys.ts';
import { planningOf } from '../../../../../shared/rollouts/manage.ts';
import { candidateSource } from '../../../../../shared/rollouts/plan/candidate-source.ts';
import { approvalDigest, planDigest, planSites, type SitePlan } from '../../../../../shared/rollouts/plan/plan.ts';
import { PlanDamaged, PlanStore } from '../../../../../shared/rollouts/plan/plan-store.ts';
import { giveUpPlan, type Planner, runPlan } from '../../../../../shared/rollouts/plan/run-plan.ts';
import type { Candidate, Ineligibility } from '../../../../../shared/rollouts/plan/selection.ts';
import { summaryOf } from '../../../../../shared/rollouts/plan/site-summary.ts';
import { advanceRollout, type RolloutDefinition } from '../../../../../shared/rollouts/rollout.ts';
import {
  createRollout,
  getRollout,
  listSiteSummaries,
  type StoredRollout,
  saveRollout,
} from '../../../../../shared/rollouts/rollout-store.ts';
import { type DevicesTable, startDevicesTable } from '../../../../support/devices-table.ts';
import {
  memoryObjects,
  rolloutBegin,
  rolloutDefinition,
  storedExecution,
  storedRollout,
} from '../../../../support/rollouts.ts';

const now = new Date(rolloutBegin);
const ulid = (n: number): string => String(n).padStart(26, '0');
const siteIds = Array.from({ length: 8 }, (_, site) => `s-${ulid(site)}`);
const tiers = Object.values(AcuityTier);
const unitIdOf = (site: number, tier: number): string => `u-${ulid(site * 10 + tier)}`;
const lab = unitIdOf(0, 3);

const definition = rolloutDefinition({
  selection: {
    classes: [DeviceClass.InfusionPump],
    models: ['Infuse LV-8'],
    tags: ['platform:iomt'],
    versions: { from: '9.0', below: '9.5.0' },
  },
  waves: defaultWaves([lab]),
  order: 'risk-first',
});

/** A device of the test's network: what is stored of it, and what planning must make of that. */
interface Known {
  readonly device: Device;
  readonly inventory?: Readonly<Record<string, unknown>>;
  /** The rollout and kind of an execution that it has. */
  readonly execution?: { readonly rolloutId: string; readonly kind: string; readonly ended: boolean };
  readonly reason?: Ineligibility;
  /** Whether the rollout is for it at all. */
  readonly selected: boolean;
  readonly candidate: Candidate;
}

/** How the devices differ: every twentieth is of the same kind. */
function known(n: number): Known {
  const variant = n % 20;
  const site = Math.floor(n / 20) % siteIds.length;
  const tier = Math.floor(n / 160) % tiers.length;
  const nowhere = n >= 1_990;
  const unplaced = variant === 1;
  const goneUnit = variant === 8 && n % 100 === 8;
  const deviceClass = n % 160 === 9 ? DeviceClass.Ventilator : DeviceClass.InfusionPump;
  const otherModel = variant === 10;
  const revision = n % 3 === 0 ? 'A' : 'B/2';
  const versions: Record<number, string | undefined> = { 2: 'v9.5', 3: undefined, 4: '8.9.9' };
  const version = variant in versions ? versions[variant] : '9.4.2';
  const model = otherModel ? 'Infuse S-2' : 'Infuse LV-8';
  const compliance = n % 4 === 0 ? 'not-compliant' : n % 4 === 1 ? 'compliant' : undefined;
  const id = deviceIdOf(`PLAN-${n}`);
  const unitId = unplaced || nowhere ? undefined : goneUnit ? `u-${ulid(999)}` : unitIdOf(site, tier);
  const place = {
    ...(nowhere ? {} : { siteId: siteIds[site] ?? '' }),
    ...(unitId === undefined ? {} : { unitId }),
  };
  const device: Device = {
    ...{ id, serial: `PLAN-${n}`, platform: 'iomt', class: deviceClass, ownership: 'organization', ...place },
    lifecycle: variant === 0 ? Lifecycle.Expected : Lifecycle.Enrolled,
    // Half of them were never registered with a model: then the inventory says it.
    ...(n % 2 === 0 ? { model } : {}),
    ...(compliance === undefined ? {} : { compliance }),
    ...{ createdAt: now.toISOString(), desiredVersion: 0, queueSeq: 0, version: 1 },
  };
  const inventory = {
    ...{ model, hardwareRevision: revision, notes: 'x'.repeat(300) },
    ...(version === undefined ? {} : { os: { name: 'Infuse firmware', version } }),
  };
  const execution =
    variant === 5 || variant === 6
      ? { rolloutId: 'ro-other', kind: 'firmware', ended: variant === 6 }
      : variant === 7
        ? { rolloutId: 'ro-other', kind: 'app', ended: false }
        : undefined;
  const reasons: Record<number, Ineligibility> = {
    ...{ 0: 'not-enrolled', 1: 'not-placed', 2: 'already-there' },
    ...{ 3: 'version-unknown', 4: 'version-out-of-range', 5: 'other-rollout' },
  };
  const reason = variant === 0 ? 'not-enrolled' : nowhere || goneUnit ? 'not-placed' : reasons[variant];
  const isPlaced = unitId !== undefined && !goneUnit;
  return {
    device,
    inventory,
    ...(execution === undefined ? {} : { execution }),
    ...(reason === undefined ? {} : { reason }),
    selected: deviceClass === DeviceClass.InfusionPump && !otherModel,
    candidate: {
      ...{ id, enrolled: variant !== 0, class: deviceClass, model, hardwareRevision: revision },
      ...(nowhere ? {} : { siteId: siteIds[site] ?? '' }),
      ...(isPlaced ? { unitId } : {}),
      unitType: isPlaced ? (tiers[tier] ?? '') : 'none',
      ...(version === undefined ? {} : { version }),
      tags: ['platform:iomt', 'ownership:organization'],
      riskScore: n % 4 === 0 ? 100 : n % 4 === 1 ? 0 : 50,
      ...(variant === 5 ? { busyWith: 'ro-other' } : {}),
    },
  };
}
const network = Array.from({ length: 2_000 }, (_, n) => known(n));

let tables: DevicesTable;
beforeAll(async () => {
  tables = await startDevicesTable();
  const places = new PlaceStore(tables.directory, tables.table);
  const record = (pk: string) =>
    auditRecord(pk, { actor: 'user:ada', action: 'CreatePlace', resource: 'place/x', outcome: 'allowed' }, now);
  const made = { createdAt: now.toISOString(), updatedAt: now.toISOString(), version: 1 };
  for (const [site, id] of siteIds.entries()) {
    await places.createSite(
      { id, name: `Hospital ${site}`, timeZone: 'America/Chicago', ...made },
      record(`SITE#${id}`),
    );
    for (const [tier, acuityTier] of tiers.entries()) {
      const unit = { id: unitIdOf(site, tier), siteId: id, name: `Unit ${tier}`, acuityTier, ...made };
      await places.createUnit(unit, record(`SITE#${id}`));
    }
  }
  const items = network.flatMap(({ device, inventory, execution }): Item[] => [
    headItem(device),
    ...(inventory === undefined
      ? []
      : [{ pk: devicePartition(device.id), sk: 'REPORT#inventory', hash: 'h', report: JSON.stringify(inventory) }]),
    ...(execution === undefined ? [] : [executionItem(device.id, execution)]),
  ]);
  for (let begin = 0; begin < items.length; begin += 25) {
    const requests = items.slice(begin, begin + 25).map((item) => ({ PutRequest: { Item: item } }));
    await tables.table.client.send(new BatchWriteCommand({ RequestItems: { [tables.table.name]: requests } }));
  }
});
afterAll(() => tables[Symbol.asyncDispose]());

const executionItem = (deviceId: string, { rolloutId, kind, ended }: NonNullable<Known['execution']>): Item => ({
  ...storedExecution(deviceId, { rolloutId, artifactKind: kind, ...(ended ? { status: { state: 'succeeded' } } : {}) }),
  ...{ pk: devicePartition(deviceId), sk: executionSortKey(kind) },
});

/** The plan that the pure planner makes of what is known of the network. */
async function expectedPlans(rolloutId: string, of: RolloutDefinition = definition): Promise<SitePlan[]> {
  const devices = network
    .map(({ candidate }) => candidate)
    .sort((a, b) => ((a.siteId ?? '~') < (b.siteId ?? '~') ? -1 : 1));
  const { selection, waves, order, artifact } = of;
  const plans: SitePlan[] = [];
  const request = { rolloutId, selection, target: artifact.version, waves, order };
  for await (const site of planSites(request, () => devices)) plans.push(site);
  return plans;
}

class Killed extends Error {}

/** A planner whose bucket is in memory. */
function plannerWith(more: Partial<Planner> = {}) {
  const objects = memoryObjects();
  const planner: Planner = {
    directory: tables.directory,
    plans: new PlanStore(objects),
    devicesOf: (rollout) => candidateSource({ devices: tables.table, directory: tables.directory }, rollout.definition),
    now: () => now,
    hasTime: () => true,
    ...more,
  };
  return { objects, planner };
}

let count = 0;
/** A rollout that somebody asked a plan for. */
async function planning(of = definition): Promise<StoredRollout> {
  count += 1;
  const draft = storedRollout(`ro-${ulid(count)}`, of);
  const record = (action: string) =>
    auditRecord(
      rolloutPartition(draft.id),
      { actor: 'user:ada', action, resource: `rollout/${draft.id}`, outcome: 'allowed' },
      now,
    );
  await createRollout(tables.directory, draft, record('CreateRollout'));
  const asked = planningOf(draft);
  await saveRollout(tables.directory, draft, asked, [record('RequestPlan')]);
  return asked;
}
const orderOf = ({ id, version }: StoredRollout) => ({ rolloutId: id, version });

/** What anybody sees of the plan afterwards. */
async function seen(id: string) {
  return { rollout: await getRollout(tables.directory, id), sites: await listSiteSummaries(tables.directory, id) };
}

describe('runPlan', () => {
  test('2,000 devices at eight sites: who comes when, who takes no part and why', async () => {
    const asked = await planning();
    const { planner, objects } = plannerWith();
    tables.requests();
    const end = await runPlan(planner, orderOf(asked));
    const requests = tables.requests();

    const eligible = network.filter(({ selected, reason }) => selected && reason === undefined);
    const excluded = network.filter(({ selected, reason }) => selected && reason !== undefined);
    expect(end).toEqual({ outcome: 'planned', sites: 8, devices: eligible.length, ineligible: excluded.length });
    expect(new Set(excluded.map(({ reason }) => reason)).size).toBe(6);

    const { rollout, sites } = await seen(asked.id);
    const { outcome: _outcome, ...counts } = end as Extract<typeof end, { outcome: 'planned' }>;
    expect(rollout).toMatchObject({ state: 'planned', plan: { state: 'done', ...counts }, version: asked.version + 1 });
    expect(rollout?.waves.reduce((sum, wave) => sum + wave.devices, 0)).toBe(eligible.length);
    expect(rollout?.digest).toBe(approvalDigest(definition, sites));

    // Each device is where the pure planner puts it, and everything says so.
    const plans = await expectedPlans(asked.id);
    expect(plans).toHaveLength(9);
    for (const plan of plans) {
      const summary = sites.find(({ siteId }) => siteId === plan.siteId);
      const stored = await planner.plans.get(asked.id, plan.siteId, summary?.digest ?? '');
      expect({ ...stored, ineligible: byId(stored.ineligible) }).toEqual({
        ...plan,
        ineligible: byId(plan.ineligible),
      });
      expect({ ...summary, units: new Set(summary?.units) }).toEqual({
        ...summaryOf(asked.id, plan),
        units: new Set(plan.units),
      });
    }
    const planned = plans.flatMap(({ waves }) => waves.flat().map(({ id }) => id));
    expect(planned.sort()).toEqual(eligible.map(({ device }) => device.id).sort());
    const reasons = Object.fromEntries(
      plans.flatMap(({ ineligible }) => ineligible.map(({ id, reason }) => [id, reason])),
    );
    expect(reasons).toEqual(Object.fromEntries(excluded.map(({ device, reason }) => [device.id, reason])));
    expect(objects.contents.size).toBe(9);

    // Everything is read once, in few requests: pages of the index, and 33 devices at once.
    const pages = requests.filter(({ operation }) => operation === 'Query').length;
    const batches = requests.filter(({ operation }) => operation === 'BatchGetItem').length;
    expect(pages).toBe(9);
    expect(batches).toBeLessThanOrEqual(Math.ceil(2_000 / 33) + 9);
    const { items } = await readTrail(tables.directory, rolloutPartition(asked.id), 10);
    expect(items.find(({ action }) => action === 'PlanRollout')).toMatchObject({
      ...{ actor: 'system:plan-rollout', outcome: 'allowed' },
      after: { state: 'planned', digest: rollout?.digest },
    });
  });

  test('only the named sites and units are read, and counted', async () => {
    const [, one = ''] = siteIds;
    const unitIds = [unitIdOf(1, 2), unitIdOf(3, 0)];
    const atSites = { ...definition, selection: { ...definition.selection, siteIds: [one] } };
    const inUnits = { ...definition, selection: { ...definition.selection, unitIds } };
    for (const [of, matches] of [
      [atSites, ({ candidate }: Known) => candidate.siteId === one],
      [inUnits, ({ candidate }: Known) => unitIds.includes(candidate.unitId ?? '')],
    ] as const) {
      const asked = await planning(of);
      const { planner } = plannerWith();
      const expected = network.filter((device) => matches(device) && device.selected && device.reason === undefined);
      expect(await runPlan(planner, orderOf(asked))).toMatchObject({ outcome: 'planned', devices: expected.length });
      const { sites } = await seen(asked.id);
      const plans = (await expectedPlans(asked.id, of)).filter(({ siteId }) =>
        sites.some((site) => site.siteId === siteId),
      );
      expect(planDigest(sites)).toBe(planDigest(plans));
      expect(sites.flatMap(({ units }) => units.map(({ inUnit }) => inUnit)).every((devices) => devices > 1)).toBe(
        true,
      );
    }
  });

  test('a planner may die at any step; the order that comes again ends in the same plan', async () => {
    const asked = await planning();
    const before = await seen(asked.id);
    const network: Candidate[] = [];
    const source = candidateSource({ devices: tables.table, directory: tables.directory }, definition);
    for await (const device of source()) network.push(device);
    const fromMemory = plannerWith({ devicesOf: () => () => network });
    // Nine plans, one transaction of summaries, the rollout: each of them fails once, before or after it is done.
    for (const late of [false, true]) {
      for (let step = 0; step < 11 - Number(late); step += 1) {
        let steps = 0;
        const die = (after: boolean) => {
          if (steps === step && after === late) throw new Killed();
        };
        const { planner, objects } = fromMemory;
        const plans = new PlanStore({
          ...objects,
          put: async (key, content) => {
            die(false);
            await objects.put(key, content);
            die(true);
            steps += 1;
          },
        });
        const directory = dying(tables.directory, die, () => {
          steps += 1;
        });
        await expect(runPlan({ ...planner, plans, directory }, orderOf(asked))).rejects.toThrow(Killed);
        expect((await seen(asked.id)).rollout).toEqual(before.rollout);
      }
    }
    const { planner } = plannerWith();
    expect(await runPlan(planner, orderOf(asked))).toMatchObject({ outcome: 'planned', sites: 8 });
    const { rollout, sites } = await seen(asked.id);
    expect(rollout?.digest).toBe(approvalDigest(definition, await expectedPlans(asked.id)));
    expect(approvalDigest(definition, sites)).toBe(rollout?.digest);
    // The queue delivers at least once.
    expect(await runPlan(planner, orderOf(asked))).toEqual({ outcome: 'overtaken' });
    expect(await seen(asked.id)).toEqual({ rollout, sites });
  });

  test('a planner that is overtaken by an edit changes nothing', async () => {
    const asked = await planning();
    const { planner } = plannerWith();
    await runPlan(planner, orderOf(asked));
    const first = await seen(asked.id);
    if (first.rollout === undefined) throw new Error('There is no rollout.');
    const again = planningOf(first.rollout);
    await saveRollout(tables.directory, first.rollout, again, []);
    const edited = rolloutDefinition({ ...definition, name: 'Another' });
    const meanwhile = plannerWith({
      // When all devices are read, somebody changes the rollout.
      devicesOf: (rollout) => {
        const source = candidateSource({ devices: tables.table, directory: tables.directory }, rollout.definition);
        return async function* read() {
          yield* source();
          const next = advanceRollout(again, { kind: 'edit', definition: edited }, again.version, now.getTime());
          if (!next.ok) throw new Error(next.reason);
          await saveRollout(tables.directory, again, next.value, []);
        };
      },
    });
    expect(await runPlan(meanwhile.planner, orderOf(again))).toEqual({ outcome: 'overtaken' });
    const after = await seen(asked.id);
    expect(after.sites).toEqual(first.sites);
    expect(after.rollout).toMatchObject({ state: 'draft', definition: { name: 'Another' } });
    expect(after.rollout?.plan).toBeUndefined();
  });

  test('another plan takes the place of the first, sites that are left out included', async () => {
    const asked = await planning();
    const { planner } = plannerWith();
    await runPlan(planner, orderOf(asked));
    const { rollout } = await seen(asked.id);
    if (rollout === undefined) throw new Error('There is no rollout.');
    const [only = ''] = siteIds;
    const narrower = { ...definition, selection: { ...definition.selection, siteIds: [only] } };
    const next = advanceRollout(rollout, { kind: 'edit', definition: narrower }, rollout.version, now.getTime());
    if (!next.ok) throw new Error(next.reason);
    await saveRollout(tables.directory, rollout, next.value, []);
    const draft = { ...next.value, createdAt: rollout.createdAt };
    await saveRollout(tables.directory, draft, planningOf(draft), []);
    expect(await runPlan(planner, orderOf(planningOf(draft)))).toMatchObject({ outcome: 'planned', sites: 1 });
    expect((await seen(asked.id)).sites.map(({ siteId }) => siteId)).toEqual([only]);
  });
});

describe('no plan', () => {
  test.each<[string, Partial<RolloutDefinition['selection']>, Partial<Planner>, string]>([
    ['nobody is selected', { models: ['Nothing'] }, {}, 'No device is selected.'],
    [
      'nobody can take part',
      { versions: { below: '1.0' } },
      {},
      'Devices are selected, but none of them can take part: 100 not-enrolled, 129 not-placed',
    ],
    ['there is no time', {}, { hasTime: () => false }, 'There are too many devices for one plan.'],
  ])('when %s, with the reason in words', async (_when, selection, means, words) => {
    const asked = await planning({ ...definition, selection: { ...definition.selection, ...selection } });
    const { planner } = plannerWith(means);
    expect(await runPlan(planner, orderOf(asked))).toMatchObject({
      outcome: 'failed',
      problem: expect.stringContaining(words),
    });
    const { rollout, sites } = await seen(asked.id);
    expect(rollout).toMatchObject({
      state: 'draft',
      plan: { state: 'failed', problem: expect.stringContaining(words) },
    });
    expect(sites).toEqual([]);
    const { items } = await readTrail(tables.directory, rolloutPartition(asked.id), 10);
    expect(items.find(({ action }) => action === 'PlanRollout')).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining(words),
    });
    // It may be asked for again.
    expect(rollout === undefined ? undefined : planningOf(rollout).plan).toMatchObject({ state: 'planning' });
  });

  test('an order that cannot be carried out is given up once', async () => {
    const asked = await planning();
    const { planner } = plannerWith();
    expect(await giveUpPlan(planner, orderOf(asked), 'It did not work.')).toMatchObject({ outcome: 'failed' });
    expect((await seen(asked.id)).rollout?.plan).toMatchObject({ state: 'failed', problem: 'It did not work.' });
    expect(await giveUpPlan(planner, orderOf(asked), 'It did not work.')).toEqual({ outcome: 'overtaken' });
    expect(await runPlan(planner, orderOf(asked))).toEqual({ outcome: 'overtaken' });
    expect(await runPlan(planner, { rolloutId: 'ro-nothing', version: 1 })).toEqual({ outcome: 'overtaken' });
  });

  test('a stored plan that somebody changed is not rolled out', async () => {
    const asked = await planning();
    const { planner, objects } = plannerWith();
    await runPlan(planner, orderOf(asked));
    const [, summary] = (await seen(asked.id)).sites;
    if (summary === undefined) throw new Error('There is no plan.');
    const read = () => planner.plans.get(asked.id, summary.siteId, summary.digest);
    const plan = await read();
    const [first, ...others] = plan.waves;
    const changed = { ...plan, waves: [...others, first] };
    await objects.put(summary.objectKey, JSON.stringify(changed));
    await expect(read()).rejects.toThrow(PlanDamaged);
    objects.contents.delete(summary.objectKey);
    await expect(read()).rejects.toThrow('is not there');
  });
});

const byId = <Entry extends { readonly id: string }>(entries: readonly Entry[]): Entry[] =>
  [...entries].sort((a, b) => (a.id < b.id ? -1 : 1));

/** A table whose writes `die` before or after they are done. */
function dying(
  table: DevicesTable['directory'],
  die: (after: boolean) => void,
  done: () => void,
): DevicesTable['directory'] {
  const send = async (command: { readonly constructor: { readonly name: string } }) => {
    const writes = command.constructor.name === 'TransactWriteCommand';
    if (writes) die(false);
    const answer = await table.client.send(command as Parameters<typeof table.client.send>[0]);
    if (writes) die(true);
    if (writes) done();
    return answer;
  };
  return { name: table.name, client: { send } as unknown as typeof table.client };
}
