import { setTimeout as pause } from 'node:timers/promises';
import { seeded } from '../../../local/devices/seeded.ts';
import { openStore } from '../../../local/runtime/store.ts';
import { gateFor } from '../../../shared/rollouts/gate/gate.ts';
import { eventually } from '../../support/loop-cloud.ts';
import { firmware, freePorts, mostAtOnce, RolloutNetwork } from '../../support/rollout-network.ts';

/**
 * The cloud is killed in the middle of a rollout, again and again, and started with what it has on disk. The devices
 * live on, as devices do: they go on with what they were told, and find nobody to report to for a while.
 */
let network: RolloutNetwork;

/** The same seed kills after the same numbers of AWS calls. */
const seed = Number(process.env['CRASH_SEED'] ?? 1);
const crashes = 5;

beforeAll(async () => {
  network = await RolloutNetwork.start(
    [
      { site: 'North', devices: 4, keep: 2 },
      { site: 'South', devices: 4, keep: 3 },
    ],
    ['--port', String(await freePorts())],
  );
  await network.speed(60);
}, 300_000);
afterAll(() => network?.[Symbol.asyncDispose]());

const inTwoWaves = (version: string) => {
  const gate = gateFor(0.5);
  return firmware(version, {
    waves: [
      { name: 'North', scope: { kind: 'units', unitIds: [network.wards[0]?.unitId] }, gate },
      { name: 'South', scope: { kind: 'rest' }, gate },
    ],
  });
};

/** What a rollout came to, without what differs between any two: ids and times. */
async function outcome(id: string) {
  const { state, waves, counts } = await eventually(
    () => network.rollout(id),
    // Counts are exact to the second.
    (shown) => shown.counts.states['succeeded'] === network.devices.length,
  );
  const executions = await network.executions(id);
  const commands = await Promise.all(
    network.devices.map(async (device) =>
      (await network.updates(id, device)).map(({ type, history }) => ({
        type,
        ends: history.map(({ status }) => status).filter((status) => /verified|failed|expired|cancelled/.test(status)),
      })),
    ),
  );
  return {
    state,
    waves: waves.map(({ name, devices, state: wave, states }) => ({ name, devices, wave, states })),
    counts,
    devices: executions
      .map(({ deviceId, wave, direction, state: now, outOfService }) => ({
        deviceId,
        wave,
        direction,
        now,
        outOfService,
      }))
      .sort((a, b) => (a.deviceId < b.deviceId ? -1 : 1)),
    commands,
    leftovers: await network.leftovers(id),
  };
}

const isOver = (id: string) => async () => (await network.leftovers(id)).waits === 0;

test('killed at random, a rollout comes to the same end as one that nobody disturbed', async () => {
  const calm = await network.started(inTwoWaves('2.0'));
  await network.until(calm, ({ state }) => state === 'completed', 120);
  await eventually(isOver(calm), Boolean);
  const expected = await outcome(calm);

  const random = seeded(seed, 'crashes');
  const disturbed = await network.started(inTwoWaves('3.0'));
  for (let crash = 0; crash < crashes; crash += 1) {
    const after = Math.floor(150 + 800 * random());
    const begun = network.calls();
    const { state, waves } = await network.until(
      disturbed,
      (shown) => shown.state !== 'running' || network.calls() - begun >= after,
      120,
    );
    const where = waves.map(({ name, state: wave, states }) => `${name} ${wave} ${JSON.stringify(states)}`).join(', ');
    console.log(`killed after ${after} calls; it was ${state}: ${where}`);
    await network.crash();
  }
  await network.until(disturbed, ({ state }) => state === 'completed', 180);
  await eventually(isOver(disturbed), Boolean);

  expect(await outcome(disturbed)).toEqual(expected);
  expect(expected.leftovers).toEqual({ waits: 0, away: [] });
  // Nobody was activated twice, and each went away once for each version.
  for (const device of network.devices) {
    expect(device.versions).toEqual(['2.0', '3.0']);
    expect(device.boots()).toBe(2);
    expect(await network.versionOf(device)).toBe('3.0');
  }
  for (const ward of network.wards) {
    for (const { absences } of ward.devices) expect(absences).toHaveLength(2);
    expect(mostAtOnce(ward)).toBeLessThanOrEqual(ward.budget);
  }

  // The state machines have come to their end by themselves.
  await pause(3_000);
  const { data } = network.cloud;
  await network.cloud.stop();
  const store = openStore(`${data}/cloud.sqlite`);
  const ended = store.list<{ name: string; status: string }>('states/execution').map(({ value }) => value);
  store.close();
  expect(ended.length).toBeGreaterThanOrEqual(6);
  expect(ended.filter(({ status }) => status !== 'SUCCEEDED')).toEqual([]);
}, 600_000);
