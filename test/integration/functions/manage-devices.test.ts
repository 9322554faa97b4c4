import { approvalHandlers } from '../../../functions/manage-commands/approvals.ts';
import { commandHandlers } from '../../../functions/manage-commands/commands.ts';
import { limitHandlers } from '../../../functions/manage-commands/limits.ts';
import { reviewHandlers } from '../../../functions/manage-commands/reviews.ts';
import { deviceHandlers } from '../../../functions/manage-devices/devices.ts';
import { listHandlers } from '../../../functions/manage-devices/list.ts';
import { tokenOperations } from '../../../functions/manage-enrollment/tokens.ts';
import { alertPart } from '../../../shared/alerts/alert.ts';
import { auditRecord } from '../../../shared/audit/record.ts';
import { keepRecord } from '../../../shared/audit/store.ts';
import type { Table } from '../../../shared/aws/dynamodb.ts';
import type { BrakePlace } from '../../../shared/brake/brake.ts';
import { deleteBrake, putBrake } from '../../../shared/brake/store.ts';
import { deviceIdOf } from '../../../shared/devices/device.ts';
import { getToken } from '../../../shared/enrollment/store.ts';
import { tokenHash } from '../../../shared/enrollment/token.ts';
import { type BoundOperation, serve } from '../../../shared/http/api.ts';
import { encodeCursor } from '../../../shared/http/cursor.ts';
import { Guard } from '../../../shared/identity/guard.ts';
import { loadPolicies } from '../../../shared/identity/policy-set.ts';
import { getSite, PlaceStore } from '../../../shared/places/store.ts';
import { type ApiHandler, call, callerWith, freshMfa, type TestAnswer } from '../../support/api.ts';
import { enrol } from '../../support/devices.ts';
import { startTestDatabase, type TestDatabase } from '../../support/test-database.ts';

const ada = callerWith('administrator');
const site = (letter: string) => `s-${letter.repeat(26)}`;
const unit = (letter: string) => `u-${letter.repeat(26)}`;
const [north, south] = [site('a'), site('b')];

let database: TestDatabase;
let devices: Table;
let directory: Table;
let handler: ApiHandler;
let commands: ApiHandler;
let tokens: ApiHandler;

beforeAll(async () => {
  database = await startTestDatabase();
  devices = await database.table('bySite');
  directory = await database.table('byKind');
  const places = new PlaceStore(directory, devices);
  const at = new Date().toISOString();
  const entry = { actor: 'user:x', action: 'CreateSite', resource: 'site', outcome: 'allowed' } as const;
  const kept = { createdAt: at, updatedAt: at, version: 1 };
  for (const id of [north, south]) {
    await places.createSite({ id, name: id, timeZone: 'UTC', ...kept }, auditRecord(`SITE#${id}`, entry, new Date()));
    expect(await getSite(directory, id)).toBeDefined();
  }
  const icu = { id: unit('c'), siteId: north, name: 'ICU', acuityTier: 'T0', ...kept } as const;
  await places.createUnit(icu, auditRecord(`SITE#${north}`, entry, new Date()));

  const policies = loadPolicies();
  const guard = new Guard(policies, (record) => keepRecord(devices, record));
  const none: BoundOperation = { run: () => Promise.reject(new Error('not in this test')) };
  const services = {
    devices,
    directory,
    guard,
  };
  handler = serve('manage-devices', {
    ...listHandlers(services),
    ...deviceHandlers(services),
    importDevices: none,
    getImport: none,
    getImportReport: none,
  });
  commands = serve('manage-commands', {
    ...commandHandlers(services),
    ...approvalHandlers(services),
    ...limitHandlers(services),
    ...reviewHandlers(services),
  });
  tokens = serve(
    'manage-enrollment',
    tokenOperations({ directory, guard: new Guard(policies, (record) => keepRecord(directory, record)) }),
  );
});
afterAll(() => database.stop());

