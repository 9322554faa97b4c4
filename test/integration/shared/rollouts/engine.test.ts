import { auditRecord } from '../../../../shared/audit/record.ts';
import { weekdays } from '../../../../shared/places/calendar.ts';
import { readAway } from '../../../../shared/rollouts/admission/spares-store.ts';
import { putControl } from '../../../../shared/rollouts/gate/control-store.ts';
import { gateFor } from '../../../../shared/rollouts/gate/gate.ts';
import { backMachineName } from '../../../../shared/rollouts/machines/machine-names.ts';
import { backBegins, dispatchBack } from '../../../../shared/rollouts/machines/roll-back-dispatch.ts';
import { listWaits } from '../../../../shared/rollouts/machines/wait-store.ts';
import {
  createRollout,
  getRollout,
  listEndedRollouts,
  saveRollout,
} from '../../../../shared/rollouts/rollout-store.ts';
import { tick } from '../../../../shared/rollouts/tick.ts';
import { after } from '../../../support/activation.ts';
import { type DevicesTable, startDevicesTable } from '../../../support/devices-table.ts';
import { EngineWorld } from '../../../support/engine-world.ts';
import { storedRollout } from '../../../support/rollouts.ts';

const hours = 60;
let tables: DevicesTable;
beforeAll(async () => {
  tables = await startDevicesTable();
}, 90_000);
afterAll(() => tables[Symbol.asyncDispose]());

/** A lab that can miss two of its five pumps, and a ward that can miss one of four. */
const hospital = [
  { name: 'lab', pumps: 5, keep: 3, wave: 0 },
  { name: 'ward', pumps: 4, keep: 3, wave: 1 },
];

const last = (world: EngineWorld) => world.answers.at(-1);

/** Aborts the rollout and waits for its end. */
async function abort(world: EngineWorld): Promise<void> {
  await world.change({ kind: 'abort' });
  // What has not begun is withdrawn by the first look, and seen to be gone by the next.
  await world.pass(1);
  await world.pass(2);
  expect((await world.rollout()).state).toBe('aborted');
}

describe('a rollout that goes well', () => {
  test.each([1, 2, 3])(
    'from its first wave to its end, with messages twice, late and in any order (seed %i)',
    async (seed) => {
      const world = await EngineWorld.begin(tables, hospital, {}, seed);
      await world.dispatch(0);
      await world.wait('monitor', 0);
      expect(await world.states()).toEqual({ queued: 5 });

      await world.downloadAll();
      // The lab can miss two: two are asked, in the order of the plan, the others wait for their turn.
      expect(await world.states()).toEqual({ armed: 2, staged: 3 });
      const ranks = await Promise.all(
        (world.units[0]?.devices ?? []).map(async (device) => (await world.execution(device)).status.state),
      );
      expect(ranks).toEqual(['armed', 'armed', 'staged', 'staged', 'staged']);
      await world.activate(await world.first('armed'));
      expect(await world.states()).toEqual({ succeeded: 1, armed: 2, staged: 2 });
      await world.activateAll();
      expect(await world.states()).toEqual({ succeeded: 5 });
      expect((await world.rollout()).waves[0]?.status.state).toBe('baking');

      // Enough evidence, and still a day of bake.
      await world.pass(23 * hours);
      expect((await world.rollout()).waves.map(({ status }) => status.state)).toEqual(['baking', 'pending']);
      expect(world.answers).toEqual([]);
      await world.pass(2 * hours);
      expect((await world.rollout()).waves.map(({ status }) => status.state)).toEqual(['promoted', 'admitting']);
      expect(world.answers).toEqual([{ step: 'monitor', verdict: 'PROMOTE' }]);

      await world.wait('window', 1);
      await world.pass(1);
      expect(last(world)).toEqual({ step: 'window', verdict: 'OPEN' });
      await world.dispatch(1);
      await world.wait('monitor', 1);
      await world.downloadAll(1);
      await world.activateAll(1);
      expect(await world.states(1)).toEqual({ succeeded: 4 });
      await world.pass(25 * hours);
      expect((await world.rollout()).state).toBe('soaking');
      expect(last(world)).toEqual({ step: 'monitor', verdict: 'PROMOTE' });

      await world.wait('finish');
      await world.pass(23 * hours);
      expect((await world.rollout()).state).toBe('soaking');
      await world.pass(2 * hours);
      expect((await world.rollout()).state).toBe('completed');
      expect(last(world)).toEqual({ step: 'finish', verdict: 'DONE' });
      expect(await listWaits(tables.directory, world.id)).toEqual([]);

      const { alerts, trail } = await world.told();
      expect(alerts).toEqual([]);
      const decisions = trail.filter(({ actor }) => actor === 'system:rollout-progress');
      const deeds = decisions.map(({ action, after }) => [
        action,
        ((after as { waves?: { state: string }[] }).waves ?? []).map(({ state }) => state),
      ]);
      expect(deeds).toEqual([
        ['JudgeWave', ['baking']],
        ['JudgeWave', ['promoted', 'admitting']],
        ['JudgeWave', ['baking']],
        ['JudgeWave', ['promoted']],
        ['CompleteRollout', []],
      ]);
      expect(decisions[1]).toMatchObject({
        after: { grounds: { verdict: 'promote', reason: 'good', failures: { success: 5, failure: 0, p1: 0.5 } } },
      });
    },
    120_000,
  );
});

