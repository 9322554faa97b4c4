import type { Device } from '../../../../shared/devices/device.ts';
import { notePresence } from '../../../../shared/devices/note-presence.ts';
import {
  type DeviceFilter,
  getDevice,
  type ListPosition,
  listDevices,
  maxIndexRequests,
  putExpectedDevice,
  revokeDevice,
  updateDevice,
} from '../../../../shared/devices/store.ts';
import { auditOf, enrol, infusionPump, start } from '../../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../../support/devices-table.ts';

let devices: DevicesTable;

beforeAll(async () => {
  devices = await startDevicesTable();
}, 90_000);
afterAll(() => devices[Symbol.asyncDispose]());

const register = (device: Parameters<typeof putExpectedDevice>[1]) =>
  putExpectedDevice(devices.table, device, (id) => auditOf({ id }, 'CreateDevice', id, start), new Date(start));

async function pages(filter: DeviceFilter, limit: number): Promise<{ all: Device[]; requests: number[] }> {
  const all: Device[] = [];
  const requests: number[] = [];
  let position: ListPosition | undefined;
  do {
    devices.requests();
    const page = await listDevices(devices.table, filter, limit, position);
    requests.push(devices.requests().length);
    all.push(...page.devices);
    position = page.next;
  } while (position !== undefined && requests.length < 100);
  return { all, requests };
}

describe('registration', () => {
  test('the same registration changes nothing; another one for the same serial is told what is there', async () => {
    expect((await register(infusionPump('REG-1'))).outcome).toBe('created');
    devices.requests();
    expect((await register(infusionPump(' reg-1 '))).outcome).toBe('unchanged');
    expect(devices.requests().some(({ writeUnits }) => writeUnits > 0)).toBe(false);
    expect((await register({ ...infusionPump('REG-1'), name: 'Pump' })).outcome).toBe('exists');
  });

  test('the same device ten times at the same moment is created once', async () => {
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => register(infusionPump('REG-2'))));
    expect(outcomes.filter(({ outcome }) => outcome === 'created')).toHaveLength(1);
    expect(outcomes.filter(({ outcome }) => outcome === 'unchanged')).toHaveLength(9);
  });

  test('a revoked device is expected anew, with a version that goes on', async () => {
    const device = await enrol(devices.table, infusionPump('REG-3'));
    const revoked = await revokeDevice(devices.table, device.id, device.version, () =>
      auditOf(device, 'RevokeDevice', device.id, start),
    );
    const { outcome, device: expected } = await register(infusionPump('REG-3'));
    expect(outcome).toBe('created');
    expect(expected).toMatchObject({ lifecycle: 'expected', version: revoked.version + 1 });
    expect(await getDevice(devices.table, device.id, { consistent: true })).toEqual(expected);
  });
});

describe('change', () => {
  test('If-Match: of two changes on the same version the second one is refused', async () => {
    const { device } = await register({ ...infusionPump('CHANGE-1'), siteId: 's-1', unitId: 'u-1', name: 'Old' });
    const change = (name: string | null) =>
      updateDevice(devices.table, device.id, device.version, { name, unitId: null, siteId: 's-2' }, () =>
        auditOf(device, 'UpdateDevice', device.id, start),
      );
    const outcomes = await Promise.allSettled([change('A'), change('B'), change(null)]);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ problem: { status: 412 } });
    }
    const after = await getDevice(devices.table, device.id, { consistent: true });
    expect(after).toMatchObject({ siteId: 's-2', version: device.version + 1 });
    expect(after).not.toHaveProperty('unitId');
    const { all } = await pages({ siteIds: ['s-2'] }, 10);
    expect(all).toEqual([after]);
  });

  test('a change that changes nothing writes nothing; an unknown device is 404', async () => {
    const { device } = await register({ ...infusionPump('CHANGE-2'), name: 'Same' });
    devices.requests();
    const audit = () => auditOf(device, 'UpdateDevice', device.id, start);
    expect(await updateDevice(devices.table, device.id, 'any', { name: 'Same' }, audit)).toEqual(device);
    expect(devices.requests().map(({ operation }) => operation)).toEqual(['GetItem']);
    await expect(updateDevice(devices.table, 'd-none', 'any', { name: 'X' }, audit)).rejects.toMatchObject({
      problem: { status: 404 },
    });
  });
});

