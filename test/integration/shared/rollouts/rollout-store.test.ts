import { auditRecord } from '../../../../shared/audit/record.ts';
import { readTrail } from '../../../../shared/audit/store.ts';
import type { Table } from '../../../../shared/aws/dynamodb.ts';
import { DeviceClass } from '../../../../shared/devices/device.ts';
import { rolloutPartition } from '../../../../shared/rollouts/keys.ts';
import { deleteWait, listWaits, putWait, type Wait } from '../../../../shared/rollouts/machines/wait-store.ts';
import { planKey, type SiteSummary } from '../../../../shared/rollouts/plan/site-summary.ts';
import type { RolloutState } from '../../../../shared/rollouts/rollout.ts';
import {
  createRollout,
  forgetEnded,
  getRollout,
  getSiteSummary,
  ItemTooLarge,
  listActiveRollouts,
  listEndedRollouts,
  listRollouts,
  listSiteSummaries,
  putSiteSummaries,
  type StoredRollout,
  saveRollout,
} from '../../../../shared/rollouts/rollout-store.ts';
import { rolloutBegin, rolloutDefinition, storedRollout } from '../../../support/rollouts.ts';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.ts';

let database: TestDatabase;
let directory: Table;
beforeAll(async () => {
  database = await startTestDatabase();
});
beforeEach(async () => {
  directory = await database.table('byKind');
});
afterAll(() => database.stop());

const audit = (id: string, action = 'CreateRollout') =>
  auditRecord(
    rolloutPartition(id),
    { actor: 'user:ada', action, resource: `rollout/${id}`, outcome: 'allowed' },
    new Date(rolloutBegin),
  );

/** One version on, in this state. */
const to = (rollout: StoredRollout, state: RolloutState): StoredRollout => ({
  ...rollout,
  state,
  version: rollout.version + 1,
});

describe('rollouts', () => {
  test('each change comes with its record, and only on the version that it was decided on', async () => {
    const draft = storedRollout('ro-1');
    expect(await getRollout(directory, 'ro-1')).toBeUndefined();
    await createRollout(directory, draft, audit('ro-1'));
    await expect(createRollout(directory, draft, audit('ro-1'))).rejects.toThrow();
    expect(await getRollout(directory, 'ro-1')).toEqual(draft);
    const plan = { state: 'planning', sites: 0, devices: 0, ineligible: 0 } as const;
    const changes = [
      { ...to(draft, 'draft'), plan },
      { ...to(draft, 'rejected'), createdAt: 'is kept as it was' },
    ];
    const saved = await Promise.all(
      changes.map((after) => saveRollout(directory, draft, after, [audit('ro-1', 'PlanRollout')])),
    );
    expect([...saved].sort()).toEqual([false, true]);
    const winner = changes[saved.indexOf(true)];
    expect(await getRollout(directory, 'ro-1')).toEqual({ ...winner, createdAt: draft.createdAt });
    const { items } = await readTrail(directory, rolloutPartition('ro-1'), 10);
    expect(items.map(({ action }) => action).sort()).toEqual(['CreateRollout', 'PlanRollout']);
  });

  test('are listed newest first, page by page', async () => {
    for (const [index, id] of ['ro-a', 'ro-b', 'ro-c', 'ro-d', 'ro-e'].entries()) {
      await createRollout(
        directory,
        storedRollout(id, rolloutDefinition(), rolloutBegin + (index >> 1) * 1_000),
        audit(id),
      );
    }
    const pages: string[][] = [];
    let after: string | undefined;
    do {
      const page = await listRollouts(directory, 2, after);
      pages.push(page.items.map(({ id }) => id));
      after = page.after;
    } while (after !== undefined);
    expect(pages).toEqual([['ro-e', 'ro-d'], ['ro-c', 'ro-b'], ['ro-a']]);
  });

  test('those that time or devices may change are known without a look at the others', async () => {
    const states: readonly RolloutState[] = [
      ...(['planned', 'awaiting-approval', 'scheduled', 'running', 'paused', 'soaking', 'completed'] as const),
      ...(['rolling-back', 'rolled-back'] as const),
    ];
    let rollout = storedRollout('ro-1');
    await createRollout(directory, rollout, audit('ro-1'));
    await createRollout(directory, storedRollout('ro-2'), audit('ro-2'));
    const seen: (RolloutState | undefined)[] = [];
    for (const state of states) {
      const after = to(rollout, state);
      expect(await saveRollout(directory, rollout, after, [])).toBe(true);
      rollout = after;
      const active = await listActiveRollouts(directory);
      if (active.length > 0) expect(active).toEqual([rollout]);
      seen.push(active[0]?.state);
      const ended = await listEndedRollouts(directory);
      expect(ended).toEqual(state === 'completed' || state === 'rolled-back' ? [rollout] : []);
    }
    const [planned, ...begun] = states;
    expect([planned, seen[0]]).toEqual(['planned', undefined]);
    const ended: readonly RolloutState[] = ['completed', 'rolled-back'];
    expect(seen.slice(1)).toEqual(begun.map((state) => (ended.includes(state) ? undefined : state)));
    // Only what is as it was seen is forgotten.
    await forgetEnded(directory, { ...rollout, version: rollout.version - 1 });
    expect(await listEndedRollouts(directory)).toEqual([rollout]);
    await forgetEnded(directory, rollout);
    await forgetEnded(directory, rollout);
    expect(await listEndedRollouts(directory)).toEqual([]);
  });

  test('one that names more than an item may hold is refused', async () => {
    const unitIds = Array.from({ length: 4_000 }, (_, index) => `u-${String(index).padStart(26, '0')}`);
    const large = storedRollout('ro-1', rolloutDefinition({ selection: { unitIds } }));
    await expect(createRollout(directory, large, audit('ro-1'))).rejects.toThrow(ItemTooLarge);
    expect(await getRollout(directory, 'ro-1')).toBeUndefined();
  });
});

