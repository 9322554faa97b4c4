import { randomUUID } from 'node:crypto';
import type { Brake } from '../../../../shared/brake/brake.ts';
import type { StoredCommand } from '../../../../shared/commands/command.ts';
import { listStoredCommands } from '../../../../shared/commands/store.ts';
import { queueCommand } from '../../../../shared/commands/writer.ts';
import { type Device, DeviceClass } from '../../../../shared/devices/device.ts';
import { serveCheckIn } from '../../../../shared/devices/serve-check-in.ts';
import { transact } from '../../../../shared/devices/store.ts';
import type { CheckInMessage } from '../../../../shared/protocols/agent/messages.ts';
import { readAway, takeSparePart } from '../../../../shared/rollouts/admission/spares-store.ts';
import { callerFor, enrol, infusionPump, message, queue, start } from '../../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../../support/devices-table.ts';
import { createUnit, gateMeans } from '../../../support/gates.ts';

const siteId = `s-${'1'.repeat(26)}`;
const minute = 60_000;
const hour = 60 * minute;
let devices: DevicesTable;

beforeAll(async () => {
  devices = await startDevicesTable();
}, 90_000);
afterAll(() => devices[Symbol.asyncDispose]());

async function ward(count: number, keep?: number, deviceClass: DeviceClass = DeviceClass.InfusionPump) {
  const unitId = `u-${randomUUID().replaceAll('-', '').slice(0, 26)}`;
  await createUnit(devices, siteId, unitId, 'T2', keep === undefined ? {} : { spares: { [deviceClass]: keep } });
  const enrolled: Device[] = [];
  for (let n = 0; n < count; n += 1) {
    const device = { ...infusionPump(`SPARE-${randomUUID()}`), class: deviceClass, siteId, unitId };
    enrolled.push(await enrol(devices.table, device));
  }
  const place = { siteId, unitId, class: deviceClass };
  const away = async (now: number) => Object.keys(await readAway(devices.directory, place, new Date(now))).sort();
  return { pumps: enrolled as [Device, Device, ...Device[]], place, away };
}

async function checkIn(
  device: Device,
  now: number,
  more: Partial<CheckInMessage> = {},
  means = gateMeans(devices.directory, () => now),
) {
  const clinical = { state: 'idle' as const, at: new Date(now).toISOString() };
  const posture = { battery: { percent: 90, charging: true } };
  const outcome = await serveCheckIn(
    devices.table,
    { caller: callerFor(device), message: message(now, { clinical, posture, ...more }), receivedAt: now },
    { now: () => now, random: () => 0, ...means },
  );
  if ('refusal' in outcome) throw new Error(`refused: ${outcome.refusal}`);
  return outcome.reply.commands.map(({ type }) => type);
}

async function commandOf(device: Device): Promise<StoredCommand> {
  const [command] = (await listStoredCommands(devices.table, device.id, 1)).commands;
  if (command === undefined) throw new Error('There is no command.');
  return command;
}

const restart = { type: 'restart' };

