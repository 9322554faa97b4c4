import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { AlertKind, alertPart } from '../../../shared/alerts/alert.ts';
import { auditRecord } from '../../../shared/audit/record.ts';
import type { Brake } from '../../../shared/brake/brake.ts';
import { deleteBrake, putBrake } from '../../../shared/brake/store.ts';
import { readQueue } from '../../../shared/commands/store.ts';
import { devicePartition, sortKeys, unitSortKey } from '../../../shared/devices/keys.ts';
import {
  getExecuted,
  recordIneligible,
  type StoredExecution,
  saveExecution,
  startExecution,
} from '../../../shared/rollouts/executions/execution-store.ts';
import { countExecutions, listTallies } from '../../../shared/rollouts/gate/tally-store.ts';
import { backMachineName } from '../../../shared/rollouts/machines/machine-names.ts';
import { type DevicesTable, startDevicesTable } from '../../support/devices-table.ts';
import { MachineWorld } from '../../support/machine-world.ts';
import { storedExecution } from '../../support/rollouts.ts';

let tables: DevicesTable;
let data: string;
let world: MachineWorld | undefined;

beforeAll(async () => {
  tables = await startDevicesTable();
}, 90_000);
afterAll(() => tables[Symbol.asyncDispose]());
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'wardline-machines-'));
});
afterEach(async () => {
  await world?.kill();
  world = undefined;
  rmSync(data, { recursive: true, force: true });
});

const hour = 3_600_000;

/** North is in both waves, South in the second only. */
const begin = async (more: Parameters<typeof MachineWorld.begin>[2] = []): Promise<MachineWorld> => {
  world = await MachineWorld.begin(
    tables,
    data,
    more.length > 0
      ? more
      : [
          { site: 'north', name: 'first', pumps: 2, wave: 0 },
          { site: 'north', name: 'second', pumps: 1, wave: 1 },
          { site: 'south', name: 'third', pumps: 2, wave: 1 },
        ],
  );
  return world;
};

const states = async (on: MachineWorld, unit: string) => (await on.of(unit)).map(({ status }) => status.state);

/** Resolves when `look` gives this. */
async function settles(look: () => unknown, wanted: unknown): Promise<void> {
  const limit = Date.now() + 60_000;
  while (JSON.stringify(await look()) !== JSON.stringify(wanted) && Date.now() < limit) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(await look()).toEqual(wanted);
}

/** The device was let in, and works with the new version; or on its way back, with the old one. */
async function succeed(on: MachineWorld, execution: StoredExecution): Promise<StoredExecution> {
  const at = new Date(on.clock.now()).toISOString();
  const done: StoredExecution = {
    ...execution,
    status: { state: 'succeeded' },
    activatedAt: at,
    since: at,
    version: execution.version + 1,
  };
  if (!(await saveExecution(tables.table, execution, done))) throw new Error('It was changed by somebody else.');
  return done;
}

const count = (executions: readonly StoredExecution[], on: MachineWorld) =>
  countExecutions(tables.table, tables.directory, executions, new Date(on.clock.now()));

async function commandsOf(on: MachineWorld, unit: string): Promise<string[]> {
  const queues = await Promise.all(on.devices(unit).map(({ id }) => readQueue(tables.table, id)));
  return queues.flatMap(({ open }) => open.map(({ type }) => type));
}

test('wave by wave: a site begins when its wave does, and its machine ends with the rollout', async () => {
  const on = await begin();
  await on.start();
  await on.until('monitor north 0', 'window south 1');
  expect(await states(on, 'first')).toEqual(['queued', 'queued']);
  expect(await commandsOf(on, 'first')).toEqual(['download-update', 'download-update']);
  // Nobody of the second wave has heard of it (I6).
  expect([...(await on.of('second')), ...(await on.of('third'))]).toEqual([]);
  expect((await on.of('first')).map(({ rank, wave, direction }) => ({ rank, wave, direction }))).toEqual([
    { rank: 0, wave: 0, direction: 'forward' },
    { rank: 1, wave: 0, direction: 'forward' },
  ]);

  await on.promote(0);
  await on.until('monitor north 1', 'monitor south 1');
  expect([await states(on, 'second'), await states(on, 'third')]).toEqual([['queued'], ['queued', 'queued']]);

  await on.promote(1);
  await on.until('finish north', 'finish south');
  expect((await on.rollout()).state).toBe('soaking');

  on.clock.forward(24 * hour);
  await on.change({ kind: 'soaked', unfinished: 0 });
  await on.until();
  await settles(() => on.executions(), ['ro SUCCEEDED', 'ro-north SUCCEEDED', 'ro-south SUCCEEDED']);
  // Twice started is started once.
  await on.startMachine(on.id);
  expect(on.executions()).toHaveLength(3);
}, 120_000);