const register = (body: object, caller = ada): Promise<TestAnswer> => call(handler, 'createDevice', { caller, body });
const list = async (query: Record<string, string>, caller = ada): Promise<string[]> => {
  const serials: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await call(handler, 'listDevices', {
      caller,
      query: { ...query, ...(cursor === undefined ? {} : { cursor }) },
    });
    expect(page.status).toBe(200);
    serials.push(...(page.body['items'] as { serial: string }[]).map(({ serial }) => serial));
    cursor = page.body['next'] as string | undefined;
  } while (cursor !== undefined);
  return serials.sort();
};

describe('Pre-registration', () => {
  test('happens once, however often it is asked for', async () => {
    const body = { serial: ' pump-1 ', platform: 'iomt', class: 'infusion-pump', siteId: north, unitId: unit('c') };
    const created = await register(body);
    const id = deviceIdOf('PUMP-1');
    expect(created).toMatchObject({
      status: 201,
      headers: { etag: '"1"', location: `/v1/devices/${id}` },
      body: {
        id,
        serial: 'PUMP-1',
        lifecycle: 'expected',
        compliance: 'unknown',
        ownership: 'organization',
        siteId: north,
      },
    });
    expect(await register(body)).toMatchObject({ status: 201, body: { version: 1 } });
    expect(await register({ ...body, model: 'other' })).toMatchObject({ status: 409, body: { deviceId: id } });
    const trail = await call(handler, 'listDeviceAudit', { caller: callerWith('auditor'), path: { deviceId: id } });
    expect(trail.body['items']).toMatchObject([
      { action: 'RegisterDevice', after: { serial: 'pump-1'.toUpperCase() } },
    ]);
  });

  test('wants a place that exists and a serial that a certificate can carry', async () => {
    const body = { serial: 'X-1', platform: 'linux' };
    const pointers = async (more: object) =>
      ((await register({ ...body, ...more })).body['errors'] as { pointer: string }[]).map(({ pointer }) => pointer);
    expect(await pointers({ siteId: site('z') })).toEqual(['/siteId']);
    expect(await pointers({ siteId: south, unitId: unit('c') })).toEqual(['/unitId']);
    expect(await pointers({ unitId: unit('c') })).toEqual(['/unitId']);
    expect(await pointers({ serial: 'ä?' })).toEqual(['/serial']);
    expect(await pointers({ platform: 'toaster' })).toEqual(['/platform']);
  });

  test('is limited to what the role may register, and refusals are kept', async () => {
    const ida = callerWith('site-it', { sites: [north] });
    expect((await register({ serial: 'IDA-1', platform: 'windows', siteId: north }, ida)).status).toBe(201);
    expect((await register({ serial: 'IDA-2', platform: 'windows', siteId: south }, ida)).status).toBe(403);
    expect((await register({ serial: 'IDA-3', platform: 'windows' }, ida)).status).toBe(403);
    expect((await register({ serial: 'IDA-4', platform: 'iomt', siteId: north }, ida)).status).toBe(403);
    expect(await call(handler, 'getDevice', { caller: ada, path: { deviceId: deviceIdOf('IDA-4') } })).toMatchObject({
      status: 404,
    });
  });
});

