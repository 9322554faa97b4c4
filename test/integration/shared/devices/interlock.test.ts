import type { Brake } from '../../../../shared/brake/brake.ts';
import { getCommand } from '../../../../shared/commands/writer.ts';
import type { Device } from '../../../../shared/devices/device.ts';
import { serveCheckIn } from '../../../../shared/devices/serve-check-in.ts';
import type { CheckInMessage } from '../../../../shared/protocols/agent/messages.ts';
import { callerFor, enrol, infusionPump, message, queue, start } from '../../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../../support/devices-table.ts';
import { createUnit, gateMeans } from '../../../support/gates.ts';

const siteId = `s-${'1'.repeat(26)}`;
const unitId = `u-${'2'.repeat(26)}`;
const minute = 60_000;
let devices: DevicesTable;
let serials = 0;

beforeAll(async () => {
  devices = await startDevicesTable();
  await createUnit(devices, siteId, unitId, 'T2');
}, 90_000);
afterAll(() => devices[Symbol.asyncDispose]());

const pump = (): Promise<Device> => {
  serials += 1;
  return enrol(devices.table, { ...infusionPump(`INTERLOCK-${serials}`), siteId, unitId });
};

async function checkIn(device: Device, now: number, more: Partial<CheckInMessage> = {}) {
  const outcome = await serveCheckIn(
    devices.table,
    { caller: callerFor(device), message: message(now, more), receivedAt: now },
    { now: () => now, random: () => 0, ...gateMeans(devices.directory, () => now) },
  );
  if ('refusal' in outcome) throw new Error(`refused: ${outcome.refusal}`);
  return outcome.reply;
}

const says = (state: 'idle' | 'in-use' | 'unknown', at: number) => ({
  clinical: { state, at: new Date(at).toISOString() },
});
const at = (time: number) => new Date(time).toISOString();
const commandOf = (device: Device, id: string, now: number) => getCommand(devices.table, device.id, id, new Date(now));

