import { shadowHandlers } from '../../../functions/manage-interlock/shadow.ts';
import { signalHandlers } from '../../../functions/manage-interlock/signals.ts';
import { keepRecord, readTrail } from '../../../shared/audit/store.ts';
import { revokeThroughGates } from '../../../shared/commands/revocation.ts';
import { getCommand } from '../../../shared/commands/writer.ts';
import type { Device } from '../../../shared/devices/device.ts';
import { devicePartition } from '../../../shared/devices/keys.ts';
import { serveCheckIn } from '../../../shared/devices/serve-check-in.ts';
import { getDevice } from '../../../shared/devices/store.ts';
import { serve } from '../../../shared/http/api.ts';
import { Guard } from '../../../shared/identity/guard.ts';
import { loadPolicies } from '../../../shared/identity/policy-set.ts';
import { defaultInterlock } from '../../../shared/interlock/settings.ts';
import { defaultLimits } from '../../../shared/limits/limits.ts';
import type { CheckInMessage } from '../../../shared/protocols/agent/messages.ts';
import { type ApiHandler, call, callerWith } from '../../support/api.ts';
import { approved, callerFor, enrol, infusionPump, message, queue } from '../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../support/devices-table.ts';
import { createUnit, gateMeans } from '../../support/gates.ts';

const siteId = `s-${'4'.repeat(26)}`;
const unitId = `u-${'5'.repeat(26)}`;
const ehr = callerWith('integration', { sub: 'ehr' });
const ada = callerWith('administrator');
const minute = 60_000;

let devices: DevicesTable;
let handler: ApiHandler;
let woken: string[] = [];
let failures: string[] = [];
let wakeUp = async (deviceId: string) => {
  woken.push(deviceId);
  return true;
};
let serials = 0;

beforeAll(async () => {
  devices = await startDevicesTable();
  await createUnit(devices, siteId, unitId, 'T2');
  const services = {
    devices: devices.table,
    guard: new Guard(loadPolicies(), (record) => keepRecord(devices.table, record)),
    placeOf: gateMeans(devices.directory, Date.now).placeOf,
    interlock: defaultInterlock,
    wake: (deviceId: string) => wakeUp(deviceId),
    wakeFailed: (deviceId: string) => failures.push(deviceId),
  };
  handler = serve('manage-interlock', { ...signalHandlers(services), ...shadowHandlers(services) });
}, 90_000);
afterAll(() => devices[Symbol.asyncDispose]());
beforeEach(() => {
  woken = [];
  failures = [];
});

const pump = (place: object = { siteId, unitId }): Promise<Device> => {
  serials += 1;
  return enrol(devices.table, { ...infusionPump(`SIGNAL-${serials}`), ...place });
};
const put = (device: Device, kind: string, body: object, caller = ehr) =>
  call(handler, 'putSignal', { caller, path: { deviceId: device.id, kind }, body });
const withdraw = (device: Device, kind: string, caller = ehr) =>
  call(handler, 'deleteSignal', { caller, path: { deviceId: device.id, kind } });
const iso = (time: number) => new Date(time).toISOString();
const headOf = (device: Device) => getDevice(devices.table, device.id, { consistent: true });
const says = (state: 'idle' | 'in-use', at: number) => ({ clinical: { state, at: iso(at) } });

async function checkIn(device: Device, now: number, more: Partial<CheckInMessage> = {}) {
  const outcome = await serveCheckIn(
    devices.table,
    { caller: callerFor(device), message: message(now, more), receivedAt: now },
    { now: () => now, random: () => 0, ...gateMeans(devices.directory, () => now) },
  );
  if ('refusal' in outcome) throw new Error(`refused: ${outcome.refusal}`);
  return outcome.reply.commands.map(({ id }) => id);
}