describe('Changing a device', () => {
  test('moves it, takes it out of its unit, and needs the permission at both sites', async () => {
    await register({
      serial: 'MOVE-1',
      platform: 'apple',
      class: 'tablet',
      siteId: north,
      unitId: unit('c'),
      name: 'Cart 1',
    });
    const deviceId = deviceIdOf('MOVE-1');
    const patch = (body: object, more: object = {}) =>
      call(handler, 'updateDevice', { caller: ada, path: { deviceId }, body, headers: { 'If-Match': '*' }, ...more });
    expect(await patch({ siteId: south }, { caller: callerWith('site-it', { sites: [north] }) })).toMatchObject({
      status: 403,
    });
    expect(await patch({ siteId: null }, { caller: callerWith('site-it', { sites: [north] }) })).toMatchObject({
      status: 403,
    });
    expect(await patch({ name: 'Cart 2' }, { headers: {} })).toMatchObject({ status: 428 });
    expect(await patch({ name: 'Cart 2', user: 'bea' }, { headers: { 'If-Match': '"1"' } })).toMatchObject({
      status: 200,
      headers: { etag: '"2"' },
    });
    expect(await patch({ name: 'Cart 3' }, { headers: { 'If-Match': '"1"' } })).toMatchObject({ status: 412 });
    expect(await patch({ unitId: unit('c'), siteId: south })).toMatchObject({ status: 400 });
    const moved = await patch({ siteId: south });
    expect(moved).toMatchObject({ status: 200, body: { siteId: south, name: 'Cart 2', user: 'bea' } });
    expect(moved.body).not.toHaveProperty('unitId');
    expect((await patch({ user: null })).body).not.toHaveProperty('user');
    const trail = await call(handler, 'listDeviceAudit', { caller: ada, path: { deviceId } });
    const items = trail.body['items'] as { action: string; outcome: string; before?: object; after?: object }[];
    expect(items[1]).toMatchObject({
      before: { siteId: north, unitId: unit('c') },
      after: { siteId: south, unitId: null },
    });
    expect(items.filter(({ outcome }) => outcome === 'denied')).toHaveLength(2);
  });

  test('does not take it out from under a brake, which two people release', async () => {
    const bay = unit('d');
    const at = new Date().toISOString();
    const kept = { createdAt: at, updatedAt: at, version: 1 };
    const entry = { actor: 'user:x', action: 'CreateUnit', resource: 'unit', outcome: 'allowed' } as const;
    const places = new PlaceStore(directory, devices);
    const step = { id: bay, siteId: north, name: 'Step-down', acuityTier: 'T1', ...kept } as const;
    await places.createUnit(step, auditRecord(`SITE#${north}`, entry, new Date()));
    const device = await enrol(devices, {
      serial: 'BRAKED-1',
      platform: 'apple',
      class: 'tablet',
      ownership: 'organization',
      siteId: north,
      unitId: unit('c'),
    });
    const move = (body: object) =>
      call(handler, 'updateDevice', { caller: ada, path: { deviceId: device.id }, body, headers: { 'If-Match': '*' } });
    const brake = async (place: BrakePlace) => {
      const pulled = { ...place, reason: 'x', pulledBy: 'user:hal', pulledAt: at, version: 1 };
      const audit = auditRecord(`SITE#${north}`, entry, new Date());
      const alert = alertPart(directory, { kind: 'brake-pulled', actor: 'user:hal', summary: 'x' }, new Date());
      expect(await putBrake(directory, pulled, undefined, audit, alert)).toBe(true);
      return () =>
        deleteBrake(
          directory,
          pulled,
          { ...audit, sk: `${audit.sk}x` },
          { ...alertPart(directory, { kind: 'brake-released', actor: 'user:hal', summary: 'x' }, new Date()) },
        );
    };
    const releaseUnit = await brake({ scope: 'unit', siteId: north, unitId: unit('c') });
    for (const away of [{ siteId: south }, { unitId: bay }, { unitId: null }]) {
      expect(await move(away)).toMatchObject({ status: 409, body: { gate: 'brake', ruleId: 'R4' } });
    }
    expect((await move({ name: 'Bay 3' })).status).toBe(200);
    await releaseUnit();
    const releaseSite = await brake({ scope: 'site', siteId: north });
    expect((await move({ unitId: bay })).status).toBe(200);
    expect((await move({ siteId: south })).status).toBe(409);
    await releaseSite();
    expect((await move({ siteId: south })).status).toBe(200);
  });

  test('binds it to a bed, and tells where it was', async () => {
    const bed = {
      facility: 'North',
      building: 'East Tower',
      floor: '5',
      pointOfCare: 'Surgical',
      room: '512',
      bed: 'B',
    };
    const body = { serial: 'BED-1', platform: 'iomt', class: 'infusion-pump', location: bed };
    expect(await call(handler, 'createDevice', { caller: ada, body })).toMatchObject({
      status: 201,
      body: { location: bed },
    });
    const deviceId = deviceIdOf('BED-1');
    const patch = (change: object) =>
      call(handler, 'updateDevice', { caller: ada, path: { deviceId }, body: change, headers: { 'If-Match': '*' } });
    expect((await patch({ location: { pointOfCare: 'ICU', bed: '3' } })).body).toMatchObject({
      location: { pointOfCare: 'ICU', bed: '3' },
    });
    expect(await patch({ location: { bed: '3^4' } })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/location/bed' }] },
    });
    expect((await patch({ location: null })).body).not.toHaveProperty('location');
    const trail = await call(handler, 'listDeviceAudit', { caller: ada, path: { deviceId } });
    expect(trail.body['items']).toMatchObject([
      { before: { location: 'ICU^^3' }, after: { location: null } },
      { before: { location: 'Surgical^512^B^North^^^East Tower^5' }, after: { location: 'ICU^^3' } },
      {},
    ]);
  });

  test('does not take the protection of its class away from a device that is enrolled', async () => {
    const change = (serial: string, body: object) => {
      const more = { path: { deviceId: deviceIdOf(serial) }, headers: { 'If-Match': '*' } };
      return call(handler, 'updateDevice', { caller: ada, body, ...more });
    };
    const iomt = { platform: 'iomt', siteId: north } as const;
    await register({ serial: 'CLASS-0', class: 'ventilator', ...iomt });
    expect((await change('CLASS-0', { class: 'other' })).status).toBe(200);
    for (const [serial, from, to] of [
      ['CLASS-1', 'ventilator', 'tablet'],
      ['CLASS-2', 'ventilator', 'infusion-pump'],
      ['CLASS-3', 'infusion-pump', 'patient-monitor'],
      ['CLASS-4', 'other', 'workstation'],
      ['CLASS-5', 'tablet', 'workstation'],
      ['CLASS-6', 'patient-monitor', 'other'],
    ] as const) {
      await enrol(devices, { serial, ownership: 'organization', ...iomt, class: from });
      expect(await change(serial, { class: to })).toMatchObject({ status: 409, body: { ruleId: 'R12' } });
      expect((await change(serial, { name: 'Bay 3' })).status).toBe(200);
      expect((await change(serial, { class: 'ventilator' })).status).toBe(200);
    }
  });

  test('deletes only what never enrolled', async () => {
    await register({ serial: 'DEL-1', platform: 'linux', siteId: north });
    const deviceId = deviceIdOf('DEL-1');
    const request = { caller: ada, path: { deviceId }, headers: { 'If-Match': '"1"' } };
    expect((await call(handler, 'deleteDevice', request)).status).toBe(204);
    expect((await call(handler, 'deleteDevice', request)).status).toBe(404);
    const enrolled = await enrol(devices, {
      serial: 'DEL-2',
      platform: 'linux',
      class: 'other',
      ownership: 'organization',
      siteId: north,
    });
    const second = { caller: ada, path: { deviceId: enrolled.id }, headers: { 'If-Match': '*' } };
    expect((await call(handler, 'deleteDevice', second)).status).toBe(409);
  });

  test('revokes for good with two people, and may be repeated', async () => {
    const enrolled = await enrol(devices, {
      serial: 'REV-1',
      platform: 'linux',
      class: 'tablet',
      ownership: 'organization',
      siteId: north,
    });
    const path = { deviceId: enrolled.id };
    const revoke = (caller: typeof ada) => call(commands, 'revokeDevice', { caller, path });
    expect((await revoke(callerWith('help-desk', freshMfa()))).status).toBe(403);
    expect((await revoke(ada)).status).toBe(401);
    const asked = await revoke({ ...ada, ...freshMfa() });
    expect(asked).toMatchObject({ status: 202, body: { kind: 'revoke', state: 'pending', deviceIds: [enrolled.id] } });
    const security = callerWith('security', freshMfa());
    const approved = await call(commands, 'approveRequest', {
      caller: security,
      path: { approvalId: String(asked.body['id']) },
      body: { hash: asked.body['hash'] },
    });
    expect(approved).toMatchObject({ status: 200, body: { state: 'approved', results: [{ deviceId: enrolled.id }] } });
    expect(await call(handler, 'getDevice', { caller: ada, path })).toMatchObject({ body: { lifecycle: 'revoked' } });
    expect((await revoke({ ...ada, ...freshMfa() })).status).toBe(200);
    const moved = callerWith('site-it', { sites: [south] });
    expect((await register({ serial: 'REV-1', platform: 'linux', siteId: south }, moved)).status).toBe(403);
    expect(await register({ serial: 'REV-1', platform: 'linux', siteId: south })).toMatchObject({
      status: 201,
      body: { lifecycle: 'expected', siteId: south },
    });
  });
});

