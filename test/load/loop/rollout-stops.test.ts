import { defaultGate, gateFor } from '../../../shared/rollouts/gate/gate.ts';
import { eventually } from '../../support/loop-cloud.ts';
import { firmware, mostAtOnce, RolloutNetwork, type RolloutShown, type Ward } from '../../support/rollout-network.ts';

/** Rollouts that do not go as planned: a gate that stops or holds, people who pause, leave out a site, abort and go back. */
let network: RolloutNetwork;
let first: Ward;
let second: Ward;

const bad = '3.0-bad';

beforeAll(async () => {
  network = await RolloutNetwork.start([
    { site: 'North', devices: 4, keep: 1, broken: { by: bad, count: 2 } },
    { site: 'South', devices: 4, keep: 3 },
  ]);
  const [north, south] = network.wards;
  if (north === undefined || south === undefined) throw new Error('no wards');
  first = north;
  second = south;
  await network.speed(60);
}, 300_000);
afterAll(() => network?.[Symbol.asyncDispose]());

/** Two waves: the ward in the north with this gate, then the south. */
const twoWards = (version: string, gate = gateFor(0.5)) =>
  firmware(version, {
    waves: [
      { name: 'North', scope: { kind: 'units', unitIds: [first.unitId] }, gate },
      { name: 'South', scope: { kind: 'rest' }, gate: gateFor(0.5) },
    ],
  });

/** Devices in one of these states, over all waves. */
const inStates = ({ counts }: RolloutShown, ...states: string[]): number =>
  states.reduce((sum, state) => sum + (counts.states[state] ?? 0), 0);

async function expectNothingLeft(id: string): Promise<void> {
  await eventually(
    () => network.leftovers(id),
    ({ waits, away }) => waits === 0 && away.length === 0,
  );
}

test('a version that breaks a monitor is stopped by the gate before anybody else gets it, and goes back', async () => {
  const id = await network.started(twoWards(bad));
  const stopped = await network.until(id, ({ state }) => state === 'paused', 120);
  expect(stopped).toMatchObject({ paused: { by: 'gate' }, stopped: expect.stringMatching(/failed/) });
  expect(stopped.waves.map(({ state }) => state)).toEqual(['failed', 'pending']);
  expect((await network.api('POST', `/v1/rollouts/${id}/resume`)).status).toBe(409);
  for (const device of second.devices) expect(await network.updates(id, device)).toEqual([]);

  await network.made('POST', `/v1/rollouts/${id}/roll-back`, { reason: 'it broke a monitor' });
  const over = await network.until(id, ({ state }) => state.startsWith('roll') && state !== 'rolling-back', 120);
  expect(over.state).toBe('rolled-back');
  // Those that ran it have their version again; those that it broke went back by themselves.
  const ran = first.devices.filter(({ versions }) => versions.length > 0);
  for (const { versions } of ran) expect(versions).toEqual([bad, '1.0']);
  for (const device of network.devices) expect(await network.versionOf(device)).toBe('1.0');
  expect(over.back?.states['succeeded'] ?? 0).toBe(ran.length);
  const executions = await network.executions(id);
  expect(executions.filter(({ state }) => state === 'rolled-back').length).toBeGreaterThan(0);
  expect(executions.filter(({ direction }) => direction === 'back')).toHaveLength(ran.length);
  expect(mostAtOnce(first)).toBeLessThanOrEqual(first.budget);
  await expectNothingLeft(id);
  const story = (await network.timeline(id)).map(({ words }) => words).join('\n');
  expect(story).toMatch(/Wave "North" is failed: .* It is now paused\./);
  expect(story).toContain('user:ada.admin began the way back. Reason: it broke a monitor. It is now rolling-back.');
  expect(story).toContain('found all devices back. It is now rolled-back.');
}, 300_000);