describe('signals', () => {
  test('of a bed hold a command back though the pump is idle, and wake the pump when the bed is free', async () => {
    const device = await pump();
    const now = Date.now();
    expect(await put(device, 'ehr-occupancy', { state: 'occupied', at: iso(now - minute) })).toMatchObject({
      status: 200,
      body: {
        state: 'occupied',
        at: iso(now - minute),
        until: iso(now - minute + 13 * 60 * minute),
        source: 'user:ehr',
      },
    });
    await checkIn(device, now, says('idle', now));
    const { command } = await queue(devices.table, device, { type: 'restart' }, now);
    expect(command).toMatchObject({ status: 'deferred', history: [{}, { reason: 'A patient lies in its bed.' }] });
    expect(await checkIn(device, now + 1_000, says('idle', now))).toEqual([]);
    expect(woken).toEqual([]);

    await put(device, 'ehr-occupancy', { state: 'free', at: iso(now - 1_000) });
    expect(woken).toEqual([device.id]);
    expect(await checkIn(device, now + 2_000, says('idle', now))).toEqual([command.id]);
    const { decisions = [] } = await getCommand(devices.table, device.id, command.id, new Date(now + 3_000));
    expect(decisions.filter(({ gate }) => gate === 'interlock').at(-1)?.inputs).toContainEqual(
      expect.objectContaining({ signal: 'ehr-occupancy', value: 'free', source: 'user:ehr', ageSeconds: 3 }),
    );
  });

  test('that free the bed wake nobody while the pump itself is in use', async () => {
    const device = await pump();
    const now = Date.now();
    await put(device, 'ehr-occupancy', { state: 'occupied', at: iso(now - minute) });
    await checkIn(device, now, says('in-use', now));
    await queue(devices.table, device, { type: 'restart' }, now);
    await put(device, 'ehr-occupancy', { state: 'free', at: iso(now) });
    expect(woken).toEqual([]);
  });

  test('are stored even when the device cannot be woken', async () => {
    const device = await pump();
    const now = Date.now();
    await checkIn(device, now, says('idle', now));
    await put(device, 'session', { state: 'open', at: iso(now) });
    await queue(devices.table, device, { type: 'restart' }, now);
    const before = wakeUp;
    wakeUp = async () => {
      throw new Error('the broker is away');
    };
    expect((await withdraw(device, 'session')).status).toBe(204);
    wakeUp = before;
    expect(failures).toEqual([device.id]);
    expect((await headOf(device))?.signals).toEqual({});
    expect((await withdraw(device, 'session')).status).toBe(204);
  });

  test('count by their time, whatever order they come in, and never lie in the future', async () => {
    const device = await pump();
    const now = Date.now();
    await put(device, 'session', { state: 'open', at: iso(now - 2 * minute), ttlSeconds: 3_600 });
    const late = await put(device, 'session', { state: 'none', at: iso(now - 5 * minute) });
    expect(late).toMatchObject({ status: 200, body: { state: 'open', at: iso(now - 2 * minute) } });
    const ahead = await put(device, 'session', { state: 'none', at: iso(now + 60 * minute) });
    expect(Date.parse(String(ahead.body['at']))).toBeLessThanOrEqual(Date.now());
    expect((await put(device, 'session', { state: 'open', at: iso(Date.now()) })).body).toMatchObject({
      state: 'open',
    });
  });

  test('of several sources at the same moment are all there afterwards', async () => {
    const device = await pump();
    const at = iso(Date.now() - 1_000);
    await Promise.all([
      put(device, 'session', { state: 'open', at }),
      put(device, 'ehr-occupancy', { state: 'occupied', at }),
      checkIn(device, Date.now(), says('idle', Date.now())),
    ]);
    expect(await headOf(device)).toMatchObject({
      signals: { session: { state: 'open' }, 'ehr-occupancy': { state: 'occupied' } },
      clinical: { state: 'idle' },
    });
  });

  test('leave an audit record when they say something new, and do not change the ETag', async () => {
    const device = await pump();
    const now = Date.now();
    await put(device, 'session', { state: 'open', at: iso(now - 3_000) });
    await put(device, 'session', { state: 'open', at: iso(now - 2_000) });
    await put(device, 'session', { state: 'none', at: iso(now - 1_000) });
    const trail = await readTrail(devices.table, devicePartition(device.id), 10);
    expect(trail.items).toMatchObject([
      { action: 'ReportSignal', before: { session: 'open' }, after: { session: 'none' } },
      { action: 'ReportSignal', actor: 'user:ehr', before: { session: null }, after: { session: 'open' } },
    ]);
    expect((await headOf(device))?.version).toBe(device.version);
  });

  test('are refused when they mean nothing or come from somebody who cannot know', async () => {
    const device = await pump();
    const at = iso(Date.now());
    expect(await put(device, 'session', { state: 'occupied', at })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/state', detail: 'must be one of: open, none' }] },
    });
    expect((await put(device, 'mood', { state: 'open', at })).status).toBe(404);
    expect((await put(device, 'session', { state: 'open' })).status).toBe(400);
    expect((await put(device, 'session', { state: 'open', at, ttlSeconds: 1 })).status).toBe(400);
    expect((await put({ ...device, id: 'd-nobody' }, 'session', { state: 'open', at })).status).toBe(404);
    for (const role of ['help-desk', 'site-it', 'auditor']) {
      expect([role, (await put(device, 'session', { state: 'none', at }, callerWith(role))).status]).toEqual([
        role,
        403,
      ]);
    }
    const elsewhere = callerWith('integration', { sites: [`s-${'9'.repeat(26)}`] });
    expect((await put(device, 'session', { state: 'open', at }, elsewhere)).status).toBe(403);
    const bea = callerWith('biomed', { sites: [siteId] });
    expect((await put(device, 'session', { state: 'open', at }, bea)).status).toBe(200);
  });
});

