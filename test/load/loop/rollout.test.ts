import { eventually } from '../../support/loop-cloud.ts';
import {
  type ExecutionShown,
  firmware,
  mostAtOnce,
  type NetworkDevice,
  RolloutNetwork,
  type RolloutShown,
} from '../../support/rollout-network.ts';

/** A whole rollout through the public doors: people on the management API, monitors on MQTT, time that passes fast. */
let network: RolloutNetwork;

beforeAll(async () => {
  network = await RolloutNetwork.start([
    { site: 'North', devices: 4, keep: 2 },
    { site: 'North', devices: 4, keep: 2 },
    // Not as the first unit: those are the least acute.
    { site: 'South', devices: 4, tier: 'T1', keep: 2 },
    { site: 'South', devices: 4, tier: 'T1', keep: 3, busy: 1 },
  ]);
  await network.speed(100);
}, 300_000);
afterAll(() => network?.[Symbol.asyncDispose]());

test('wave by wave, never more of a unit than it can spare, to the new version everywhere', async () => {
  const { id } = await network.made('POST', '/v1/rollouts', firmware('2.0'));
  await network.made('POST', `/v1/rollouts/${id}/plan`);
  const { digest } = await network.until(id, ({ state }) => state === 'planned');

  // The preview says exactly who comes when, and what each unit gives.
  const plan = await network.made<{
    waves: { devices: number; cleanDevicesToPromote: number }[];
    sites: { siteId: string; units: { unitId: string; wave: number; sparesBefore: number; atOnce: number }[] }[];
  }>('GET', `/v1/rollouts/${id}/plan`);
  expect(plan.waves.map(({ devices }) => devices)).toEqual([4, 4, 8]);
  const planned = new Map<string, number>();
  for (const { siteId, units } of plan.sites) {
    for (const unit of units) {
      const ward = network.wards.find(({ unitId }) => unitId === unit.unitId);
      expect(unit).toMatchObject({ sparesBefore: ward?.budget, atOnce: ward?.budget });
    }
    type Page = { items: { deviceId: string; wave: number }[] };
    const { items } = await network.made<Page>('GET', `/v1/rollouts/${id}/plan/sites/${siteId}`);
    for (const { deviceId, wave } of items) planned.set(deviceId, wave);
  }
  expect(new Set(planned.keys())).toEqual(new Set(network.devices.map((device) => device.id)));

  await network.made('POST', `/v1/rollouts/${id}/submit`);
  expect((await network.api('POST', `/v1/rollouts/${id}/approve`, { digest })).status).toBe(403);
  expect((await network.api('POST', `/v1/rollouts/${id}/start`)).status).toBe(409);
  await network.made('POST', `/v1/rollouts/${id}/approve`, { digest }, 'bob.biomed');
  await network.made('POST', `/v1/rollouts/${id}/start`);
  // Sent twice, started once.
  await network.made('POST', `/v1/rollouts/${id}/start`);

  // One is in use for hours: it waits, says why, and comes when it is free.
  const busy = network.devices.find(({ busyUntil }) => busyUntil !== undefined);
  let waiting: ExecutionShown | undefined;
  await network.until(
    id,
    async () => {
      waiting = (await network.executions(id)).find(({ deviceId }) => deviceId === busy?.id);
      return waiting?.reason === 'in-use';
    },
    180,
  );
  expect(waiting).toMatchObject({ outOfService: false, until: expect.any(String) });
  expect(waiting?.words).toMatch(/in use/);
  expect(busy?.versions).toEqual([]);

  const done = await network.until(id, ({ state }) => state === 'completed', 240);
  expect(done.waves.map(({ state }) => state)).toEqual(['promoted', 'promoted', 'promoted']);
  for (const device of network.devices) {
    expect(await network.versionOf(device)).toBe('2.0');
    expect(device).toMatchObject({ versions: ['2.0'] });
    expect(device.boots()).toBe(1);
  }

  const executions = await network.executions(id);
  expect(new Map(executions.map(({ deviceId, wave }) => [deviceId, wave]))).toEqual(planned);
  expect(executions.every(({ state, outOfService }) => state === 'succeeded' && !outOfService)).toBe(true);
  await eventually(
    () => network.rollout(id),
    ({ counts }) => counts.states['succeeded'] === network.devices.length,
  );
  expect(Object.values(done.counts.states).reduce((sum, count) => sum + count, 0)).toBe(network.devices.length);

  const [handedOut] = await network.handOuts(id, busy as NetworkDevice);
  expect(Date.parse(handedOut ?? '')).toBeGreaterThan(busy?.busyUntil ?? Number.POSITIVE_INFINITY);
  expectSparesKept();
  await expectWavesInOrder(id, done, planned);
  await eventually(
    () => network.leftovers(id),
    ({ waits }) => waits === 0,
  );
  expect(await network.leftovers(id)).toEqual({ waits: 0, away: [] });

  const timeline = await network.timeline(id);
  expect(timeline.map(({ action }) => action)).toEqual([
    ...[
      'CreateRollout',
      'RequestPlan',
      'PlanRollout',
      'SubmitRollout',
      'ApproveRollout',
      'ApproveRollout',
      'StartRollout',
    ],
    ...['JudgeWave', 'JudgeWave', 'JudgeWave', 'JudgeWave', 'JudgeWave', 'JudgeWave', 'CompleteRollout'],
  ]);
  const story = timeline.map(({ words }) => words).join('\n');
  expect(story).toContain('user:ada.admin tried ApproveRollout and was refused');
  expect(story).toContain('user:bob.biomed approved the plan. It is now scheduled.');
  expect(story).toMatch(/Wave "One unit" is baking until \d{4}-\d\d-\d\dT/);
  expect(story).toContain(
    'Wave "One unit" is promoted: 0 of 4 devices failed: 50 % is excluded. Wave "One site" is admitting.',
  );
}, 300_000);

/** I2, by what the devices did: what was away at the same moment is what the unit can spare, and not one more. */
function expectSparesKept(): void {
  for (const ward of network.wards) {
    for (const { absences } of ward.devices) expect(absences).toHaveLength(1);
    const most = mostAtOnce(ward);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(ward.budget);
  }
}

/** I6, by what was written: no device of a wave was told anything before the wave before it was promoted. */
async function expectWavesInOrder(
  id: string,
  { waves }: RolloutShown,
  planned: ReadonlyMap<string, number>,
): Promise<void> {
  for (const device of network.devices) {
    const before = waves[(planned.get(device.id) ?? 0) - 1]?.since ?? '';
    const [download, activate, ...more] = await network.updates(id, device);
    expect([download?.type, activate?.type, more]).toEqual(['download-update', 'activate-update', []]);
    expect(download?.history[0]?.at ?? '').toMatch(/^\d{4}-/);
    expect((download?.history[0]?.at ?? '') > before).toBe(true);
    expect(activate?.status).toBe('verified');
  }
}