describe('a pause', () => {
  test('lets nobody begin anew, interrupts no activation, and ends where it began', async () => {
    const world = await EngineWorld.begin(tables, hospital);
    await world.dispatch(0);
    await world.wait('monitor', 0);
    await world.downloadAll();
    const [first, second] = [await world.first('armed'), world.units[0]?.devices[1]];
    if (second === undefined) throw new Error('There is a second pump.');
    const [command] = await world.checkIn(first);
    expect(command?.type).toBe('activate-update');
    await world.settle();
    await world.change({ kind: 'pause', by: 'operator', words: 'Something smells.' });
    await world.pass(1);
    expect(last(world)).toEqual({ step: 'monitor', verdict: 'HOLD' });
    await world.wait('hold', 0);

    // Asked before the pause; refused when it comes, with the reason.
    expect(await world.activate(second)).toBe(false);
    expect((await world.execution(second)).status).toMatchObject({ state: 'deferred', reason: 'paused' });
    // The one that was let in finishes, and makes room for nobody.
    const inventory = { firmwareVersion: '9.5.0' };
    await world.checkIn(first, { inventory, results: [{ commandId: command?.id ?? '', status: 'acknowledged' }] });
    await world.settle();
    await world.pass(60);
    expect(await world.states()).toEqual({ succeeded: 1, 'deferred: paused': 1, staged: 3 });
    expect(world.answers).toHaveLength(1);

    await world.change({ kind: 'resume' });
    await world.pass(1);
    expect(last(world)).toEqual({ step: 'hold', verdict: 'RESUME' });
    expect(await world.states()).toEqual({ succeeded: 1, armed: 2, staged: 2 });
    await world.activateAll();
    expect(await world.states()).toEqual({ succeeded: 5 });
  }, 120_000);
});