describe('shadow mode', () => {
  const place = { siteId: `s-${'6'.repeat(26)}`, unitId: `u-${'7'.repeat(26)}` };
  const ask = (body: object, caller = ada) => call(handler, 'shadowInterlock', { caller, body });

  test('says what other settings would have done, from the inputs that were stored, and what it looked at', async () => {
    await createUnit(devices, place.siteId, place.unitId, 'T2');
    const now = Date.now();
    const [first, second] = [await pump(place), await pump(place)];
    await checkIn(first, now - 3 * minute, says('idle', now - 3 * minute));
    const { command } = await queue(devices.table, first, { type: 'restart' }, now);
    await queue(devices.table, first, { type: 'locate' }, now);
    await queue(devices.table, second, { type: 'restart' }, now);
    const old = now - 31 * 24 * 60 * minute;
    await queue(devices.table, second, { type: 'restart', parameters: { notBefore: iso(old) } }, old);

    const same = await ask({ settings: {}, siteId: place.siteId });
    expect(same).toMatchObject({
      status: 200,
      body: { devices: 2, decided: 2, undecidable: 1, items: [], cutDevices: [] },
    });

    const looser = await ask({ settings: { deviceStateSeconds: 600 }, siteId: place.siteId });
    expect(looser.body).toMatchObject({
      settings: { ...defaultInterlock, deviceStateSeconds: 600 },
      commands: 3,
      items: [
        {
          deviceId: first.id,
          commandId: command.id,
          type: 'restart',
          at: iso(now),
          was: { effect: 'defer', ruleId: 'R1' },
          would: { effect: 'allow', ruleId: 'R1' },
        },
      ],
    });
    // Nothing was changed by asking.
    expect(await getCommand(devices.table, first.id, command.id, new Date(now))).toEqual(command);
  });

  test('goes on page by page, and only over what the caller may see', async () => {
    const question = { settings: { deviceStateSeconds: 600 }, siteId: place.siteId, devices: 1 };
    const one = await ask(question);
    expect(one.body).toMatchObject({ devices: 1, next: expect.any(String) });
    const two = await ask({ ...question, cursor: one.body['next'] });
    expect([...(one.body['items'] as unknown[]), ...(two.body['items'] as unknown[])]).toHaveLength(1);
    expect((await ask({ ...question, settings: {}, cursor: one.body['next'] })).status).toBe(400);
    const elsewhere = callerWith('biomed', { sites: [siteId] });
    expect((await ask(question, elsewhere)).body).toMatchObject({ devices: 0, items: [] });
    expect((await ask({ settings: { deviceStateSeconds: 1 } })).status).toBe(400);
    expect((await ask({ settings: { everything: true } })).status).toBe(400);
    expect((await ask(question, callerWith('visitor'))).status).toBe(403);
  });
});