test('a pause holds every site where it is, and they go on there', async () => {
  const on = await begin();
  await on.start();
  await on.until('monitor north 0', 'window south 1');
  await on.change({ kind: 'pause', by: 'operator', words: 'a question' });
  await on.until('hold north 0', 'hold south 1');
  await on.change({ kind: 'resume' });
  await on.until('monitor north 0', 'window south 1');
  // What was told is not told again.
  expect(on.steps.filter((step) => step === 'dispatch north')).toHaveLength(1);
  expect(await commandsOf(on, 'first')).toHaveLength(2);

  await on.change({ kind: 'pause', by: 'operator', words: 'another' });
  await on.until('hold north 0', 'hold south 1');
  await on.change({ kind: 'resume' });
  await on.promote(0);
  await on.until('monitor north 1', 'monitor south 1');
});

test('a wave that the gate holds waits for somebody, and goes on when the gate is content', async () => {
  const on = await begin();
  await on.start();
  await on.until('monitor north 0', 'window south 1');
  const judgement = { verdict: 'hold', reason: 'strata', words: 'Hardware B fails.' } as const;
  const held = { kind: 'judged', judgement, bakeUntil: 0, waiting: 0 } as never;
  await on.change({ kind: 'wave', wave: 0, event: held });
  // South has not begun: it waits for its turn as before.
  await on.until('hold north 0', 'window south 1');
  await on.promote(0);
  await on.until('monitor north 1', 'monitor south 1');
});

test('an aborted rollout begins nothing any more; its machines end with it', async () => {
  const on = await begin();
  await on.start();
  await on.until('monitor north 0', 'window south 1');
  await on.change({ kind: 'abort' });
  await on.until('finish north', 'finish south');
  await on.change({ kind: 'settled', activating: 0 });
  await on.until();
  await settles(() => on.executions(), ['ro SUCCEEDED', 'ro-north SUCCEEDED', 'ro-south SUCCEEDED']);
  expect(await on.of('third')).toEqual([]);
});

test('a skipped site is left out; the others go on', async () => {
  const on = await begin();
  await on.start();
  await on.until('monitor north 0', 'window south 1');
  await on.change({ kind: 'skip-site', siteId: on.siteId('south') });
  await on.until('finish south', 'monitor north 0');
  await on.promote(0);
  await on.until('finish south', 'monitor north 1');
  expect(await on.of('third')).toEqual([]);
  expect(await states(on, 'second')).toEqual(['queued']);
});

test('the way back: whoever was let in is told once, and the site is through when all are back', async () => {
  const on = await begin();
  await on.start();
  await on.until('monitor north 0', 'window south 1');
  const [one, other] = await on.of('first');
  if (one === undefined || other === undefined) throw new Error('They were not dispatched.');
  await count([await succeed(on, one), other], on);
  await on.change({ kind: 'roll-back' });
  // South has nobody to bring back.
  await on.until('back north');
  const [back, waiting] = await on.of('first');
  expect(back).toMatchObject({ direction: 'back', status: { state: 'staged' }, version: 1, rank: 0 });
  // Never let in, so nothing to bring back: it is withdrawn by the clock.
  expect(waiting).toMatchObject({ direction: 'forward', status: { state: 'queued' } });

  // What was told is not counted yet, so nobody is through.
  await on.look();
  await on.until('back north');
  if (back === undefined) throw new Error('It was not told.');
  await count([back], on);
  await on.look();
  await on.until('back north');
  await count([await succeed(on, back)], on);
  await on.look();
  await on.until('finish rollout');
  await on.change({ kind: 'rolled-back', unfinished: 0, failed: 0 });
  await on.until();
  await settles(() => on.executions(), ['ro SUCCEEDED', 'ro-north SUCCEEDED', 'ro-south SUCCEEDED']);
});

test('devices that nobody told, and those of a rollout that is over, are brought back by another execution', async () => {
  const on = await begin();
  await on.start();
  await on.until('monitor north 0', 'window south 1');
  const [one, other] = await on.of('first');
  if (one === undefined || other === undefined) throw new Error('They were not dispatched.');
  await on.change({ kind: 'roll-back' });
  await on.until('finish rollout');
  // One that was being activated then is through now, and nobody heard of it.
  await count([await succeed(on, one), other], on);
  await on.look(true);
  await on.until('back north');
  await settles(
    () => on.executions(),
    [
      `ro SUCCEEDED`,
      `ro-back-1 RUNNING`,
      `ro-back-1-north RUNNING`,
      `ro-back-1-south SUCCEEDED`,
      `ro-north SUCCEEDED`,
      `ro-south SUCCEEDED`,
    ],
  );
  expect((await on.of('first'))[0]).toMatchObject({ direction: 'back', status: { state: 'staged' } });
  expect(backMachineName(on.id, 1).length + 1 + on.siteId('north').length).toBeLessThanOrEqual(80 - 4);
});