describe('devices that do not go straight through', () => {
  test('in use: waits with the reason, gives back what it was handed, and is asked again when it is due', async () => {
    const world = await EngineWorld.begin(tables, [{ name: 'one', pumps: 3, keep: 2, wave: 0 }]);
    await world.dispatch(0);
    await world.downloadAll();
    const busy = await world.first('armed');
    // The interlock holds it back when it comes: somebody uses it.
    world.now += 1_000;
    const clinical = { state: 'in-use', at: new Date(world.now).toISOString() } as const;
    expect(await world.checkIn(busy, { clinical })).toEqual([]);
    await world.settle();
    expect((await world.execution(busy)).status).toMatchObject({ state: 'deferred', reason: 'in-use' });
    // Its place goes to the next, who takes it and says "not now" itself.
    const next = await world.first('armed');
    expect(next).not.toEqual(busy);
    expect(await world.activate(next, 'in-use')).toBe(true);
    expect(await world.execution(next)).toMatchObject({
      status: { state: 'deferred', reason: 'in-use', from: 'armed' },
      outOfService: false,
    });
    expect(await readAway(tables.directory, await world.execution(next), new Date(world.now))).toEqual({});
    await world.activateAll();
    expect(await world.states()).toEqual({ succeeded: 1, 'deferred: in-use': 2 });
    await world.pass(45);
    expect(await world.states()).toEqual({ succeeded: 1, armed: 1, 'deferred: in-use': 1 });
    await world.activateAll();
    expect(await world.states()).toEqual({ succeeded: 3 });
  }, 120_000);

  test('that does not come is put off as offline after three minutes, and the next is asked', async () => {
    const world = await EngineWorld.begin(tables, [{ name: 'one', pumps: 3, keep: 2, wave: 0 }]);
    await world.dispatch(0);
    await world.downloadAll();
    const away = await world.first('armed');
    await world.pass(2);
    expect((await world.execution(away)).status.state).toBe('armed');
    await world.pass(2);
    expect((await world.execution(away)).status).toMatchObject({ state: 'deferred', reason: 'offline' });
    expect(await world.states()).toEqual({ armed: 1, 'deferred: offline': 1, staged: 1 });
    await world.activateAll();
    expect(await world.states()).toEqual({ succeeded: 2, 'deferred: offline': 1 });
    const before = world.woken.length;
    await world.pass(31);
    // Its command is there still: it is only woken.
    expect(world.woken.slice(before)).toEqual([away.id]);
    await world.activateAll();
    expect(await world.states()).toEqual({ succeeded: 3 });
  }, 120_000);

  test('that fails keeps its spare until it is seen to work; then the next one goes', async () => {
    const world = await EngineWorld.begin(tables, [{ name: 'one', pumps: 3, keep: 2, wave: 0 }], {
      // So patient a gate that one failure does not stop it.
      waves: [0, 1].map((index) => ({
        name: `Wave ${index}`,
        scope: index === 0 ? { kind: 'units', unitIds: ['u-none'] } : { kind: 'rest' },
        bakeHours: 24,
        gate: {
          failures: { p0: 0.3, p1: 0.9, alpha: 0.01, beta: 0.01 },
          silence: { p0: 0.3, p1: 0.9, alpha: 0.01, beta: 0.01 },
          controlAlpha: 0.01,
        },
      })),
    });
    await world.dispatch(0);
    await world.downloadAll();
    const broken = await world.first('armed');
    expect(await world.activate(broken, 'install-failed')).toBe(true);
    expect(await world.execution(broken)).toMatchObject({
      status: { state: 'failed', class: 'install' },
      outOfService: true,
    });
    await world.pass(30);
    expect(await world.states()).toEqual({ failed: 1, staged: 2 });
    // An hour later it checks in, and says that it is idle.
    world.now += 61 * 60_000;
    await world.checkIn(broken);
    await world.pass(1);
    expect(await world.execution(broken)).toMatchObject({ status: { state: 'failed' }, outOfService: false });
    expect(await world.states()).toEqual({ failed: 1, armed: 1, staged: 1 });

    // Another is never heard of again: silence, two hours later, and its spare stays taken.
    const silent = await world.first('armed');
    expect(await world.activate(silent, 'silent')).toBe(true);
    await world.pass(118);
    expect(await world.states()).toEqual({ failed: 1, activating: 1, staged: 1 });
    await world.pass(2);
    expect((await world.execution(silent)).status).toEqual({ state: 'timed-out', stage: 'activating' });
    expect(await world.states()).toEqual({ failed: 1, 'timed-out': 1, staged: 1 });
    // It is there again, idle, and says nothing of its activation: it may begin with it any time.
    world.now += 61 * 60_000;
    expect(await world.checkIn(silent)).toEqual([]);
    await world.pass(1);
    expect(await world.execution(silent)).toMatchObject({ outOfService: true });
    // What runs on it shows that it is through, though its answer was lost.
    world.now += 61 * 60_000;
    await world.checkIn(silent, { inventory: { firmwareVersion: '9.5.0' } });
    await world.pass(1);
    expect(await world.execution(silent)).toMatchObject({ status: { state: 'timed-out' }, outOfService: false });
    expect(await world.states()).toEqual({ failed: 1, 'timed-out': 1, armed: 1 });
  }, 120_000);

  test('that fell silent is back when it shows the new version, also when the rollout is over; a word alone shows nothing', async () => {
    const world = await EngineWorld.begin(tables, [{ name: 'one', pumps: 3, keep: 2, wave: 0 }]);
    await world.dispatch(0);
    await world.downloadAll();
    const silent = await world.first('armed');
    const [command] = await world.checkIn(silent);
    await world.settle();
    await world.pass(2 * hours);
    expect((await world.execution(silent)).status).toEqual({ state: 'timed-out', stage: 'activating' });
    await abort(world);
    const away = async () =>
      Object.keys(await readAway(tables.directory, await world.execution(silent), new Date(world.now)));
    // Three days later it is there, and says that it did it; what runs on it, it does not say.
    world.now += 3 * 24 * hours * 60_000;
    const results = [{ commandId: command?.id ?? '', status: 'acknowledged' as const }];
    await world.checkIn(silent, { results });
    await world.settle();
    await world.pass(1);
    expect(await world.execution(silent)).toMatchObject({ outOfService: true });
    expect(await away()).toEqual([silent.id]);
    await world.checkIn(silent, { inventory: { firmwareVersion: '9.5.0' } });
    await world.settle();
    expect(await world.execution(silent)).toMatchObject({
      status: { state: 'timed-out', stage: 'activating' },
      outOfService: false,
    });
    expect(await away()).toEqual([]);
  }, 120_000);

  test('whose command is closed brings no evidence any more once the rollout is over: it stays away', async () => {
    const world = await EngineWorld.begin(tables, [{ name: 'one', pumps: 3, keep: 2, wave: 0 }]);
    await world.dispatch(0);
    await world.downloadAll();
    const broken = await world.first('armed');
    expect(await world.activate(broken, 'install-failed')).toBe(true);
    await abort(world);
    world.now += hours * 60_000;
    await world.checkIn(broken, { inventory: { firmwareVersion: '9.5.0' } });
    await world.settle();
    await world.pass(1);
    expect(await world.execution(broken)).toMatchObject({ status: { state: 'failed' }, outOfService: true });
    const place = await world.execution(broken);
    expect(Object.keys(await readAway(tables.directory, place, new Date(world.now)))).toEqual([broken.id]);
  }, 120_000);

  test('whose asking broke off half way is asked for good', async () => {
    const world = await EngineWorld.begin(tables, [{ name: 'one', pumps: 2, keep: 1, wave: 0 }]);
    await world.dispatch(0);
    await world.downloadAll();
    const device = await world.first('armed');
    const { commandId: _none, ...execution } = await world.execution(device);
    expect(execution.status.state).toBe('armed');
    await world.loseCommand(device);
    expect(await world.checkIn(device)).toEqual([]);
    await world.pass(4);
    expect((await world.execution(device)).status.state).toBe('armed');
    expect(await world.activate(device)).toBe(true);
  }, 120_000);
});