describe('Lists of devices', () => {
  test('are filtered by each of the filters, and by what the caller may see', async () => {
    const rows = [
      ['F-1', 'apple', 'phone', north, undefined, 'bea'],
      ['F-2', 'apple', 'tablet', north, unit('c'), undefined],
      ['F-3', 'iomt', 'infusion-pump', south, undefined, undefined],
      ['F-4', 'windows', 'workstation', undefined, undefined, 'bea'],
    ] as const;
    for (const [serial, platform, deviceClass, siteId, unitId, user] of rows) {
      expect((await register({ serial, platform, class: deviceClass, siteId, unitId, user })).status).toBe(201);
    }
    const ours = async (query: Record<string, string>, caller = ada) =>
      (await list(query, caller)).filter((serial) => serial.startsWith('F-'));
    expect(await ours({ limit: '3' })).toEqual(['F-1', 'F-2', 'F-3', 'F-4']);
    expect(await ours({ site: north, limit: '1' })).toEqual(['F-1', 'F-2']);
    expect(await ours({ site: north, unit: unit('c') })).toEqual(['F-2']);
    expect(await ours({ platform: 'apple' })).toEqual(['F-1', 'F-2']);
    expect(await ours({ class: 'infusion-pump', limit: '2' })).toEqual(['F-3']);
    expect(await ours({ user: 'bea' })).toEqual(['F-1', 'F-4']);
    expect(await ours({ state: 'expected' })).toEqual(['F-1', 'F-2', 'F-3', 'F-4']);
    expect(await ours({ state: 'enrolled' })).toEqual([]);
    expect(await ours({ compliance: 'unknown' })).toEqual(['F-1', 'F-2', 'F-3', 'F-4']);
    expect(await ours({ compliance: 'compliant' })).toEqual([]);
    expect(await list({ serial: 'f-3' })).toEqual(['F-3']);
    expect(await list({ serial: 'f-3', site: north })).toEqual([]);
    expect(await ours({}, callerWith('help-desk', { sites: [south] }))).toEqual(['F-3']);
    expect(await ours({}, callerWith('help-desk', { sites: [south, north] }))).toEqual(['F-1', 'F-2', 'F-3']);
    expect(await ours({ site: north }, callerWith('help-desk', { sites: [south] }))).toEqual([]);
    expect(await list({ serial: 'F-1' }, callerWith('help-desk', { sites: [south] }))).toEqual([]);
  });

  test('refuse filters and cursors that mean nothing', async () => {
    const statusOf = async (query: Record<string, string>, caller = ada) =>
      (await call(handler, 'listDevices', { caller, query })).status;
    expect(await statusOf({ unit: unit('c') })).toBe(400);
    expect(await statusOf({ platform: 'toaster' })).toBe(400);
    expect(await statusOf({ typo: 'x' })).toBe(400);
    const page = await call(handler, 'listDevices', { caller: ada, query: { limit: '1' } });
    const cursor = String(page.body['next']);
    expect(await statusOf({ limit: '2', cursor })).toBe(200);
    expect(await statusOf({ limit: '1', cursor, platform: 'apple' })).toBe(400);
    expect(await statusOf({ cursor }, callerWith('help-desk', { sites: [south] }))).toBe(400);
    expect(await statusOf({}, callerWith('visitor'))).toBe(403);
  });

  test('refuse a cursor that somebody made up, whatever it says', async () => {
    const one = callerWith('help-desk', { sites: [south] });
    const id = 'd-'.padEnd(26, '0');
    const positions = [
      '',
      { site: '' },
      { site: '', after: '' },
      { site: 0, after: '' },
      { site: 'SITE#x', after: 'x' },
      { site: 0, after: 'x#y' },
      { site: -1 },
      { site: 1.5 },
    ];
    for (const position of positions) {
      for (const [caller, sites] of [
        [ada, '*'],
        [one, [south]],
      ] as const) {
        const query = { cursor: encodeCursor(['devices', {}, sites], position) };
        expect([position, (await call(handler, 'listDevices', { caller, query })).status]).toEqual([position, 400]);
      }
    }
    const inUnit = { site: north, unit: unit('c') };
    const query = (after: string) => ({
      ...inUnit,
      cursor: encodeCursor(['devices', inUnit, [north]], { site: 0, after }),
    });
    expect((await call(handler, 'listDevices', { caller: ada, query: query(`-#${id}`) })).status).toBe(400);
    expect((await call(handler, 'listDevices', { caller: ada, query: query(`${unit('c')}#${id}`) })).status).toBe(200);
  });

  test('go on where they were when devices come and go between two pages', async () => {
    const [first, second, third] = ['P-1', 'P-2', 'P-3'].map((serial) => deviceIdOf(serial)).sort();
    const serialOf = new Map(['P-1', 'P-2', 'P-3'].map((serial) => [deviceIdOf(serial), serial]));
    const add = (id: string | undefined) => {
      const body = { serial: serialOf.get(id ?? ''), platform: 'linux', siteId: north, user: 'pages' };
      return register(body);
    };
    await add(first);
    await add(third);
    const query = { user: 'pages', limit: '1' };
    const page = await call(handler, 'listDevices', { caller: ada, query });
    expect(page.body['items']).toMatchObject([{ id: first }]);
    await add(second);
    const path = { deviceId: String(first) };
    await call(handler, 'deleteDevice', { caller: ada, path, headers: { 'if-match': '*' } });
    const rest = await call(handler, 'listDevices', {
      caller: ada,
      query: { ...query, limit: '5', cursor: String(page.body['next']) },
    });
    expect(rest.body['items']).toMatchObject([{ id: second }, { id: third }]);
  });
});