describe('the interlock in the life of a command', () => {
  test('in use: deferred when it is queued, with reason and until; idle: handed out at that very check-in', async () => {
    const device = await pump();
    await checkIn(device, start, says('in-use', start));
    const { command } = await queue(devices.table, device, { type: 'restart' }, start + 1_000);
    expect(command).toMatchObject({
      status: 'deferred',
      deferredUntil: at(start + 1_000 + 30 * minute),
      history: [
        { status: 'queued' },
        { status: 'deferred', source: 'interlock', reason: 'The device says that it is in use.' },
      ],
    });

    const busy = await checkIn(device, start + minute, says('in-use', start));
    expect(busy.commands).toEqual([]);
    expect(busy.nextCheckInSeconds).toBeLessThanOrEqual(30 * 60);

    const free = await checkIn(device, start + 2 * minute, says('idle', start + 2 * minute));
    expect(free.commands.map(({ id }) => id)).toEqual([command.id]);
    const { decisions = [], history } = await commandOf(device, command.id, start + 2 * minute);
    expect(history.map(({ status, source }) => `${status} ${source}`)).toEqual([
      'queued user:anna',
      'deferred interlock',
      'delivered check-in',
    ]);
    const interlock = decisions.filter(({ gate }) => gate === 'interlock');
    expect(interlock).toMatchObject([
      { effect: 'defer', ruleId: 'R11', at: at(start + 1_000) },
      { effect: 'allow', ruleId: 'R1', at: at(start + 2 * minute) },
    ]);
    expect(interlock.at(-1)?.inputs).toContainEqual({
      signal: 'device-state',
      value: 'idle',
      source: 'device',
      at: at(start + 2 * minute),
      ageSeconds: 0,
    });
    expect(interlock.at(-1)?.inputs).toContainEqual(expect.objectContaining({ signal: 'tier', value: 'T2' }));
  });

  test('a device that does not say what it does gets nothing, though it once was idle', async () => {
    const device = await pump();
    await checkIn(device, start, says('idle', start));
    const { command } = await queue(devices.table, device, { type: 'restart' }, start + 5 * minute);
    expect(command).toMatchObject({ status: 'deferred', history: [{}, { reason: expect.stringContaining('60 s') }] });
    expect((await checkIn(device, start + 6 * minute)).commands).toEqual([]);
    expect((await checkIn(device, start + 7 * minute, says('unknown', start))).commands).toEqual([]);
    expect((await checkIn(device, start + 8 * minute, says('idle', start))).commands).toHaveLength(1);
  });

  test('a message that was long on its way says nothing of now', async () => {
    const device = await pump();
    await checkIn(device, start, says('idle', start));
    await queue(devices.table, device, { type: 'restart' }, start + 1_000);
    const late = { caller: callerFor(device), message: message(start + 2_000, says('idle', start)) };
    const now = start + 10 * minute;
    const surroundings = { now: () => now, random: () => 0, ...gateMeans(devices.directory, () => now) };
    const outcome = await serveCheckIn(devices.table, { ...late, receivedAt: now }, surroundings);
    expect(outcome).toMatchObject({ reply: { commands: [] } });
  });

  test('nor does one whose age nobody knows: hours late, or from a clock that is wrong', async () => {
    const device = await pump();
    await checkIn(device, start, says('in-use', start));
    await queue(devices.table, device, { type: 'restart' }, start + 1_000);
    const send = async (madeAt: number, now: number, more: Partial<CheckInMessage> = says('idle', madeAt)) => {
      const late = { caller: callerFor(device), message: message(madeAt, more), receivedAt: now };
      const surroundings = { now: () => now, random: () => 0, ...gateMeans(devices.directory, () => now) };
      return serveCheckIn(devices.table, late, surroundings);
    };
    const nothing = { reply: { commands: [] } };
    // It lay in the device while the network was away, and what it said then is no news of now, nor a moment later.
    expect(await send(start - 3 * 60 * minute, start + minute)).toMatchObject(nothing);
    expect(await send(start + minute + 5_000, start + minute + 5_000, {})).toMatchObject(nothing);
    // An hour ahead, so that what seems new can be an hour old.
    expect(await send(start + 60 * minute, start + 2 * minute)).toMatchObject(nothing);
    expect(await send(start + 3 * minute, start + 3 * minute)).toMatchObject({ reply: { commands: [{}] } });
  });

  test('a restart from a time on is decided at that time, not handed out for the device to keep', async () => {
    const device = await pump();
    await checkIn(device, start, says('idle', start));
    const notBefore = at(start + 30 * minute);
    const { command } = await queue(
      devices.table,
      device,
      { type: 'restart', parameters: { notBefore } },
      start + 1_000,
    );
    expect(command).toMatchObject({ status: 'deferred', deferredUntil: notBefore });
    expect((await checkIn(device, start + 2_000, says('idle', start))).commands).toEqual([]);
    const then = start + 31 * minute;
    expect((await checkIn(device, then, says('in-use', then))).commands).toEqual([]);
    expect((await checkIn(device, then + minute, says('idle', then + minute))).commands).toHaveLength(1);
    const late = { type: 'restart', parameters: { notBefore: at(start + 25 * 60 * minute) } };
    await expect(queue(devices.table, device, late)).rejects.toMatchObject({
      problem: { status: 400, errors: [{ pointer: '/parameters/notBefore' }] },
    });
  });

  test('one that was handed out is not handed out again in use, and stays delivered', async () => {
    const device = await pump();
    await checkIn(device, start, says('idle', start));
    const { command } = await queue(devices.table, device, { type: 'restart' }, start + 1_000);
    expect(command.status).toBe('queued');
    expect((await checkIn(device, start + 2_000, says('idle', start))).commands).toHaveLength(1);
    expect((await checkIn(device, start + 3_000, says('in-use', start + 3_000))).commands).toEqual([]);
    expect((await commandOf(device, command.id, start + 3_000)).status).toBe('delivered');
    expect((await checkIn(device, start + minute, says('idle', start + minute))).commands).toHaveLength(1);
  });

  test('a brake that is pulled while the delivery is written keeps it here', async () => {
    const device = await pump();
    await checkIn(device, start, says('idle', start));
    const { command } = await queue(devices.table, device, { type: 'restart' }, start + 1_000);
    const locate = await queue(devices.table, device, { type: 'locate' }, start + 1_000);
    const pulled = {
      scope: 'site',
      siteId,
      reason: 'x',
      pulledBy: 'user:hal',
      pulledAt: at(start),
      version: 1,
    } as const;
    const now = start + 2_000;
    const send = async (...states: (readonly Brake[])[]) => {
      const incoming = { caller: callerFor(device), message: message(now, says('idle', start)), receivedAt: now };
      const readBrakes = async () => states.shift() ?? [];
      const means = { now: () => now, random: () => 0, ...gateMeans(devices.directory, () => now), readBrakes };
      return serveCheckIn(devices.table, incoming, means);
    };
    expect(await send([], [pulled])).toMatchObject({ reply: { commands: [{ id: locate.command.id }] } });
    const kept = await commandOf(device, command.id, now);
    expect(kept).toMatchObject({ status: 'deferred', history: [{}, { status: 'delivered' }, { source: 'brake' }] });
    expect(kept.decisions?.at(-1)).toMatchObject({ gate: 'brake', effect: 'defer' });
    // Once a reply has carried it, it stays delivered: the device may be at it.
    expect(await send([], [])).toMatchObject({ reply: { commands: [{ id: command.id }, { id: locate.command.id }] } });
    expect(await send([], [pulled])).toMatchObject({ reply: { commands: [{ id: locate.command.id }] } });
    expect((await commandOf(device, command.id, now)).status).toBe('delivered');
  });

  test('erasing a device in use, or one nobody knows of, is refused with the reason', async () => {
    const device = await pump();
    await expect(queue(devices.table, device, { type: 'wipe' })).rejects.toMatchObject({
      problem: { status: 409, gate: 'interlock', ruleId: 'R1', inputs: expect.any(Array) },
    });
    await checkIn(device, start, says('in-use', start));
    await expect(queue(devices.table, device, { type: 'wipe' }, start + 1)).rejects.toMatchObject({
      problem: { status: 409, gate: 'interlock', ruleId: 'R2' },
    });
  });

  test('an update waits for the maintenance window of the unit', async () => {
    const night = `u-${'3'.repeat(26)}`;
    await createUnit(devices, siteId, night, 'T2', {
      maintenanceWindows: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'], from: '04:00', to: '05:00' }],
    });
    serials += 1;
    const device = await enrol(devices.table, { ...infusionPump(`INTERLOCK-${serials}`), siteId, unitId: night });
    const idle = { ...says('idle', start), posture: { battery: { percent: 80, charging: true } } };
    await checkIn(device, start, idle);
    const request = { type: 'install-update', parameters: { version: '2', activate: 'now' } };
    // 08:00 UTC is 03:00 in New York.
    const { command } = await queue(devices.table, device, request, start + 1_000);
    expect(command).toMatchObject({
      status: 'deferred',
      deferredUntil: '2026-03-02T09:00:00.000Z',
      history: [{}, { reason: 'The maintenance window opens at 2026-03-02T09:00:00.000Z.' }],
    });
    const reply = await checkIn(device, start + minute, says('idle', start));
    expect(reply).toMatchObject({ commands: [], nextCheckInSeconds: 59 * 60 });
    const opened = Date.parse('2026-03-02T09:00:00.000Z');
    expect((await checkIn(device, opened, says('idle', start))).commands).toHaveLength(1);
  });
});

describe('what it costs', () => {
  test('a check-in with nothing to hand out stays one request; one with a command that waits writes nothing either', async () => {
    const device = await pump();
    await checkIn(device, start, says('in-use', start));
    devices.requests();
    await checkIn(device, start + minute, says('in-use', start));
    expect(devices.requests()).toEqual([{ operation: 'Query', readUnits: 0.5, writeUnits: 0 }]);

    await queue(devices.table, device, { type: 'restart' }, start + minute);
    devices.requests();
    for (let n = 2; n < 30; n += 1) await checkIn(device, start + n * minute, says('in-use', start));
    expect(devices.requests().map(({ operation }) => operation)).toEqual(Array(28).fill('Query'));
  });
});