describe('the clock', () => {
  test('a wave waits for its windows; nobody is asked before, and whoever waits for it is told when one opens', async () => {
    const night = { days: [...weekdays], from: '22:00', to: '06:00' };
    const world = await EngineWorld.begin(tables, [{ name: 'one', pumps: 2, keep: 1, wave: 0, windows: [night] }]);
    await world.wait('window', 0);
    // It is three in the afternoon in New York.
    await world.pass(1);
    expect((await world.rollout()).waves[0]?.status).toEqual({
      state: 'window-wait',
      until: '2027-03-03T03:00:00.000Z',
    });
    expect(world.answers).toEqual([]);
    // What is fetched already is not activated by day.
    await world.dispatch(0);
    await world.downloadAll();
    await world.pass(6 * hours);
    expect(await world.states()).toEqual({ staged: 2 });
    await world.pass(hours);
    expect((await world.rollout()).waves[0]?.status.state).toBe('admitting');
    expect(last(world)).toEqual({ step: 'window', verdict: 'OPEN' });
    expect(await world.states()).toEqual({ armed: 1, staged: 1 });
    expect(await world.activate(await world.first('armed'))).toBe(true);
    const { trail } = await world.told();
    const moves = trail.flatMap(({ after }) => (after as { waves?: { state: string }[] } | undefined)?.waves ?? []);
    expect(moves.map(({ state }) => state)).toEqual(['window-wait', 'admitting']);
  }, 120_000);

  test('a device that never fetches it is given up after two weeks, and says nothing of the artifact', async () => {
    const world = await EngineWorld.begin(tables, [{ name: 'one', pumps: 2, keep: 1, wave: 0 }]);
    await world.dispatch(0);
    await world.pass(14 * 24 * hours - 1);
    expect(await world.states()).toEqual({ queued: 2 });
    await world.pass(2);
    expect(await world.states()).toEqual({ 'timed-out': 2 });
    // Nobody is left who could bring evidence: a person must say what is to happen.
    expect((await world.rollout()).waves[0]?.status).toMatchObject({ state: 'held', reason: 'evidence' });
    expect((await world.told()).alerts).toMatchObject([{ kind: 'rollout-held', details: { reason: 'evidence' } }]);
  }, 120_000);

  test('a start that ended between the table and the state machine is carried on', async () => {
    const world = await EngineWorld.begin(tables, [{ name: 'one', pumps: 2, keep: 1, wave: 0 }]);
    await world.pass(0.5);
    expect(world.started).toEqual([]);
    await world.pass(1);
    expect(world.started).toEqual([world.id]);
    await world.wait('monitor', 0);
    await world.pass(1);
    expect(world.started).toHaveLength(1);
  }, 120_000);

  test('a way back whose state machine is over gets another one', async () => {
    const world = await EngineWorld.begin(tables, [{ name: 'one', pumps: 2, keep: 1, wave: 0 }]);
    await world.dispatch(0);
    await world.downloadAll();
    expect(await world.activate(await world.first('armed'))).toBe(true);
    await world.change({ kind: 'roll-back' });
    await world.pass(0.5);
    expect(world.started).toEqual([]);
    // The one that carried it forward has ended, and the first round of bringing back too.
    world.over.add(world.id).add(backMachineName(world.id, 1));
    await world.pass(1);
    expect(world.started).toEqual([backMachineName(world.id, 2)]);
  }, 120_000);

  test('the way back of a rollout that is over is carried on when its start was lost', async () => {
    const world = await EngineWorld.begin(tables, [{ name: 'one', pumps: 2, keep: 1, wave: 0 }]);
    await world.dispatch(0);
    await world.downloadAll();
    expect(await world.activate(await world.first('armed'))).toBe(true);
    await abort(world);
    world.over.add(world.id);
    // Whoever asked for it broke off before the state machine was started.
    await world.change({ kind: 'roll-back' });
    await world.pass(0.5);
    expect(world.started).toEqual([]);
    await world.pass(1);
    expect(world.started).toEqual([backMachineName(world.id, 1)]);
    expect((await world.rollout()).state).toBe('rolling-back');
  }, 120_000);

  test('a request that nobody approves in time expires', async () => {
    const world = await EngineWorld.begin(tables, [{ name: 'one', pumps: 2, keep: 1, wave: 0 }]);
    const id = `${world.id}-asked`;
    const draft = storedRollout(id);
    const devices = draft.definition.waves.map(() => 1);
    const until = world.now + 60_000;
    const asked = after(
      draft,
      [
        { kind: 'planned', digest: 'd', devices },
        { kind: 'submit', by: 'user:ada', approveUntil: until },
      ],
      world.now,
    );
    const entry = { actor: 'user:ada', action: 'x', resource: `rollout/${id}`, outcome: 'allowed' } as const;
    await createRollout(tables.directory, draft, auditRecord(`ROLLOUT#${id}`, entry, new Date(world.now)));
    await saveRollout(tables.directory, draft, asked, []);
    await tick(world.means, new Date(until - 1), id);
    expect((await getRollout(tables.directory, id))?.state).toBe('awaiting-approval');
    await tick(world.means, new Date(until), id);
    expect((await getRollout(tables.directory, id))?.state).toBe('expired');
  }, 120_000);
});