describe('Commands', () => {
  test('are queued once per Idempotency-Key, read, listed and cancelled', async () => {
    const device = await enrol(devices, {
      serial: 'CMD-1',
      platform: 'windows',
      class: 'workstation',
      ownership: 'organization',
      siteId: north,
    });
    const path = { deviceId: device.id };
    const body = { type: 'message', parameters: { text: 'Please return this cart.' }, reason: 'overdue' };
    const headers = { 'Idempotency-Key': 'k-1' };
    const first = await call(commands, 'createCommand', { caller: ada, path, body, headers });
    expect(first).toMatchObject({
      status: 201,
      body: { status: 'queued', type: 'message', requestedBy: 'user:administrator-1' },
    });
    const again = await call(commands, 'createCommand', { caller: ada, path, body, headers });
    expect(again).toMatchObject({ status: 201, body: { id: first.body['id'] } });
    const commandId = String(first.body['id']);
    expect(first.headers['location']).toBe(`/v1/devices/${device.id}/commands/${commandId}`);
    expect((await call(commands, 'getCommand', { caller: ada, path: { ...path, commandId } })).body).toMatchObject({
      status: 'queued',
      history: [{ status: 'queued' }],
    });
    expect((await call(commands, 'listCommands', { caller: ada, path })).body['items']).toMatchObject([
      { id: commandId },
    ]);
    expect(await call(commands, 'cancelCommand', { caller: ada, path: { ...path, commandId } })).toMatchObject({
      status: 200,
      body: { status: 'cancelled' },
    });
    const trail = JSON.stringify((await call(handler, 'listDeviceAudit', { caller: ada, path })).body['items']);
    expect(trail).toContain('SendMessage');
    expect(trail).toContain('overdue');
    expect(trail).not.toContain('return this cart');
  });

  test('are permitted by type and device; a wipe needs a fresh second factor', async () => {
    const cart = await enrol(devices, {
      serial: 'CMD-2',
      platform: 'windows',
      class: 'workstation',
      ownership: 'organization',
      siteId: north,
    });
    const pump = await enrol(devices, {
      serial: 'CMD-3',
      platform: 'iomt',
      class: 'infusion-pump',
      ownership: 'organization',
      siteId: north,
    });
    const send = (caller: typeof ada, deviceId: string, type: string) =>
      call(commands, 'createCommand', { caller, path: { deviceId }, body: { type } });
    const [hal, bea] = [callerWith('help-desk', { sites: [north] }), callerWith('biomed', { sites: [north] })];
    expect((await send(hal, cart.id, 'lock')).status).toBe(201);
    expect((await send(hal, cart.id, 'locate')).status).toBe(201);
    expect((await send(hal, pump.id, 'restart')).status).toBe(403);
    expect((await send(hal, cart.id, 'wipe')).status).toBe(403);
    expect((await send(bea, pump.id, 'restart')).status).toBe(201);
    expect((await send(bea, cart.id, 'restart')).status).toBe(403);
    const challenged = await send(ada, cart.id, 'wipe');
    expect(challenged).toMatchObject({ status: 401, body: { type: '/problems/insufficient-user-authentication' } });
    expect(challenged.headers['www-authenticate']).toContain('max_age="900"');
    expect(await send({ ...ada, ...freshMfa() }, cart.id, 'wipe')).toMatchObject({
      status: 202,
      body: { state: 'pending', type: 'wipe', deviceIds: [cart.id] },
    });
    expect((await send(ada, cart.id, 'dance')).status).toBe(400);
    expect((await send(ada, 'd-unknown', 'lock')).status).toBe(404);
    const page = await call(commands, 'listCommands', {
      caller: hal,
      path: { deviceId: cart.id },
      query: { limit: '1' },
    });
    const rest = await call(commands, 'listCommands', {
      caller: hal,
      path: { deviceId: cart.id },
      query: { limit: '5', cursor: String(page.body['next']) },
    });
    expect([...(page.body['items'] as object[]), ...(rest.body['items'] as object[])]).toHaveLength(2);
  });
});