describe('summaries of sites', () => {
  const none = {
    ...{ 'not-enrolled': 0, 'not-placed': 0, 'already-there': 0 },
    ...{ 'version-unknown': 0, 'version-out-of-range': 0, 'other-rollout': 0, moved: 0 },
  };
  const summary = (siteId: string, more: Partial<SiteSummary> = {}): SiteSummary => ({
    ...{ siteId, digest: 'f'.repeat(64), devices: [0, 2, 1], ineligible: { ...none, 'already-there': 3 } },
    units: [
      { wave: 1, unitId: 'u-1', class: DeviceClass.InfusionPump, devices: 1, inUnit: 4 },
      { wave: 1, unitId: 'u-1', class: DeviceClass.Ventilator, devices: 1, inUnit: 2 },
      { wave: 2, unitId: 'u-1', class: DeviceClass.InfusionPump, devices: 1, inUnit: 4 },
    ],
    objectKey: planKey('ro-1', siteId, 'f'.repeat(64)),
    ...more,
  });
  beforeEach(() => createRollout(directory, storedRollout('ro-1'), audit('ro-1')));

  test('come in the place of those of an earlier plan, also for devices without a site', async () => {
    const sites = Array.from({ length: 70 }, (_, index) => summary(`s-${String(index).padStart(2, '0')}`));
    expect(await putSiteSummaries(directory, 'ro-1', 1, [...sites, summary('')])).toBe(true);
    expect(await listSiteSummaries(directory, 'ro-1')).toEqual([summary(''), ...sites]);
    expect(await getSiteSummary(directory, 'ro-1', 's-07')).toEqual(summary('s-07'));
    expect(await getSiteSummary(directory, 'ro-1', '')).toEqual(summary(''));
    const other = summary('s-07', { digest: '0'.repeat(64), devices: [1] });
    expect(await putSiteSummaries(directory, 'ro-1', 1, [other])).toBe(true);
    expect(await listSiteSummaries(directory, 'ro-1')).toEqual([other]);
  });

  test('of a planner that was overtaken change nothing', async () => {
    await putSiteSummaries(directory, 'ro-1', 1, [summary('s-1')]);
    const draft = storedRollout('ro-1');
    await saveRollout(directory, draft, to(draft, 'planned'), []);
    expect(await putSiteSummaries(directory, 'ro-1', 1, [summary('s-2')])).toBe(false);
    expect(await listSiteSummaries(directory, 'ro-1')).toEqual([summary('s-1')]);
  });

  test('a site with a hundred units of four classes in twenty waves has room; one with ten times as many is refused', async () => {
    const site = (units: number) =>
      summary('s-1', {
        units: Array.from({ length: units }, (_, unit) =>
          Object.values(DeviceClass)
            .slice(0, 4)
            .flatMap((deviceClass) =>
              Array.from({ length: 20 }, (_wave, wave) => ({
                ...{ wave, unitId: `u-${String(unit).padStart(26, '0')}`, class: deviceClass },
                ...{ devices: 10 + wave, inUnit: 500 },
              })),
            ),
        ).flat(),
      });
    expect(await putSiteSummaries(directory, 'ro-1', 1, [site(100)])).toBe(true);
    expect((await getSiteSummary(directory, 'ro-1', 's-1'))?.units).toHaveLength(100 * 4 * 20);
    await expect(putSiteSummaries(directory, 'ro-1', 1, [site(1_000)])).rejects.toThrow(ItemTooLarge);
  });
});

describe('waits', () => {
  const wait = (more: Partial<Wait> = {}): Wait => ({
    ...{ rolloutId: 'ro-1', siteId: 's-1', step: 'monitor', wave: 0, token: 'first' },
    since: new Date(rolloutBegin).toISOString(),
    ...more,
  });

  test('the newest token of a site and step counts; forgetting an older one leaves it', async () => {
    const finish: Wait = { rolloutId: 'ro-1', step: 'finish', token: 'whole', since: wait().since };
    const newer = wait({ wave: 1, token: 'second' });
    const window = wait({ step: 'window', token: 'third' });
    for (const one of [wait(), finish, window, newer]) await putWait(directory, one);
    expect(await listWaits(directory, 'ro-1')).toEqual([finish, newer, window]);
    await deleteWait(directory, wait());
    expect(await listWaits(directory, 'ro-1')).toHaveLength(3);
    await deleteWait(directory, newer);
    await deleteWait(directory, newer);
    expect(await listWaits(directory, 'ro-1')).toEqual([finish, window]);
    expect(await listWaits(directory, 'ro-2')).toEqual([]);
  });
});