describe('a rollout that does not go well', () => {
  test('failures stop it: nobody is asked any more, people are told, and an abort withdraws what has not begun', async () => {
    const world = await EngineWorld.begin(tables, hospital);
    await world.dispatch(0);
    await world.wait('monitor', 0);
    await world.downloadAll();
    const [first, second] = [await world.first('armed'), world.units[0]?.devices[1]];
    if (second === undefined) throw new Error('There is a second pump.');
    const [command] = await world.checkIn(second);
    await world.settle();
    expect(await world.activate(first, 'self-test-failed')).toBe(true);
    expect(await world.rollout()).toMatchObject({
      state: 'paused',
      paused: { by: 'gate' },
      stopped: expect.any(String),
    });
    expect(last(world)).toEqual({ step: 'monitor', verdict: 'HOLD' });
    await world.wait('hold', 0);
    const { alerts, trail } = await world.told();
    expect(alerts).toMatchObject([{ kind: 'rollout-stopped', actor: 'system:rollout-progress', details: { wave: 0 } }]);
    const stop = trail.find(({ after }) => (after as { state?: string } | undefined)?.state === 'paused');
    expect(stop).toMatchObject({ action: 'JudgeWave', after: { grounds: { verdict: 'stop', reason: 'failures' } } });
    await world.pass(10);
    expect(await world.states()).toEqual({ failed: 1, activating: 1, staged: 3 });

    await world.change({ kind: 'abort' });
    await world.wait('finish');
    await world.pass(3);
    // The one that is being activated is not interrupted.
    expect(last(world)).toEqual({ step: 'hold', verdict: 'STOP' });
    expect(await world.states()).toEqual({ failed: 1, activating: 1, cancelled: 3 });
    expect((await world.rollout()).state).toBe('aborting');
    const inventory = { firmwareVersion: '9.5.0' };
    await world.checkIn(second, { inventory, results: [{ commandId: command?.id ?? '', status: 'acknowledged' }] });
    await world.settle();
    await world.pass(1);
    expect((await world.rollout()).state).toBe('aborted');
    expect(last(world)).toEqual({ step: 'finish', verdict: 'DONE' });
  }, 120_000);

  test('devices that fail after their wave was promoted stop it, when no gate waits for them any more', async () => {
    // Two devices promote a wave.
    const gate = gateFor(0.8);
    const waves = [0, 1].map((index) => ({
      ...{ name: index === 0 ? 'Lab' : 'Rest', bakeHours: 24, gate },
      scope: index === 0 ? ({ kind: 'units', unitIds: ['u-none'] } as const) : ({ kind: 'rest' } as const),
    }));
    const units = [
      { name: 'lab', pumps: 2, keep: 0, wave: 0 },
      { name: 'ward', pumps: 5, keep: 2, wave: 1 },
    ];
    const world = await EngineWorld.begin(tables, units, { waves });
    await world.dispatch(0);
    await world.downloadAll();
    await world.activateAll();
    await world.pass(25 * hours);
    await world.dispatch(1);
    await world.downloadAll(1);
    for (let count = 0; count < 2; count += 1) await world.activate(await world.first('armed', 1));
    await world.pass(25 * hours);
    expect(await world.rollout()).toMatchObject({ state: 'soaking', waves: [{}, { status: { state: 'promoted' } }] });
    // The others are seen again, in use; an hour later they are free.
    const late = (world.units[1]?.devices ?? []).slice(-3);
    const clinical = { state: 'in-use', at: new Date(world.now).toISOString() } as const;
    for (const device of late) expect(await world.checkIn(device, { clinical })).toEqual([]);
    await world.pass(61);
    for (let count = 0; count < 2; count += 1) {
      expect(await world.activate(await world.first('armed', 1), 'install-failed')).toBe(true);
    }
    expect(await world.rollout()).toMatchObject({
      ...{ state: 'paused', paused: { by: 'gate', from: 'soaking' } },
      stopped: expect.stringMatching(/^"Rest", after it had shown enough: \d of \d devices failed/),
    });
    const { alerts, trail } = await world.told();
    expect(alerts).toMatchObject([{ kind: 'rollout-stopped', details: { wave: 1, reason: 'failures' } }]);
    expect(trail.filter(({ action }) => action === 'StopPromoted')).toHaveLength(1);
    expect(await world.activate(await world.first('armed', 1))).toBe(false);
  }, 120_000);

  test('a blocked way to the artifact holds the wave and stops nothing; who has the artifact goes on', async () => {
    const world = await EngineWorld.begin(tables, hospital);
    await world.dispatch(0);
    const devices = world.units[0]?.devices ?? [];
    for (const [index, device] of devices.entries()) {
      await world.download(device, ['download-failed', 'not-enough-space'][index]);
    }
    await world.settle();
    await world.pass(1);
    const { state, waves } = await world.rollout();
    expect([state, waves[0]?.status]).toMatchObject([
      'running',
      { state: 'held', reason: 'fetch', words: expect.stringMatching(/^2 of 5 devices could not fetch the artifact/) },
    ]);
    await world.activateAll();
    expect(await world.states()).toEqual({ failed: 2, succeeded: 3 });
    expect((await world.rollout()).stopped).toBeUndefined();
    const { alerts } = await world.told();
    expect(alerts).toMatchObject([{ kind: 'rollout-held', details: { reason: 'fetch', wave: 0 } }]);
  }, 120_000);

  test('of devices that cannot fetch it after their wave was promoted people are told, once', async () => {
    const gate = gateFor(0.8);
    const waves = [
      { name: 'Ward', bakeHours: 24, gate, scope: { kind: 'units', unitIds: ['u-none'] } as const },
      { name: 'Rest', bakeHours: 24, gate, scope: { kind: 'rest' } as const },
    ];
    const units = [
      { name: 'ward', pumps: 5, keep: 2, wave: 0 },
      { name: 'lab', pumps: 2, keep: 0, wave: 1 },
    ];
    const world = await EngineWorld.begin(tables, units, { waves });
    await world.dispatch(0);
    const devices = world.units[0]?.devices ?? [];
    for (const device of devices.slice(0, 2)) await world.download(device);
    await world.settle();
    await world.activateAll();
    await world.pass(25 * hours);
    expect((await world.rollout()).waves[0]?.status.state).toBe('promoted');
    for (const device of devices.slice(2)) await world.download(device, 'download-failed');
    await world.settle();
    await world.pass(2);
    expect(await world.rollout()).toMatchObject({
      ...{ state: 'running', waves: [{ status: { state: 'promoted' } }, { status: { state: 'admitting' } }] },
    });
    const { alerts } = await world.told();
    expect(alerts).toMatchObject([{ kind: 'rollout-unfetched', details: { wave: 0 } }]);
  }, 120_000);

  test('one device that lost its alarm path stops it, once, whatever comes twice', async () => {
    const world = await EngineWorld.begin(tables, hospital);
    await world.dispatch(0);
    await world.downloadAll();
    const device = await world.first('armed');
    expect(await world.activate(device, 'alarm-path-lost')).toBe(true);
    expect(await world.rollout()).toMatchObject({ state: 'paused', paused: { by: 'safety' } });
    expect(await world.execution(device)).toMatchObject({ status: { class: 'safety' }, outOfService: true });
    const { alerts, trail } = await world.told();
    expect(alerts).toMatchObject([{ kind: 'rollout-stopped', details: { deviceId: device.id } }]);
    expect(trail.filter(({ action }) => action === 'ReportSafetyEvent')).toHaveLength(1);
    // Its own word that it works is not enough to count on it again.
    world.now += 61 * 60_000;
    await world.checkIn(device);
    await world.pass(1);
    expect((await world.execution(device)).outOfService).toBe(true);
    expect(await world.states()).toEqual({ failed: 1, armed: 1, staged: 3 });
  }, 120_000);

  test('a device that loses its alarm path when nothing is left to stop is told of all the same, once', async () => {
    const world = await EngineWorld.begin(tables, hospital);
    await world.dispatch(0);
    await world.downloadAll();
    const device = await world.first('armed');
    const [command] = await world.checkIn(device);
    await world.settle();
    await world.change({ kind: 'abort' });
    const result = { commandId: command?.id ?? '', status: 'failed' as const, reason: 'alarm-path-lost' };
    await world.checkIn(device, { results: [result] });
    await world.settle();
    await world.pass(3);
    await world.pass(3);
    expect(await world.states()).toEqual({ failed: 1, cancelled: 4 });
    expect((await world.rollout()).state).toBe('aborted');
    const { alerts } = await world.told();
    expect(alerts).toMatchObject([{ kind: 'rollout-stopped', details: { deviceId: device.id, state: 'aborting' } }]);
  }, 120_000);

  test('a wave that is held tells a person once, with what it was held for', async () => {
    const world = await EngineWorld.begin(tables, hospital);
    await world.dispatch(0);
    await world.wait('monitor', 0);
    await world.downloadAll();
    await world.activate(await world.first('armed'));
    const harm = [{ stratum: 's-1/B/T2', updated: { affected: 9, watched: 20 }, notYet: { affected: 1, watched: 90 } }];
    await putControl(tables.directory, world.id, 0, { at: new Date(world.now).toISOString(), comparisons: harm });
    await world.pass(1);
    expect((await world.rollout()).waves[0]?.status).toMatchObject({ state: 'held', reason: 'control' });
    expect(last(world)).toEqual({ step: 'monitor', verdict: 'HOLD' });
    // Held for harm, not for evidence: nobody is let in.
    const asked = await world.first('armed');
    expect(await world.activate(asked)).toBe(false);
    expect((await world.execution(asked)).status).toMatchObject({ state: 'deferred', reason: 'wave' });
    await world.pass(5);
    const { alerts, trail } = await world.told();
    expect(alerts).toMatchObject([{ kind: 'rollout-held', details: { reason: 'control', wave: 0 } }]);
    const held = trail.filter(({ action }) => action === 'JudgeWave');
    expect(held).toMatchObject([{ after: { grounds: { reason: 'control', control: [{ stratum: 's-1/B/T2' }] } } }]);
  }, 120_000);

  test('the way back: who was updated goes back under the same spares, also who was just being updated', async () => {
    const world = await EngineWorld.begin(tables, hospital, { onStop: 'roll-back' });
    await world.dispatch(0);
    await world.wait('monitor', 0);
    await world.downloadAll();
    await world.activate(await world.first('armed'));
    const late = await world.first('armed');
    const [command] = await world.checkIn(late);
    await world.settle();
    const failing = await world.first('armed');
    expect(await world.activate(failing, 'self-test-failed')).toBe(true);
    expect((await world.rollout()).state).toBe('rolling-back');
    expect(last(world)).toEqual({ step: 'monitor', verdict: 'ROLLBACK' });

    const told = await dispatchBack(world.means, world.id, world.siteId, backBegins, new Date(world.now));
    expect(told).toMatchObject({ told: 2, more: false });
    await world.settle();
    // One is back to be, one failed and is away already; one is still being updated.
    await world.pass(1);
    expect(await world.states()).toEqual({ armed: 1, staged: 1, activating: 1, cancelled: 2 });
    const inventory = { firmwareVersion: '9.5.0' };
    await world.checkIn(late, { inventory, results: [{ commandId: command?.id ?? '', status: 'acknowledged' }] });
    await world.settle();
    await world.pass(1);
    await world.activateAll();
    await world.pass(1);
    await world.activateAll();
    expect(await world.states()).toEqual({ succeeded: 3, cancelled: 2 });
    await world.wait('finish');
    await world.pass(1);
    expect((await world.rollout()).state).toBe('rolled-back');
    expect(last(world)).toEqual({ step: 'finish', verdict: 'DONE' });
    expect(await readAway(tables.directory, await world.execution(late), new Date(world.now))).toEqual({});
  }, 120_000);
});

