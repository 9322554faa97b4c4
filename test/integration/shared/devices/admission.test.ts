import { randomUUID } from 'node:crypto';
import { TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import { TransactWriteCommand } from '@aws-sdk/lib-dynamodb';
import type { Table } from '../../../../shared/aws/dynamodb.ts';
import type { StoredCommand } from '../../../../shared/commands/command.ts';
import { getStoredCommand, listStoredCommands } from '../../../../shared/commands/store.ts';
import { queueCommand } from '../../../../shared/commands/writer.ts';
import type { Device } from '../../../../shared/devices/device.ts';
import { serveCheckIn } from '../../../../shared/devices/serve-check-in.ts';
import { transact } from '../../../../shared/devices/store.ts';
import type { CheckInMessage } from '../../../../shared/protocols/agent/messages.ts';
import { readAway, releaseSparePart } from '../../../../shared/rollouts/admission/spares-store.ts';
import { advance } from '../../../../shared/rollouts/executions/execution.ts';
import {
  getExecution,
  type StoredExecution,
  saveExecution,
} from '../../../../shared/rollouts/executions/execution-store.ts';
import type { RolloutEvent } from '../../../../shared/rollouts/rollout.ts';
import { getRollout, type StoredRollout, saveRollout } from '../../../../shared/rollouts/rollout-store.ts';
import { after, armedDevice, runningRollout } from '../../../support/activation.ts';
import { callerFor, enrol, infusionPump, message, queue } from '../../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../../support/devices-table.ts';
import { createUnit, gateMeans } from '../../../support/gates.ts';
import { rolloutBegin as start } from '../../../support/rollouts.ts';

const siteId = `s-${'1'.repeat(26)}`;
const minute = 60_000;
const lost = { deviceId: 'd-7', kind: 'alarm-path-lost', at: new Date(start).toISOString() } as const;
let devices: DevicesTable;

beforeAll(async () => {
  devices = await startDevicesTable();
}, 90_000);
afterAll(() => devices[Symbol.asyncDispose]());

/** A unit of its own for each test, so that nobody else's devices count. */
async function ward(pumps: number, keep?: number) {
  const unitId = `u-${randomUUID().replaceAll('-', '').slice(0, 26)}`;
  await createUnit(devices, siteId, unitId, 'T2', keep === undefined ? {} : { spares: { 'infusion-pump': keep } });
  const serials = Array.from({ length: pumps }, () => `ADMISSION-${randomUUID()}`);
  const enrolled: Device[] = [];
  for (const serial of serials) enrolled.push(await enrol(devices.table, { ...infusionPump(serial), siteId, unitId }));
  return { pumps: enrolled, place: { siteId, unitId, class: 'infusion-pump' } as const };
}

let rollouts = 0;
function running(more: Parameters<typeof runningRollout>[3] = {}): Promise<StoredRollout> {
  rollouts += 1;
  return runningRollout(devices, `ro-admission${rollouts}`, start, more);
}

async function change(id: string, ...events: RolloutEvent[]): Promise<void> {
  const before = await getRollout(devices.directory, id);
  if (before === undefined || !(await saveRollout(devices.directory, before, after(before, events, start), []))) {
    throw new Error('The rollout was not changed.');
  }
}

const free = (now: number): Partial<CheckInMessage> => ({
  clinical: { state: 'idle', at: new Date(now).toISOString() },
  posture: { battery: { percent: 90, charging: true } },
});

/** The table, for somebody who is overtaken by others between what was read and what is written. */
function beforeNextTransaction(table: Table, others: () => Promise<void>): Table {
  let waiting: (() => Promise<void>) | undefined = others;
  const client = new Proxy(table.client, {
    get(target, name) {
      if (name !== 'send') return Reflect.get(target, name);
      return async (command: Parameters<typeof target.send>[0]) => {
        const first = command instanceof TransactWriteCommand ? waiting : undefined;
        if (first !== undefined) waiting = undefined;
        await first?.();
        return target.send(command);
      };
    },
  });
  return { ...table, client };
}

/** The table, while the fence is taken by other transactions whenever one comes that looks at it. */
function withFenceInUse(table: Table): Table {
  const client = new Proxy(table.client, {
    get(target, name) {
      if (name !== 'send') return Reflect.get(target, name);
      return async (command: Parameters<typeof target.send>[0]) => {
        const items = command instanceof TransactWriteCommand ? (command.input.TransactItems ?? []) : [];
        const looks = items.map(({ ConditionCheck }) => String(ConditionCheck?.Key?.['pk']).includes('#FENCE#'));
        if (!looks.includes(true)) return target.send(command);
        throw new TransactionCanceledException({
          ...{ message: 'Transaction cancelled', $metadata: {} },
          CancellationReasons: looks.map((look) => ({ Code: look ? 'TransactionConflict' : 'None' })),
        });
      };
    },
  });
  return { ...table, client };
}

async function checkIn(
  device: Device,
  now: number,
  more: Partial<CheckInMessage> = free(now),
  table: Table = devices.table,
) {
  const outcome = await serveCheckIn(
    table,
    { caller: callerFor(device), message: message(now, more), receivedAt: now },
    { now: () => now, random: () => 0, ...gateMeans(devices.directory, () => now) },
  );
  if ('refusal' in outcome) throw new Error(`refused: ${outcome.refusal}`);
  return outcome.reply.commands.map(({ type }) => type);
}

const executionOf = async (device: Device): Promise<StoredExecution> => {
  const execution = await getExecution(devices.table, device.id, 'firmware');
  if (execution === undefined) throw new Error('There is no execution.');
  return execution;
};

describe('an activation is handed out only when it is let in', () => {
  test('spare, execution and delivery are written together, with the grounds', async () => {
    const { pumps, place } = await ward(3, 2);
    const [pump] = pumps as [Device];
    const rollout = await running();
    const { id } = await armedDevice(devices, rollout, pump, start);
    expect(await checkIn(pump, start)).toEqual(['activate-update']);

    expect(await executionOf(pump)).toMatchObject({ status: { state: 'activating' }, outOfService: true, version: 2 });
    expect(await readAway(devices.directory, place, new Date(start))).toEqual({
      [pump.id]: { by: `rollout ${rollout.id}`, since: new Date(start).toISOString() },
    });
    const command = await getStoredCommand(devices.table, pump.id, id);
    expect(command).toMatchObject({ status: 'delivered', approvedBy: 'user:bert' });
    expect(command?.decisions?.map(({ gate }) => gate)).toEqual([
      'authorization',
      'approval',
      'limiter',
      'interlock',
      'brake',
      'interlock',
      'admission',
    ]);
    expect(command?.decisions?.at(-1)).toMatchObject({
      effect: 'allow',
      ruleId: 'R8',
      inputs: expect.arrayContaining([
        { signal: 'out of service', value: 0, source: 'directory' },
        { signal: 'can spare', value: 1, source: 'directory' },
        { signal: 'rollout', value: rollout.id, source: 'directory' },
      ]),
    });
  });

  test('of many that come at once no more go than the unit can spare; the others wait with rule, reason and until', async () => {
    const { pumps, place } = await ward(9, 6);
    const rollout = await running();
    for (const pump of pumps) await armedDevice(devices, rollout, pump, start);
    const handed = await Promise.all(pumps.map((pump) => checkIn(pump, start)));
    const admitted = pumps.filter((_, n) => handed[n]?.length === 1);
    expect(admitted).toHaveLength(3);
    expect(Object.keys(await readAway(devices.directory, place, new Date(start))).sort()).toEqual(
      admitted.map(({ id }) => id).sort(),
    );
    for (const pump of pumps.filter((one) => !admitted.includes(one))) {
      expect((await executionOf(pump)).status.state).toBe('armed');
    }
    const [waiting] = pumps.filter((one) => !admitted.includes(one)) as [Device];
    expect(await checkIn(waiting, start + minute)).toEqual([]);
    // One comes back: the next that asks goes, though its time to be looked at again has not come.
    const [back] = admitted as [Device];
    await transact(devices.directory, [releaseSparePart(devices.directory, place, back.id)]);
    expect(await checkIn(waiting, start + 2 * minute)).toEqual(['activate-update']);
  });

  test('where the hospital says nothing, one goes at a time', async () => {
    const { pumps } = await ward(5);
    const rollout = await running();
    for (const pump of pumps) await armedDevice(devices, rollout, pump, start);
    const handed = await Promise.all(pumps.map((pump) => checkIn(pump, start)));
    expect(handed.flat()).toHaveLength(1);
    const waiting = pumps[handed.findIndex((commands) => commands.length === 0)] as Device;
    const [{ decisions, deferredUntil, history }] = await commandsOf(waiting);
    expect(history.at(-1)).toMatchObject({ status: 'deferred', source: 'admission' });
    expect(decisions?.at(-1)).toMatchObject({
      gate: 'admission',
      effect: 'defer',
      ruleId: 'R8',
      reason: '1 of its class are out of service in the unit, which can spare 1.',
    });
    expect(decisions?.at(-1)?.inputs[0]).toEqual({ signal: 'waits for', value: 'unit-budget', source: 'wardline' });
    expect(Date.parse(deferredUntil ?? '')).toBeGreaterThan(start);
  });

  test('a reply that was lost is given again, and takes nothing twice', async () => {
    const { pumps, place } = await ward(1);
    const [pump] = pumps as [Device];
    const rollout = await running();
    await armedDevice(devices, rollout, pump, start);
    const both = await Promise.all([checkIn(pump, start), checkIn(pump, start)]);
    expect(both).toEqual([['activate-update'], ['activate-update']]);
    // Also when the rollout was paused since: an activation is never interrupted.
    await change(rollout.id, { kind: 'pause', by: 'operator', words: 'Wait.' });
    expect(await checkIn(pump, start + minute)).toEqual(['activate-update']);
    expect(await executionOf(pump)).toMatchObject({ status: { state: 'activating' }, version: 2 });
    expect(Object.keys(await readAway(devices.directory, place, new Date(start)))).toEqual([pump.id]);
  });

  test.each([[1], [undefined]])('a restart does not interrupt an activation (spares: %s)', async (keep) => {
    const { pumps } = await ward(3, keep);
    const [pump] = pumps as [Device];
    await armedDevice(devices, await running(), pump, start);
    expect(await checkIn(pump, start)).toEqual(['activate-update']);
    await queue(devices.table, pump, { type: 'restart' }, start + minute);
    expect(await checkIn(pump, start + minute)).toEqual(['activate-update']);
    const [restart] = (await listStoredCommands(devices.table, pump.id, 10)).commands.filter(
      ({ type }) => type === 'restart',
    );
    expect(restart).toMatchObject({
      status: 'deferred',
      history: expect.arrayContaining([
        expect.objectContaining({ source: 'admission', reason: expect.stringContaining('being updated') }),
      ]),
    });
  });

  test('nor of a tablet; it is locked all the same, and in an emergency it does not wait', async () => {
    const { place } = await ward(0);
    const { siteId, unitId } = place;
    const serial = `ADMISSION-${randomUUID()}`;
    const tablet = await enrol(devices.table, { ...infusionPump(serial), class: 'tablet', siteId, unitId });
    await armedDevice(devices, await running(), tablet, start);
    expect(await checkIn(tablet, start)).toEqual(['activate-update']);
    await queue(devices.table, tablet, { type: 'restart' }, start + minute);
    await queue(devices.table, tablet, { type: 'lock' }, start + minute);
    expect(await checkIn(tablet, start + minute)).toEqual(['lock', 'activate-update']);
    const open = (await listStoredCommands(devices.table, tablet.id, 10)).commands;
    expect(open.find(({ type }) => type === 'restart')).toMatchObject({ status: 'deferred' });
    await queueCommand(
      { devices: devices.table, directory: devices.directory },
      {
        deviceId: tablet.id,
        request: { type: 'restart' },
        requestedBy: 'user:anna',
        breakGlass: { reasonCode: 'active-attack', text: 'It attacks others.' },
        entry: { actor: 'user:anna', action: 'RestartDevice', resource: `device/${tablet.id}`, outcome: 'allowed' },
        now: new Date(start + 2 * minute),
      },
    );
    expect(await checkIn(tablet, start + 2 * minute)).toContain('restart');
  });

  test('a pause, a skipped site and a later wave hold at that very check-in', async () => {
    const { pumps } = await ward(2);
    const [pump, later] = pumps as [Device, Device];
    const rollout = await running();
    await armedDevice(devices, rollout, pump, start);
    await armedDevice(devices, rollout, later, start, { wave: 1 });
    expect(await checkIn(later, start)).toEqual([]);
    expect((await commandsOf(later))[0]?.decisions?.at(-1)).toMatchObject({
      ruleId: 'R10',
      reason: 'An earlier wave is not promoted.',
    });
    await change(rollout.id, { kind: 'pause', by: 'operator', words: 'Two pumps beep.' });
    expect(await checkIn(pump, start)).toEqual([]);
    expect((await commandsOf(pump))[0]?.decisions?.at(-1)).toMatchObject({ ruleId: 'R10', reason: 'Two pumps beep.' });
    await change(rollout.id, { kind: 'resume' }, { kind: 'skip-site', siteId });
    expect(await checkIn(pump, start + minute)).toEqual([]);
    expect((await executionOf(pump)).status.state).toBe('armed');
  });

  test.each([
    ['a pause', { kind: 'pause', by: 'operator', words: 'Two pumps beep.' }, 'Two pumps beep.'],
    ['a site that is left out', { kind: 'skip-site', siteId }, 'The site is skipped.'],
    ['a safety event', { kind: 'safety', event: lost }, 'd-7: alarm-path-lost.'],
  ] as const)(
    '%s holds also when it comes after the rollout was read and before it is let in',
    async (_name, event, words) => {
      const { pumps, place } = await ward(2, 0);
      const [pump, other] = pumps as [Device, Device];
      const rollout = await running();
      await armedDevice(devices, rollout, pump, start);
      await armedDevice(devices, rollout, other, start);
      const overtaken = beforeNextTransaction(devices.table, () => change(rollout.id, event));
      expect(await checkIn(pump, start, free(start), overtaken)).toEqual([]);
      expect((await executionOf(pump)).status.state).toBe('armed');
      expect(await readAway(devices.directory, place, new Date(start))).toEqual({});
      expect((await commandsOf(pump))[0]?.decisions?.at(-1)).toMatchObject({
        effect: 'defer',
        ruleId: 'R10',
        reason: words,
      });
    },
  );

  test('where others are in its way all the time it waits with a reason, and its check-in is answered', async () => {
    const { pumps, place } = await ward(1, 0);
    const [pump] = pumps as [Device];
    const rollout = await running();
    await armedDevice(devices, rollout, pump, start);
    expect(await checkIn(pump, start, free(start), withFenceInUse(devices.table))).toEqual([]);
    expect((await commandsOf(pump))[0]?.decisions?.at(-1)).toMatchObject({
      ...{ effect: 'defer', ruleId: 'R8', reason: 'Others are being let in at this moment.' },
    });
    expect(await readAway(devices.directory, place, new Date(start))).toEqual({});
    expect(await checkIn(pump, start + 6 * minute)).toEqual(['activate-update']);
  });

  test('what only goes on in between holds nobody up', async () => {
    const { pumps } = await ward(1, 0);
    const [pump] = pumps as [Device];
    const rollout = await running();
    await armedDevice(devices, rollout, pump, start);
    await change(rollout.id, { kind: 'pause', by: 'operator', words: 'Wait.' }, { kind: 'resume' });
    const elsewhere: RolloutEvent = { kind: 'wave', wave: 0, event: { kind: 'windows-closed', until: start + minute } };
    await change(rollout.id, elsewhere, { kind: 'wave', wave: 0, event: { kind: 'window-opened' } });
    expect(await checkIn(pump, start)).toEqual(['activate-update']);
  });

  test('a device whose execution ended or was put off is treated as that says', async () => {
    const { pumps } = await ward(2, 0);
    const [ended, putOff] = pumps as [Device, Device];
    const rollout = await running();
    for (const pump of [ended, putOff]) await armedDevice(devices, rollout, pump, start);
    const step = async (pump: Device, event: Parameters<typeof advance>[1]) => {
      const before = await executionOf(pump);
      const next = advance(before, event, before.version, start);
      if (!next.ok || !(await saveExecution(devices.table, before, next.value as StoredExecution))) throw new Error();
    };
    await step(ended, { kind: 'cancel', reason: 'withdrawn' });
    await step(putOff, { kind: 'defer', reason: 'in-use', until: start + 30 * minute });
    expect(await checkIn(ended, start)).toEqual([]);
    expect((await executionOf(ended)).status.state).toBe('cancelled');
    // It became free before anybody looked again.
    expect(await checkIn(putOff, start + minute)).toEqual(['activate-update']);
    expect((await executionOf(putOff)).status.state).toBe('activating');
  });

  test('a device that gave it back is not let in again before that is noted', async () => {
    const { pumps } = await ward(1);
    const [pump] = pumps as [Device];
    const { id } = await armedDevice(devices, await running(), pump, start);
    await checkIn(pump, start);
    const until = new Date(start + 5 * minute).toISOString();
    const result = { commandId: id, status: 'deferred' as const, reason: 'alarm sounding', until };
    await checkIn(pump, start + minute, { ...free(start + minute), results: [result] });
    expect(await checkIn(pump, start + 6 * minute)).toEqual([]);
    const before = await executionOf(pump);
    expect(before.status.state).toBe('activating');
    const event = { kind: 'given-back', reason: 'in-use', until: start + 7 * minute } as const;
    const back = advance(before, event, before.version, start + 6 * minute);
    if (!back.ok) throw new Error(back.reason);
    await saveExecution(devices.table, before, back.value as StoredExecution);
    expect(await checkIn(pump, start + 8 * minute)).toEqual(['activate-update']);
  });

  test('a device that another rollout has taken out of service is not activated a second time meanwhile', async () => {
    const { pumps, place } = await ward(2, 0);
    const [pump] = pumps as [Device];
    const firmware = await running();
    const app = await running({ artifact: { ...firmware.definition.artifact, kind: 'app', name: 'drug-library' } });
    await armedDevice(devices, firmware, pump, start);
    await armedDevice(devices, app, pump, start);
    // Both are asked for in one check-in.
    expect(await checkIn(pump, start)).toHaveLength(1);
    const [first, second] = await Promise.all(
      ['firmware', 'app'].map((kind) => getExecution(devices.table, pump.id, kind)),
    );
    const letIn = first?.status.state === 'activating' ? first : second;
    const waits = letIn === first ? second : first;
    expect([letIn?.status.state, waits?.status.state]).toEqual(['activating', 'armed']);
    expect(await checkIn(pump, start + minute)).toHaveLength(1);
    expect(await readAway(devices.directory, place, new Date(start))).toMatchObject({
      [pump.id]: { by: `rollout ${letIn?.rolloutId}` },
    });
    await transact(devices.directory, [releaseSparePart(devices.directory, place, pump.id)]);
    await checkIn(pump, start + 10 * minute);
    const gone = await getExecution(devices.table, pump.id, waits?.artifactKind ?? '');
    expect(gone?.status.state).toBe('activating');
  });

  test('a device of another class than it was planned with takes no spare that nobody would give back', async () => {
    const { pumps, place } = await ward(1);
    const [pump] = pumps as [Device];
    await armedDevice(devices, await running(), pump, start, { class: 'other' });
    expect(await checkIn(pump, start)).toEqual([]);
    expect(await readAway(devices.directory, place, new Date(start))).toEqual({});
  });

  test('an inventory from before it was handed out verifies nothing', async () => {
    const { pumps } = await ward(1);
    const [pump] = pumps as [Device];
    await checkIn(pump, start - minute, { ...free(start - minute), inventory: { os: { version: '9.4.1' } } });
    const rollout = await running();
    await change(rollout.id, { kind: 'roll-back' });
    const back = await getRollout(devices.directory, rollout.id);
    const { id } = await armedDevice(devices, back ?? rollout, pump, start, { direction: 'back' });
    expect(await checkIn(pump, start)).toEqual(['activate-update']);
    await checkIn(pump, start + minute, { results: [{ commandId: id, status: 'acknowledged' as const }] });
    expect((await getStoredCommand(devices.table, pump.id, id))?.status).toBe('acknowledged');
    await checkIn(pump, start + 2 * minute, { inventory: { os: { version: '9.4.1' } } });
    expect((await getStoredCommand(devices.table, pump.id, id))?.status).toBe('verified');
  });

  test('what the interlock holds back is not looked at further; the device’s own word is what is noted', async () => {
    const { pumps } = await ward(1);
    const [pump] = pumps as [Device];
    await checkIn(pump, start, { clinical: { state: 'in-use', at: new Date(start).toISOString() } });
    const { status } = await armedDevice(devices, await running(), pump, start);
    expect(status).toBe('queued');
    devices.requests();
    const busy = { ...free(start), clinical: { state: 'in-use' as const, at: new Date(start).toISOString() } };
    expect(await checkIn(pump, start, busy)).toEqual([]);
    expect(devices.requests().map(({ operation }) => operation)).not.toContain('GetItem');
    expect((await executionOf(pump)).status.state).toBe('armed');
    const [{ history }] = await commandsOf(pump);
    expect(history.at(-1)).toMatchObject({
      status: 'deferred',
      source: 'interlock',
      reason: 'The device says that it is in use.',
    });
  });

  test('costs two reads of the Devices table and one transaction more than any command', async () => {
    const { pumps } = await ward(4, 3);
    const [pump] = pumps as [Device];
    await checkIn(pump, start - minute);
    await armedDevice(devices, await running(), pump, start);
    devices.requests();
    await checkIn(pump, start);
    const made = devices.requests();
    expect(made.map(({ operation }) => operation).sort()).toEqual(
      [
        'GetItem',
        'Query',
        'Query',
        'TransactWriteItems',
        ...made.filter(({ operation }) => operation === 'UpdateItem').map(({ operation }) => operation),
      ].sort(),
    );
  });

  test('an inventory that came before the word that it is done verifies it', async () => {
    const { pumps } = await ward(1);
    const [pump] = pumps as [Device];
    const rollout = await running();
    const { id } = await armedDevice(devices, rollout, pump, start);
    await checkIn(pump, start);
    const { version } = rollout.definition.artifact;
    await checkIn(pump, start + minute, { ...free(start + minute), inventory: { os: { version } } });
    expect((await getStoredCommand(devices.table, pump.id, id))?.status).toBe('delivered');
    const done = { commandId: id, status: 'acknowledged' as const };
    await checkIn(pump, start + 2 * minute, { results: [done] });
    expect((await getStoredCommand(devices.table, pump.id, id))?.status).toBe('verified');
  });

  test('the way back is verified when another version runs', async () => {
    const { pumps } = await ward(1);
    const [pump] = pumps as [Device];
    const rollout = await running();
    await change(rollout.id, { kind: 'roll-back' });
    const back = await getRollout(devices.directory, rollout.id);
    const { id } = await armedDevice(devices, back ?? rollout, pump, start, { direction: 'back' });
    expect(await checkIn(pump, start)).toEqual(['activate-update']);
    const done = { commandId: id, status: 'acknowledged' as const };
    const { version } = rollout.definition.artifact;
    await checkIn(pump, start + minute, { inventory: { os: { version } }, results: [done] });
    expect((await getStoredCommand(devices.table, pump.id, id))?.status).toBe('acknowledged');
    await checkIn(pump, start + 2 * minute, { inventory: { os: { version: '9.4.1' } } });
    expect((await getStoredCommand(devices.table, pump.id, id))?.status).toBe('verified');
  });
});

async function commandsOf(device: Device) {
  const { commands } = await listStoredCommands(devices.table, device.id, 10);
  return commands as [StoredCommand];
}