test('a brake where a device stands holds up that device alone, and it is told when the brake is free', async () => {
  const on = await begin([
    { site: 'north', name: 'first', pumps: 2, wave: 0 },
    { site: 'north', name: 'braked', pumps: 2, wave: 0 },
    { site: 'south', name: 'third', pumps: 1, wave: 1 },
  ]);
  const [device] = on.devices('braked');
  const { siteId = '', unitId = '' } = device ?? {};
  const now = new Date(on.clock.now());
  const by = { reason: 'a fire', pulledBy: 'user:x', pulledAt: now.toISOString() };
  const brake: Brake = { scope: 'unit', siteId, unitId, ...by, version: 1 };
  const audit = (action: string) =>
    auditRecord('BRAKE', { actor: 'user:x', action, resource: 'brake/x', outcome: 'allowed' }, now);
  const told = { kind: AlertKind.BrakePulled, actor: 'user:x', summary: 'a fire', see: '/v1/brake' } as const;
  const alert = () => alertPart(tables.directory, told, now);
  await putBrake(tables.directory, brake, undefined, audit('PullBrake'), alert());
  await on.start();
  await settles(() => on.clock.nextIn(), 900_000);
  expect([await states(on, 'first'), await states(on, 'braked')]).toEqual([['queued', 'queued'], []]);
  await deleteBrake(tables.directory, brake, audit('ReleaseBrake'), alert());
  on.clock.forward(900_000);
  await on.until('monitor north 0', 'window south 1');
  expect(await states(on, 'braked')).toEqual(['queued', 'queued']);
  expect([await commandsOf(on, 'first'), await commandsOf(on, 'braked')]).toEqual([
    ['download-update', 'download-update'],
    ['download-update', 'download-update'],
  ]);
});

test('a device that cannot take part is recorded with the reason, and counted', async () => {
  const on = await begin();
  const [taken, moved] = on.devices('first');
  if (taken === undefined || moved === undefined) throw new Error('There are no devices.');
  await startExecution(tables.table, storedExecution(taken.id, { rolloutId: 'ro-other' }));
  await tables.table.client.send(
    new UpdateCommand({
      TableName: tables.table.name,
      Key: { pk: devicePartition(moved.id), sk: sortKeys.head },
      UpdateExpression: 'SET gsi1sk = :place',
      ExpressionAttributeValues: { ':place': unitSortKey('u-elsewhere', moved.id) },
    }),
  );
  await on.start();
  await on.until('monitor north 0', 'window south 1');
  const ended = await Promise.all([taken, moved].map(({ id }) => getExecuted(tables.table, id, on.id, 'forward')));
  expect(ended.map((execution) => execution?.status)).toEqual([
    { state: 'ineligible', reason: 'other-rollout' },
    { state: 'ineligible', reason: 'moved' },
  ]);
  expect(await commandsOf(on, 'first')).toEqual([]);
  await count(
    ended.filter((one) => one !== undefined),
    on,
  );
  // Said again, it is counted once.
  for (const execution of ended) if (execution !== undefined) await recordIneligible(tables.table, execution);
  await count(
    ended.filter((one) => one !== undefined),
    on,
  );
  expect((await listTallies(tables.directory, on.id))[0]?.reasons).toEqual({
    'ineligible:moved': 1,
    'ineligible:other-rollout': 1,
  });
});

describe('windows', () => {
  // Tuesday, 20:00 UTC is 15:00 in New York.
  const nights = [{ days: ['tue'], from: '22:00', to: '04:00' }] as const;
  const units = [
    { site: 'north', name: 'first', pumps: 1, wave: 0, windows: nights },
    { site: 'south', name: 'third', pumps: 1, wave: 1 },
  ] as unknown as Parameters<typeof MachineWorld.begin>[2];

  test('a site waits for its window; a schedule in its own zone opens it punctually, and vanishes', async () => {
    const on = await begin(units);
    await on.start();
    await on.until('window north 0', 'window south 1');
    const there = () =>
      on.schedules().map(({ definition: { name, expression, zone } }) => ({ name, expression, zone }));
    const expected = {
      name: `${on.id}-${on.siteId('north')}-0`,
      expression: 'at(2027-03-02T22:00:00)',
      zone: 'America/New_York',
    };
    // South is always open and waits for its turn only.
    await settles(there, [expected]);
    expect(expected.name.length).toBeLessThanOrEqual(64);
    on.clock.forward(6 * hour);
    await on.look();
    await on.until('window north 0', 'window south 1');
    // Nobody looks from here on but the schedule.
    on.clock.forward(hour);
    await on.until('monitor north 0', 'window south 1');
    await settles(there, []);
  });

  test('a schedule that cannot be made holds up nobody: the window is looked at each minute', async () => {
    const on = await begin(units);
    on.deny('scheduler:CreateSchedule');
    await on.start();
    await on.until('window north 0', 'window south 1');
    await settles(() => on.reported, ['the opening of the window was not scheduled']);
    on.clock.forward(7 * hour);
    await on.look();
    await on.until('monitor north 0', 'window south 1');
  });
});