describe('a site that is left out', () => {
  test('withdraws what has not begun there, and interrupts no activation', async () => {
    const world = await EngineWorld.begin(tables, hospital);
    await world.dispatch(0);
    await world.downloadAll();
    const first = await world.first('armed');
    const [command] = await world.checkIn(first);
    await world.settle();
    await world.change({ kind: 'skip-site', siteId: world.siteId });
    await world.pass(2);
    expect(await world.states()).toEqual({ activating: 1, cancelled: 4 });
    const inventory = { firmwareVersion: '9.5.0' };
    await world.checkIn(first, { inventory, results: [{ commandId: command?.id ?? '', status: 'acknowledged' }] });
    await world.settle();
    await world.pass(2);
    // Nothing is left at the site that the end of the rollout would wait for.
    expect(await world.states()).toEqual({ succeeded: 1, cancelled: 4 });
    expect((await world.execution(first)).outOfService).toBe(false);
  }, 120_000);
});

describe('answers to state machines', () => {
  test('one that cannot be told keeps no other waiting, and is told later', async () => {
    const world = await EngineWorld.begin(tables, hospital);
    await world.wait('monitor', 0);
    await world.wait('finish');
    world.failing.add('monitor');
    await world.change({ kind: 'abort' });
    await expect(world.pass(3)).rejects.toThrow('Rate exceeded');
    expect((await world.rollout()).state).toBe('aborted');
    expect(world.answers).toEqual([{ step: 'finish', verdict: 'DONE' }]);
    // The rollout is over; who still waits is told all the same.
    world.failing.clear();
    await world.pass(1);
    expect(last(world)).toEqual({ step: 'monitor', verdict: 'STOP' });
    expect(await listWaits(tables.directory, world.id)).toEqual([]);
    await world.wait('finish');
    await world.pass(60);
    expect(world.answers).toHaveLength(3);
    await world.pass(24 * hours);
    expect(await listEndedRollouts(tables.directory)).not.toContainEqual(expect.objectContaining({ id: world.id }));
  }, 120_000);

  test('a token that nobody waits with any more is forgotten', async () => {
    const world = await EngineWorld.begin(tables, hospital);
    await world.wait('monitor', 0);
    world.gone.add('monitor');
    await world.change({ kind: 'pause', by: 'operator', words: 'Wait.' });
    await world.pass(1);
    expect(world.answers).toEqual([]);
    expect(await listWaits(tables.directory, world.id)).toEqual([]);
  }, 120_000);
});