describe('shadow mode of limits', () => {
  const place = { siteId: `s-${'8'.repeat(26)}`, unitId: `u-${'9'.repeat(26)}` };
  const ask = (body: object, caller = ada) => call(handler, 'shadowLimits', { caller, body });
  const restarts = (count: number) => ({
    ...defaultLimits,
    restart: { ...defaultLimits.restart, unit: { count, percent: 100 } },
  });

  test('says what other limits would have done, of what was let through, refused and revoked', async () => {
    await createUnit(devices, place.siteId, place.unitId, 'T2');
    const now = Date.now();
    const [first, second] = [await pump(place), await pump(place)];
    await queue(devices.table, first, { type: 'restart' }, now - 2_000);
    const { command } = await queue(devices.table, second, { type: 'restart' }, now - 1_000);
    // Nobody knows whether it is in use: no command, and all the same a decision.
    await expect(queue(devices.table, second, { type: 'wipe' }, now)).rejects.toThrow();
    const entry = {
      actor: 'user:anna',
      action: 'RevokeDevice',
      resource: `device/${first.id}`,
      outcome: 'allowed',
    } as const;
    await revokeThroughGates(
      { devices: devices.table, directory: devices.directory },
      {
        deviceId: first.id,
        requestedBy: 'user:anna',
        approval: approved({ kind: 'revoke', deviceIds: [first.id] }, now),
        entry,
        now: new Date(now),
      },
    );

    const same = await ask({ limits: defaultLimits, siteId: place.siteId });
    expect(same).toMatchObject({
      status: 200,
      body: { devices: 2, requests: 4, undecidable: 0, items: [], cutDevices: [] },
    });
    const stricter = await ask({ limits: restarts(1), siteId: place.siteId });
    expect(stricter.body['items']).toEqual([
      {
        deviceId: second.id,
        commandId: command.id,
        type: 'restart',
        gate: 'limiter',
        at: iso(now - 1_000),
        was: expect.objectContaining({ effect: 'allow', ruleId: 'R4' }),
        would: {
          effect: 'deny',
          ruleId: 'R4',
          reason: `restart: 1 of at most 1 devices within 60 minutes are used up for unit ${place.unitId}.`,
        },
      },
    ]);
    // The interlock's shadow knows of what was refused as well.
    const interlock = await call(handler, 'shadowInterlock', {
      caller: ada,
      body: { settings: {}, siteId: place.siteId },
    });
    expect(interlock.body).toMatchObject({ commands: 3, decided: 3, items: [] });
  });

  test('takes whole limits only, goes on page by page, over what the caller may see', async () => {
    const question = { limits: restarts(1), siteId: place.siteId, devices: 1 };
    const one = await ask(question);
    expect(one.body).toMatchObject({ devices: 1, next: expect.any(String) });
    const two = await ask({ ...question, cursor: one.body['next'] });
    expect([...(one.body['items'] as unknown[]), ...(two.body['items'] as unknown[])]).toHaveLength(1);
    expect((await ask({ ...question, limits: restarts(2), cursor: one.body['next'] })).status).toBe(400);
    expect((await ask({ limits: { bulkWithoutApproval: 5 } })).status).toBe(400);
    const elsewhere = callerWith('biomed', { sites: [siteId] });
    expect((await ask(question, elsewhere)).body).toMatchObject({ devices: 0, items: [] });
    expect((await ask(question, callerWith('visitor'))).status).toBe(403);
  });
});