test('a site that is broken is tried again each quarter of an hour, and ends no other', async () => {
  const on = await begin();
  const restore = await on.losePlan('south');
  await on.start();
  await on.until('monitor north 0', 'window south 1');
  await on.promote(0);
  await on.until('monitor north 1');
  await settles(() => on.clock.nextIn(), 900_000);
  on.clock.forward(900_000);
  await settles(() => on.steps.filter((step) => step === 'dispatch south').length, 2);
  // The second try has failed, too, before the plan is there again.
  await settles(() => on.clock.nextIn(), 900_000);
  restore();
  on.clock.forward(900_000);
  await on.until('monitor north 1', 'monitor south 1');
  expect(await states(on, 'third')).toEqual(['queued', 'queued']);
});

test('a lost token is found: a wait whose time is over is begun anew', async () => {
  const on = await begin();
  await on.start();
  await on.until('monitor north 0', 'window south 1');
  const tokens = new Set((await on.waits()).map(({ token }) => token));
  on.clock.forward(48 * hour);
  await settles(async () => (await on.waits()).filter(({ token }) => !tokens.has(token)).length, 1);
  await on.promote(0);
  await on.until('monitor north 1', 'monitor south 1');
});

test('a large wave is told in parts, and a function that dies in the middle is carried on', async () => {
  const on = await begin([
    { site: 'north', name: 'first', pumps: 120, wave: 0 },
    { site: 'south', name: 'third', pumps: 1, wave: 1 },
  ]);
  on.lots = 1;
  await on.start();
  await settles(() => on.clock.nextIn(), 30_000);
  expect(await on.of('first')).toHaveLength(50);
  on.clock.forward(30_000);
  await settles(() => on.clock.nextIn(), 30_000);
  expect(await on.of('first')).toHaveLength(100);
  await on.kill();
  await on.boot();
  on.clock.forward(30_000);
  await on.until('monitor north 0', 'window south 1');
  expect((await on.of('first')).map(({ rank }) => rank)).toEqual(Array.from({ length: 120 }, (_, rank) => rank));
  expect(await commandsOf(on, 'first')).toHaveLength(120);
}, 120_000);

test('killed and started again in the middle of everything, it goes on and comes to the same end', async () => {
  const on = await begin();
  // The function tells the devices, and dies before it can say so.
  on.hanging.add('dispatch north');
  await on.start();
  await settles(async () => (await commandsOf(on, 'first')).length, 2);
  await on.kill();
  on.hanging.clear();
  await on.boot();
  await on.until('monitor north 0', 'window south 1');
  expect(await commandsOf(on, 'first')).toHaveLength(2);

  await on.kill();
  await on.boot();
  await on.promote(0);
  await on.until('monitor north 1', 'monitor south 1');

  await on.change({ kind: 'pause', by: 'operator', words: 'a question' });
  await on.until('hold north 1', 'hold south 1');
  await on.kill();
  await on.boot();
  await on.change({ kind: 'resume' });
  await on.until('monitor north 1', 'monitor south 1');
  await on.promote(1);
  await on.until('finish north', 'finish south');
  on.clock.forward(24 * hour);
  await on.kill();
  await on.boot();
  await on.change({ kind: 'soaked', unfinished: 0 });
  await on.until();
  await settles(() => on.executions(), ['ro SUCCEEDED', 'ro-north SUCCEEDED', 'ro-south SUCCEEDED']);
  expect([await states(on, 'first'), await states(on, 'second'), await states(on, 'third')]).toEqual([
    ['queued', 'queued'],
    ['queued'],
    ['queued', 'queued'],
  ]);
}, 90_000);

test('after many turns another execution takes the site over where it was', async () => {
  const on = await begin();
  await on.change({ kind: 'start' });
  await on.startSite('north', 'turning', 99);
  await on.until('monitor north 0');
  await on.change({ kind: 'pause', by: 'operator', words: 'the hundredth' });
  await on.until('hold north 0');
  await on.change({ kind: 'resume' });
  await on.until('monitor north 0');
  await settles(() => on.executions(), ['turning RUNNING', 'turning-1 RUNNING']);
  expect(on.steps.filter((step) => step === 'dispatch north')).toHaveLength(1);
  await on.change({ kind: 'abort' });
  await on.until('finish north');
  await on.change({ kind: 'settled', activating: 0 });
  await on.until();
  await settles(() => on.executions(), ['turning SUCCEEDED', 'turning-1 SUCCEEDED']);
});