describe('list', () => {
  const registered: Device[] = [];
  beforeAll(async () => {
    for (let n = 0; n < 60; n += 1) {
      const { device } = await register({
        ...infusionPump(`LIST-${n}`),
        class: n % 10 === 0 ? 'ventilator' : 'infusion-pump',
        ...(n < 55 ? { siteId: `list-${n % 3}`, unitId: `u-${n % 2}` } : {}),
      });
      registered.push(device);
    }
  });

  const ids = (list: readonly Device[]) => list.map(({ id }) => id).sort();
  const mine = (list: readonly Device[]) => list.filter(({ serial }) => serial.startsWith('LIST-'));

  test.each([3, 7, 50])(
    'pages of %d hold each device once',
    async (limit) => {
      const { all, requests } = await pages({ siteIds: ['list-0', 'list-1', 'list-2'] }, limit);
      expect(ids(all)).toEqual(ids(registered.slice(0, 55)));
      expect(Math.max(...requests)).toBeLessThanOrEqual(2 * maxIndexRequests);
      expect(ids(mine((await pages({}, limit)).all))).toEqual(ids(registered));
    },
    30_000,
  );

  test('an unfiltered page of one site is two requests', async () => {
    devices.requests();
    const { devices: found } = await listDevices(devices.table, { siteIds: ['list-0'] }, 10);
    expect(found).toHaveLength(10);
    expect(devices.requests().map(({ operation, readUnits }) => [operation, readUnits])).toEqual([
      ['Query', 0.5],
      ['BatchGetItem', 5],
    ]);
  });

  test('filters: unit, class, and whatever is said of the whole device', async () => {
    const unit = await pages({ siteIds: ['list-1'], unitId: 'u-1' }, 4);
    expect(ids(unit.all)).toEqual(ids(registered.filter((_, n) => n < 55 && n % 3 === 1 && n % 2 === 1)));
    const ventilators = await pages({ equal: { class: 'ventilator' } }, 4);
    expect(ids(ventilators.all)).toEqual(ids(registered.filter((_, n) => n % 10 === 0)));
    const odd = await pages({ siteIds: ['list-2'], matches: ({ serial }) => Number(serial.slice(5)) % 2 === 1 }, 3);
    expect(ids(odd.all)).toEqual(ids(registered.filter((_, n) => n < 55 && n % 3 === 2 && n % 2 === 1)));
    expect(Math.max(...odd.requests)).toBeLessThanOrEqual(3 * maxIndexRequests);
  });

  test('a list of no sites is empty', async () => {
    expect(await listDevices(devices.table, { siteIds: [] }, 10)).toEqual({ devices: [] });
  });
});

describe('presence', () => {
  test('events in any order and twice, in at most two requests each; strangers are left alone', async () => {
    const device = await enrol(devices.table, infusionPump('PRESENCE-1'));
    const event = (eventType: 'connected' | 'disconnected', version: number, session: string) => ({
      clientId: device.id,
      timestamp: start + version * 1_000,
      eventType,
      sessionIdentifier: session,
      versionNumber: version,
    });
    const events = [event('connected', 1, 'a'), event('disconnected', 2, 'a'), event('connected', 3, 'b')];
    devices.requests();
    for (const next of events) await notePresence(devices.table, next);
    expect(devices.requests().map(({ writeUnits }) => writeUnits)).toEqual([1, 1, 1]);
    for (const next of [...events].reverse()) await notePresence(devices.table, next);
    expect(devices.requests()).toHaveLength(3);
    await Promise.all([...events, ...events].map((next) => notePresence(devices.table, next)));
    expect((await getDevice(devices.table, device.id, { consistent: true }))?.presence).toMatchObject({
      connected: true,
      sessionId: 'b',
    });
    expect(await notePresence(devices.table, { ...event('connected', 1, 'x'), clientId: 'claim-7' })).toBe(
      'unknown-device',
    );
    expect(await getDevice(devices.table, 'claim-7', { consistent: true })).toBeUndefined();
  });
});