test('too little evidence holds; a person promotes it; pause lets nobody in; abort withdraws who has not begun', async () => {
  const id = await network.started(twoWards('4.0', defaultGate));
  const held = await network.until(id, ({ waves }) => waves[0]?.state === 'held', 120);
  // 55 clean devices promote this gate, and the ward has four.
  expect(held.waves[0]).toMatchObject({
    words: expect.stringMatching(/51 more/),
    gate: { missing: { comeThrough: 51 } },
  });
  const promotion = { wave: 0, reason: 'Four is all there is.' };
  expect((await network.api('POST', `/v1/rollouts/${id}/promote`, promotion)).status).toBe(409);
  await network.skip(25 * 3_600_000);
  await network.made('POST', `/v1/rollouts/${id}/promote`, promotion);

  await network.until(id, (rollout) => inStates(rollout, 'activating', 'verifying') > 0, 120);
  await network.made('POST', `/v1/rollouts/${id}/pause`, { reason: 'an emergency' });
  const pausedAt = (await network.timeline(id)).find(({ action }) => action === 'PauseRollout')?.at ?? '';
  // What was begun is finished, and for a while nobody else begins.
  await network.until(id, (rollout) => inStates(rollout, 'activating', 'verifying') === 0, 60);
  await network.skip(3_600_000);
  await new Promise((done) => setTimeout(done, 3_000));
  expect(await deliveriesAfter(id, pausedAt)).toEqual([]);
  const waiting = (await network.executions(id)).filter(({ state }) => state !== 'succeeded');
  expect(waiting).toHaveLength(3);
  for (const device of waiting)
    expect(device).toMatchObject({ words: expect.stringContaining('an emergency'), until: expect.any(String) });

  await network.made('POST', `/v1/rollouts/${id}/resume`);
  await network.until(id, (rollout) => inStates(rollout, 'activating', 'verifying') > 0, 120);
  await network.made('POST', `/v1/rollouts/${id}/abort`, { reason: 'enough' });
  const aborted = await network.until(id, ({ state }) => state === 'aborted', 120);
  expect(aborted.counts.states).toEqual({ succeeded: 6, cancelled: 2 });
  expect(second.devices.map(({ versions }) => versions.join()).sort()).toEqual(['', '', '4.0', '4.0']);
  await expectNothingLeft(id);
}, 400_000);

test('a site that is left out gets nothing; what was completed without it can still be brought back', async () => {
  const versions = second.devices.map((device) => [...device.versions]);
  const id = await network.started(twoWards('5.0'));
  await network.made('POST', `/v1/rollouts/${id}/skip-site`, { siteId: second.siteId, reason: 'they move house' });
  const done = await network.until(id, ({ state }) => state === 'completed', 240);
  expect(done.waves.map(({ state }) => state)).toEqual(['promoted', 'skipped']);
  expect(done.counts.states).toEqual({ succeeded: first.devices.length });
  for (const device of first.devices) expect(await network.versionOf(device)).toBe('5.0');
  for (const device of second.devices) expect(await network.updates(id, device)).toEqual([]);
  expect(second.devices.map((device) => device.versions)).toEqual(versions);
  await expectNothingLeft(id);

  await network.made('POST', `/v1/rollouts/${id}/roll-back`, { reason: 'its alarms are too quiet' });
  const back = await network.until(id, ({ state }) => state === 'rolled-back', 180);
  expect(back.back?.states).toEqual({ succeeded: first.devices.length });
  for (const device of first.devices) {
    expect(device.versions.slice(-2)).toEqual(['5.0', '4.0']);
    expect(await network.versionOf(device)).toBe('4.0');
  }
  const words = (await network.executions(id))
    .filter(({ direction }) => direction === 'back')
    .map((each) => each.words);
  expect(new Set(words)).toEqual(new Set(['It has the version before again, and works.']));
  expect(mostAtOnce(first)).toBeLessThanOrEqual(first.budget);
  await expectNothingLeft(id);
}, 300_000);

/** When devices were handed an activation after this time. */
async function deliveriesAfter(id: string, time: string): Promise<string[]> {
  const handedOut = await Promise.all(network.devices.map((device) => network.handOuts(id, device)));
  return handedOut.flat().filter((at) => at > time);
}