describe('a single command that takes a device away takes a spare of its unit (R8)', () => {
  test('two pumps that race for the last spare: one restarts, the other waits with rule, reason and until', async () => {
    const { pumps, away } = await ward(4, 3);
    const [one, other] = pumps;
    for (const pump of [one, other]) await queue(devices.table, pump, restart);
    const handed = await Promise.all([checkIn(one, start), checkIn(other, start)]);
    expect(handed.flat()).toEqual(['restart']);
    const [first, second] = handed[0].length === 1 ? [one, other] : [other, one];
    expect(await away(start)).toEqual([first.id]);
    const waiting = await commandOf(second);
    expect(waiting).toMatchObject({
      status: 'deferred',
      deferredUntil: new Date(start + 5 * minute).toISOString(),
      history: [{}, {}, { source: 'admission', reason: expect.stringContaining('which can spare 1') }],
    });
    expect(waiting.decisions?.at(-1)).toMatchObject({ gate: 'admission', effect: 'defer', ruleId: 'R8' });

    // It is asked again at each check-in, and goes as soon as the first is back.
    expect(await checkIn(second, start + minute)).toEqual([]);
    const { id } = await commandOf(first);
    await checkIn(first, start + 2 * minute, { results: [{ commandId: id, status: 'acknowledged' }] });
    expect(await away(start + 2 * minute)).toEqual([]);
    expect(await checkIn(second, start + 3 * minute)).toEqual(['restart']);
    expect(await away(start + 3 * minute)).toEqual([second.id]);
  });

  test('one that a brake keeps back at the last look gives its spare back, unless another reply has carried it', async () => {
    const { pumps, away } = await ward(2, 1);
    const [pump] = pumps;
    await queue(devices.table, pump, restart);
    const pulledAt = new Date(start).toISOString();
    const pulled = { scope: 'network', reason: 'x', pulledBy: 'user:hal', pulledAt, version: 1 } as const;
    const means = gateMeans(devices.directory, () => start);
    const looks: Brake[][] = [[], [pulled]];
    const meanwhile = { ...means, readBrakes: async () => looks.shift() ?? [] };
    expect(await checkIn(pump, start, {}, meanwhile)).toEqual([]);
    expect(await commandOf(pump)).toMatchObject({ status: 'deferred' });
    expect(await away(start)).toEqual([]);

    // Both read the queue before the other wrote; the first to write hands it out, the other one leaves it alone.
    let first = true;
    const overtaken = async () => {
      if (!first) return [pulled];
      first = false;
      expect(await checkIn(pump, start)).toEqual(['restart']);
      return [];
    };
    expect(await checkIn(pump, start, {}, { ...means, readBrakes: overtaken })).toEqual([]);
    expect(await commandOf(pump)).toMatchObject({ status: 'delivered' });
    expect(await away(start)).toEqual([pump.id]);
  });

  test('of twelve at once exactly as many go as the unit can spare', async () => {
    const { pumps, away } = await ward(12, 8);
    for (const pump of pumps) await queue(devices.table, pump, restart);
    const handed = await Promise.all(pumps.map((pump) => checkIn(pump, start)));
    expect(handed.flat()).toHaveLength(4);
    expect(await away(start)).toHaveLength(4);
  });

  test('a device that never answers counts for two hours, then its place is free', async () => {
    const { pumps, away } = await ward(2, 1);
    const [silent, other] = pumps;
    await queue(devices.table, silent, restart);
    await checkIn(silent, start);
    await queue(devices.table, other, restart);
    expect(await checkIn(other, start + 2 * hour - minute)).toEqual([]);
    // Not later than the lease: then it is looked at again.
    expect((await commandOf(other)).deferredUntil).toBe(new Date(start + 2 * hour).toISOString());
    expect(await checkIn(other, start + 2 * hour)).toEqual(['restart']);
    expect(await away(start + 2 * hour)).toEqual([other.id]);
  });

  test('a lost reply is given again and takes nothing twice; "not now" and failure give back', async () => {
    const { pumps, away } = await ward(2, 1);
    const [pump] = pumps;
    await queue(devices.table, pump, restart);
    expect(await checkIn(pump, start)).toEqual(['restart']);
    expect(await checkIn(pump, start + minute)).toEqual(['restart']);
    expect(await away(start + minute)).toEqual([pump.id]);
    const { id } = await commandOf(pump);
    await checkIn(pump, start + 2 * minute, { results: [{ commandId: id, status: 'deferred', reason: 'in-use' }] });
    expect(await away(start + 2 * minute)).toEqual([]);
    expect(await checkIn(pump, start + 30 * minute)).toEqual(['restart']);
    await checkIn(pump, start + 31 * minute, { results: [{ commandId: id, status: 'failed', reason: 'blocked' }] });
    expect(await away(start + 31 * minute)).toEqual([]);
  });

  test('a unit that says nothing, and what people carry, is not limited', async () => {
    const said = await ward(2, 2, DeviceClass.Phone);
    const silent = await ward(3);
    for (const device of [...said.pumps, ...silent.pumps]) {
      await queue(devices.table, device, restart);
      expect(await checkIn(device, start)).toEqual(['restart']);
    }
    expect([await said.away(start), await silent.away(start)]).toEqual([[], []]);
  });

  test('what takes nobody anything away asks for no spare', async () => {
    const { pumps, away } = await ward(1, 1);
    for (const type of ['inventory', 'collect-logs', 'locate']) await queue(devices.table, pumps[0], { type });
    expect(await checkIn(pumps[0], start)).toEqual(['inventory', 'collect-logs', 'locate']);
    expect(await away(start)).toEqual([]);
  });

  test('a device that a rollout took stays the rollout’s, and needs no second spare', async () => {
    const { pumps, place } = await ward(2, 1);
    const [pump] = pumps;
    const taken = takeSparePart(devices.directory, place, pump.id, 'rollout ro-1', 1, new Date(start));
    await transact(devices.directory, [taken]);
    await queue(devices.table, pump, restart);
    expect(await checkIn(pump, start)).toEqual(['restart']);
    const { id } = await commandOf(pump);
    await checkIn(pump, start + minute, { results: [{ commandId: id, status: 'acknowledged' }] });
    const away = await readAway(devices.directory, place, new Date(start + minute));
    expect(away[pump.id]).toEqual({ by: 'rollout ro-1', since: new Date(start).toISOString() });
  });

  test('an emergency does not wait for a spare, but is counted', async () => {
    const { pumps, away } = await ward(2, 2);
    const [pump, other] = pumps;
    const asked = (device: Device, breakGlass: boolean) =>
      queueCommand(
        { devices: devices.table, directory: devices.directory },
        {
          deviceId: device.id,
          request: restart,
          requestedBy: 'user:anna',
          ...(breakGlass ? { breakGlass: { reasonCode: 'active-attack', text: 'It attacks others.' } as const } : {}),
          entry: { actor: 'user:anna', action: 'RestartDevice', resource: `device/${device.id}`, outcome: 'allowed' },
          now: new Date(start),
        },
      );
    await asked(other, false);
    expect(await checkIn(other, start)).toEqual([]);
    await asked(pump, true);
    expect(await checkIn(pump, start)).toEqual(['restart']);
    expect(await away(start)).toEqual([pump.id]);
  });

  test('an erased device is away until it enrols anew, one that is locked with a PIN until its time is over', async () => {
    const { pumps, away } = await ward(3, 1);
    const [wiped, locked] = pumps;
    for (const pump of [wiped, locked]) await checkIn(pump, start);
    await queue(devices.table, wiped, { type: 'wipe' }, start);
    await queue(devices.table, locked, { type: 'lock', parameters: { pin: '123456' } }, start);
    expect([await checkIn(wiped, start + 1_000), await checkIn(locked, start + 1_000)]).toEqual([['wipe'], ['lock']]);
    for (const pump of [wiped, locked]) {
      const { id } = await commandOf(pump);
      await checkIn(pump, start + minute, {
        posture: { locked: true },
        results: [{ commandId: id, status: 'acknowledged' }],
      });
    }
    expect(await away(start + hour)).toEqual([wiped.id, locked.id].sort());
    expect(await away(start + 25 * hour)).toEqual([]);
  });
});