describe('Enrolment tokens', () => {
  test('are shown once, listed without their secret, and withdrawn', async () => {
    const created = await call(tokens, 'createEnrollmentToken', {
      caller: ada,
      body: { siteId: north, platform: 'iomt', uses: 5 },
    });
    expect(created).toMatchObject({
      status: 201,
      body: { siteId: north, uses: 5, used: 0, state: 'active', allowUnknown: true },
    });
    const secret = String(created.body['token']);
    expect(secret).toMatch(/^wle_[\w-]{43}$/);
    expect(await getToken(directory, tokenHash(secret))).toMatchObject({ id: created.body['id'] });
    const path = { tokenId: String(created.body['id']) };
    const listed = await call(tokens, 'listEnrollmentTokens', { caller: ada });
    expect(JSON.stringify(listed.body)).not.toContain(secret);
    expect(listed.body['items']).toMatchObject([{ id: path.tokenId }]);
    expect(
      (await call(tokens, 'getEnrollmentToken', { caller: callerWith('biomed', { sites: [south] }), path })).status,
    ).toBe(403);
    expect((await call(tokens, 'revokeEnrollmentToken', { caller: callerWith('auditor'), path })).status).toBe(403);
    expect((await call(tokens, 'revokeEnrollmentToken', { caller: ada, path })).status).toBe(204);
    expect((await call(tokens, 'revokeEnrollmentToken', { caller: ada, path })).status).toBe(204);
    expect((await call(tokens, 'getEnrollmentToken', { caller: ada, path })).body).toMatchObject({ state: 'revoked' });
  });

  test('can be created without any limit by an administrator, and only within their limits by others', async () => {
    const create = (caller: typeof ada, body: object) => call(tokens, 'createEnrollmentToken', { caller, body });
    expect((await create(ada, {})).status).toBe(201);
    const bea = callerWith('biomed', { sites: [north] });
    expect((await create(bea, { siteId: north, platform: 'iomt' })).status).toBe(201);
    expect((await create(bea, { siteId: north })).status).toBe(403);
    expect((await create(bea, { siteId: south, platform: 'iomt' })).status).toBe(403);
    expect((await create(bea, { platform: 'iomt' })).status).toBe(403);
    expect((await create(ada, { siteId: site('z') })).status).toBe(400);
    expect((await create(ada, { expiresAt: '2020-01-01T00:00:00Z' })).status).toBe(400);
    expect((await create(ada, { uses: 0 })).status).toBe(400);
  });
});
