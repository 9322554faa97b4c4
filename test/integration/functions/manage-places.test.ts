import { ScanCommand, TransactWriteCommand } from '@aws-sdk/lib-dynamodb';
import { siteOperations } from '../../../functions/manage-places/sites.ts';
import { sparesOperations } from '../../../functions/manage-places/spares.ts';
import { unitOperations } from '../../../functions/manage-places/units.ts';
import { auditRecord } from '../../../shared/audit/record.ts';
import { keepRecord } from '../../../shared/audit/store.ts';
import { putExpectedDevice } from '../../../shared/devices/store.ts';
import { serve } from '../../../shared/http/api.ts';
import { encodeCursor } from '../../../shared/http/cursor.ts';
import type { Operation } from '../../../shared/http/routes.ts';
import { Guard } from '../../../shared/identity/guard.ts';
import { loadPolicies } from '../../../shared/identity/policy-set.ts';
import { PlaceLookup } from '../../../shared/places/lookup.ts';
import { PlaceStore } from '../../../shared/places/store.ts';
import { takeSparePart } from '../../../shared/rollouts/admission/spares-store.ts';
import { type ApiHandler, call, callerWith, freshMfa } from '../../support/api.ts';
import { enrol, infusionPump } from '../../support/devices.ts';
import { startTestDatabase, type TestDatabase } from '../../support/test-database.ts';

const ada = callerWith('administrator', freshMfa());
const chicago = { name: 'Linden Park', timeZone: 'America/Chicago' };
let database: TestDatabase;
let handler: ApiHandler;
let places: PlaceStore;
/** Places whose devices were to be woken. */
const woken: object[] = [];
let directory: Awaited<ReturnType<TestDatabase['table']>>;
let devices: Awaited<ReturnType<TestDatabase['table']>>;

beforeAll(async () => {
  database = await startTestDatabase();
  directory = await database.table('byKind');
  devices = await database.table('bySite');
  places = new PlaceStore(directory, devices);
  const guard = new Guard(loadPolicies(), (record) => keepRecord(directory, record));
  const services = { directory, devices, places, guard, wakeHeld: async (place: object) => void woken.push(place) };
  handler = serve('manage-places', {
    ...siteOperations(services),
    ...unitOperations(services),
    ...sparesOperations(services),
  });
});
afterAll(() => database.stop());

const createSite = async (body: object = chicago) => {
  const answer = await call(handler, 'createSite', { caller: ada, body });
  expect(answer.status).toBe(201);
  return { siteId: String(answer.body['id']), etag: String(answer.headers['etag']) };
};

describe('Sites', () => {
  test('are created, read, changed and deleted', async () => {
    const { siteId, etag } = await createSite();
    expect(siteId).toMatch(/^s-[0-9a-z]{26}$/);
    const read = await call(handler, 'getSite', { caller: ada, path: { siteId } });
    expect(read).toMatchObject({ status: 200, body: { id: siteId, ...chicago, version: 1 } });
    expect(read.headers).toMatchObject({ etag, 'content-type': 'application/json', 'cache-control': 'no-store' });
    const change = { caller: ada, path: { siteId }, body: { name: 'Linden Park West' } };
    expect((await call(handler, 'updateSite', change)).status).toBe(428);
    const changed = await call(handler, 'updateSite', { ...change, headers: { 'If-Match': etag } });
    expect(changed).toMatchObject({
      status: 200,
      body: { name: 'Linden Park West', timeZone: 'America/Chicago', version: 2 },
    });
    expect((await call(handler, 'updateSite', { ...change, headers: { 'If-Match': etag } })).status).toBe(412);
    expect(
      (await call(handler, 'deleteSite', { caller: ada, path: { siteId }, headers: { 'If-Match': etag } })).status,
    ).toBe(412);
    expect(
      (await call(handler, 'deleteSite', { caller: ada, path: { siteId }, headers: { 'If-Match': '"2"' } })).status,
    ).toBe(204);
    expect((await call(handler, 'getSite', { caller: ada, path: { siteId } })).status).toBe(404);
    const trail = await call(handler, 'listSiteAudit', { caller: callerWith('auditor'), path: { siteId } });
    expect(trail.body['items']).toMatchObject([
      { action: 'DeleteSite', outcome: 'allowed', before: { name: 'Linden Park West' } },
      { action: 'UpdateSite', before: { name: 'Linden Park' }, after: { name: 'Linden Park West' } },
      { action: 'CreateSite', actor: 'user:administrator-1', policyIds: ['administrator-everything-at-own-places'] },
    ]);
  });

  test('hold a calendar, each list of which is replaced whole', async () => {
    const night = { days: ['sat', 'sun'], from: '22:00', to: '04:00' };
    const { siteId, etag } = await createSite({ ...chicago, maintenanceWindows: [night] });
    const freeze = { name: 'Go-live', from: '2027-11-24T00:00', to: '2027-11-29T06:00' };
    const change = { caller: ada, path: { siteId } };
    const frozen = await call(handler, 'updateSite', {
      ...change,
      body: { freezes: [freeze] },
      headers: { 'If-Match': etag },
    });
    expect(frozen).toMatchObject({
      status: 200,
      body: { maintenanceWindows: [night], blackouts: [], freezes: [freeze] },
    });
    const read = await call(handler, 'getSite', change);
    expect(read.body).toEqual(frozen.body);
    const body = { freezes: [{ ...freeze, to: '2027-11-24T00:00' }] };
    const wrong = await call(handler, 'updateSite', { ...change, body, headers: { 'If-Match': '"2"' } });
    expect(wrong).toMatchObject({ status: 400, body: { errors: [{ pointer: '/freezes/0' }] } });
    const trail = await call(handler, 'listSiteAudit', { caller: callerWith('auditor'), path: { siteId } });
    expect(trail.body['items']).toMatchObject([{ before: { freezes: [] }, after: { freezes: [freeze] } }, {}]);
  });

  test('are changed by one of many at the same moment', async () => {
    const { siteId, etag } = await createSite();
    const attempts = Array.from({ length: 8 }, (_, name) =>
      call(handler, 'updateSite', {
        caller: ada,
        path: { siteId },
        body: { name: `n${name}` },
        headers: { 'if-match': etag },
      }),
    );
    const statuses = (await Promise.all(attempts)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.every((status) => status === 200 || status === 412)).toBe(true);
  });

  test('are listed by name in pages, and only to who may read them', async () => {
    const names = ['zeta', 'Alpha', 'beta'].map((name) => `List ${name}`);
    const ids = await Promise.all(names.map((name) => createSite({ ...chicago, name })));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const query = { limit: '2', ...(cursor === undefined ? {} : { cursor }) };
      const page = await call(handler, 'listSites', { caller: ada, query });
      expect(page.status).toBe(200);
      seen.push(...(page.body['items'] as { name: string }[]).map(({ name }) => name));
      cursor = page.body['next'] as string | undefined;
    } while (cursor !== undefined);
    expect(seen.filter((name) => name.startsWith('List '))).toEqual(['List Alpha', 'List beta', 'List zeta']);
    const one = callerWith('help-desk', { sites: [String(ids[0]?.siteId)] });
    const own = await call(handler, 'listSites', { caller: one, query: { limit: '100' } });
    expect(own.body['items']).toMatchObject([{ name: 'List zeta' }]);
    expect((await call(handler, 'listSites', { caller: callerWith('visitor') })).status).toBe(403);
    expect((await call(handler, 'listSites', { caller: ada, query: { cursor: 'e30' } })).status).toBe(400);
    expect((await call(handler, 'listSites', { caller: ada, query: { limit: '101' } })).status).toBe(400);
  });

  test('are created once per Idempotency-Key, they and their units', async () => {
    const create = (operation: 'createSite' | 'createUnit', body: object, key: string, path = {}, caller = ada) =>
      call(handler, operation, { caller, body, path, headers: { 'Idempotency-Key': key } });
    const twice = await Promise.all([create('createSite', chicago, 'k-1'), create('createSite', chicago, 'k-1')]);
    expect(twice.map(({ status }) => status)).toEqual([201, 201]);
    const siteId = String(twice[0]?.body['id']);
    expect(twice[1]?.body).toEqual(twice[0]?.body);
    expect(siteId).toMatch(/^s-[0-9a-z]{26}$/);
    expect((await create('createSite', { ...chicago, name: 'Another' }, 'k-1')).status).toBe(409);
    expect((await create('createSite', chicago, 'k-2')).body['id']).not.toBe(siteId);
    const ben = callerWith('administrator', { sub: 'ben' });
    expect((await create('createSite', chicago, 'k-1', {}, ben)).body['id']).not.toBe(siteId);

    const icu = { name: 'ICU', acuityTier: 'T0' };
    const units = [
      await create('createUnit', icu, 'k-1', { siteId }),
      await create('createUnit', icu, 'k-1', { siteId }),
    ];
    expect(units.map(({ status }) => status)).toEqual([201, 201]);
    expect(units[1]?.body).toEqual(units[0]?.body);
    expect((await create('createUnit', { ...icu, acuityTier: 'T3' }, 'k-1', { siteId })).status).toBe(409);
    const trail = await call(handler, 'listSiteAudit', { caller: ada, path: { siteId } });
    expect((trail.body['items'] as { action: string }[]).map(({ action }) => action)).toEqual([
      'CreateUnit',
      'CreateSite',
    ]);
  });

  test('refuse a cursor that somebody made up, whatever it says', async () => {
    const { siteId } = await createSite();
    const lists: [Operation, Record<string, string>, unknown[], unknown[]][] = [
      ['listSites', {}, ['sites'], []],
      ['listUnits', { siteId }, ['units', siteId], ['SITE', 'zzz']],
      // Any text is a place in a trail: it goes on after it.
      ['listSiteAudit', { siteId }, ['site-audit', siteId], []],
    ];
    for (const [operation, path, list, more] of lists) {
      for (const position of ['', 5, null, { pk: 'SITE' }, ...more]) {
        const query = { cursor: encodeCursor(list, position) };
        expect((await call(handler, operation, { caller: ada, path, query })).status).toBe(400);
      }
    }
    const elsewhere = { cursor: encodeCursor(['sites'], 'x#s-nowhere') };
    expect((await call(handler, 'listSites', { caller: ada, query: elsewhere })).status).toBe(200);
  });

  test('cannot be confused with the organization, nor a unit with its site', async () => {
    const { siteId } = await createSite();
    for (const caller of [ada, callerWith('administrator', { sites: [siteId] })]) {
      expect((await call(handler, 'getSite', { caller, path: { siteId: 'organization' } })).status).toBe(404);
      const unitId = siteId;
      expect((await call(handler, 'getUnit', { caller, path: { siteId, unitId } })).status).toBe(404);
    }
    const named = callerWith('administrator', { sites: ['organization'] });
    expect((await call(handler, 'getSite', { caller: named, path: { siteId } })).status).toBe(403);
  });

  test('refuse text that cannot be shown, and times that are none', async () => {
    const statusOf = async (body: object) => (await call(handler, 'createSite', { caller: ada, body })).status;
    for (const name of ['a\u0000b', '\u001b[2J', '\u202ekcip', 'two\nlines', '\ud83d']) {
      expect(await statusOf({ ...chicago, name })).toBe(400);
    }
    for (const to of ['', 'soon', '2027-02-30T10:00', '9999999-01-01T00:00']) {
      expect(await statusOf({ ...chicago, freezes: [{ name: 'x', from: '0000-01-01T00:00', to }] })).toBe(400);
    }
    const deep = `{"name":${'['.repeat(20_000)}${']'.repeat(20_000)}}`;
    const headers = { 'content-type': 'application/json' };
    expect((await call(handler, 'createSite', { caller: ada, raw: deep, headers })).status).toBe(400);
  });

  test('refuse what is not valid, and say where', async () => {
    const wrong = await call(handler, 'createSite', { caller: ada, body: { name: '', timeZone: '+02:00', more: 1 } });
    expect(wrong.status).toBe(400);
    expect(wrong.headers['content-type']).toBe('application/problem+json');
    expect((wrong.body['errors'] as { pointer: string }[]).map(({ pointer }) => pointer)).toEqual([
      '/name',
      '/timeZone',
      '/more',
    ]);
    expect(
      (await call(handler, 'createSite', { caller: ada, raw: '{', headers: { 'content-type': 'application/json' } }))
        .status,
    ).toBe(400);
    expect((await call(handler, 'createSite', { caller: ada, raw: '[]' })).status).toBe(400);
    expect(
      (await call(handler, 'createSite', { caller: ada, raw: 'x', headers: { 'content-type': 'text/plain' } })).status,
    ).toBe(415);
    expect((await call(handler, 'getSite', { caller: ada, path: { siteId: '../secret' } })).status).toBe(404);
    const nobody = await call(handler, 'createSite', { body: chicago });
    expect(nobody).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer' } });
  });

  test('are changed by nobody without permission, and the attempt is kept', async () => {
    const { siteId, etag } = await createSite();
    const hal = callerWith('help-desk', { sites: [siteId] });
    const denied = await call(handler, 'updateSite', {
      caller: hal,
      path: { siteId },
      body: { name: 'x' },
      headers: { 'If-Match': etag },
    });
    expect(denied).toMatchObject({ status: 403, body: { type: '/problems/forbidden', policyIds: [] } });
    const trail = await call(handler, 'listSiteAudit', { caller: ada, path: { siteId } });
    expect(trail.body['items']).toMatchObject([
      { outcome: 'denied', actor: 'user:help-desk-1', siteId },
      { outcome: 'allowed' },
    ]);
    expect((await call(handler, 'listSiteAudit', { caller: hal, path: { siteId } })).status).toBe(403);
  });
});

describe('Care units', () => {
  test('live in their site and keep it from being deleted', async () => {
    const { siteId } = await createSite();
    const created = await call(handler, 'createUnit', {
      caller: ada,
      path: { siteId },
      body: { name: 'ICU', acuityTier: 'T0', timeZone: 'America/Denver' },
    });
    expect(created).toMatchObject({ status: 201, body: { siteId, acuityTier: 'T0', timeZone: 'America/Denver' } });
    const unitId = String(created.body['id']);
    const path = { siteId, unitId };
    expect(
      (await call(handler, 'deleteSite', { caller: ada, path: { siteId }, headers: { 'If-Match': '*' } })).status,
    ).toBe(409);
    const changed = await call(handler, 'updateUnit', {
      caller: ada,
      path,
      body: { timeZone: null, acuityTier: 'T1' },
      headers: { 'If-Match': '"1"' },
    });
    expect(changed.body).toMatchObject({ name: 'ICU', acuityTier: 'T1', version: 2 });
    expect(changed.body).not.toHaveProperty('timeZone');
    const listed = await call(handler, 'listUnits', { caller: ada, path: { siteId } });
    expect(listed.body['items']).toMatchObject([{ id: unitId }]);
    expect((await call(handler, 'getUnit', { caller: ada, path: { siteId: 's-other', unitId } })).status).toBe(404);
    expect(
      (
        await call(handler, 'createUnit', {
          caller: ada,
          path: { siteId: 's-other' },
          body: { name: 'x', acuityTier: 'T3' },
        })
      ).status,
    ).toBe(404);

    const device = {
      serial: `UNIT-${unitId.slice(-8)}`,
      platform: 'linux',
      class: 'other',
      ownership: 'organization',
      siteId,
      unitId,
    } as const;
    const audit = (id: string) =>
      auditRecord(
        `DEVICE#${id}`,
        { actor: 'user:x', action: 'RegisterDevice', resource: `device/${id}`, outcome: 'allowed' },
        new Date(),
      );
    await putExpectedDevice(devices, device, audit, new Date());
    const remove = { caller: ada, path, headers: { 'If-Match': '"2"' } };
    expect((await call(handler, 'deleteUnit', remove)).body).toMatchObject({
      status: 409,
      detail: expect.stringContaining('Move them'),
    });
    expect(
      (await call(handler, 'deleteSite', { caller: ada, path: { siteId }, headers: { 'If-Match': '*' } })).status,
    ).toBe(409);
  });

  test('have hours and spares of their own, and go back to those of the site', async () => {
    const { siteId } = await createSite();
    const own = {
      maintenanceWindows: [{ days: ['sun'], from: '02:00', to: '05:00' }],
      blackouts: [{ name: 'Shift change', days: ['mon'], from: '06:30', to: '07:30' }],
      spares: { 'infusion-pump': 4 },
    };
    const body = { name: 'ICU', acuityTier: 'T0', ...own };
    const created = await call(handler, 'createUnit', { caller: ada, path: { siteId }, body });
    expect(created).toMatchObject({ status: 201, body: own });
    const change = { caller: ada, path: { siteId, unitId: String(created.body['id']) } };
    const changed = await call(handler, 'updateUnit', {
      ...change,
      body: { maintenanceWindows: null, blackouts: [], spares: { ventilator: 2 } },
      headers: { 'If-Match': '"1"' },
    });
    expect(changed).toMatchObject({ status: 200, body: { blackouts: [], spares: { ventilator: 2 } } });
    expect(changed.body).not.toHaveProperty('maintenanceWindows');
    const read = await call(handler, 'getUnit', change);
    expect(read.body).toEqual(changed.body);
    for (const spares of [{ pump: 1 }, { ventilator: -1 }, { ventilator: 1.5 }]) {
      const wrong = await call(handler, 'createUnit', { caller: ada, path: { siteId }, body: { ...body, spares } });
      expect([spares, wrong.status]).toEqual([spares, 400]);
    }
  });

  test('count correctly when many are made at once', async () => {
    const { siteId } = await createSite();
    const made = await Promise.all(
      Array.from({ length: 6 }, (_, name) =>
        call(handler, 'createUnit', { caller: ada, path: { siteId }, body: { name: `U${name}`, acuityTier: 'T2' } }),
      ),
    );
    expect(made.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201, 201]);
    for (const { body } of made) {
      const path = { siteId, unitId: String(body['id']) };
      expect((await call(handler, 'deleteUnit', { caller: ada, path, headers: { 'If-Match': '*' } })).status).toBe(204);
    }
    expect(
      (await call(handler, 'deleteSite', { caller: ada, path: { siteId }, headers: { 'If-Match': '*' } })).status,
    ).toBe(204);
  });
});

describe('What a care unit can spare', () => {
  test('is shown by class, with what is away, who took it, and until when', async () => {
    const { siteId } = await createSite();
    const unit = { name: 'ICU', acuityTier: 'T0', spares: { 'infusion-pump': 2, ventilator: 1 } };
    const created = await call(handler, 'createUnit', { caller: ada, path: { siteId }, body: unit });
    const path = { siteId, unitId: String(created.body['id']) };
    const read = (caller = ada) => call(handler, 'getUnitSpares', { caller, path });
    // Nothing is enrolled yet: what must stay is not there.
    expect(await read()).toMatchObject({
      status: 200,
      body: {
        classes: [
          { class: 'infusion-pump', devices: 0, keep: 2, budget: 0, away: [] },
          { class: 'ventilator', devices: 0, keep: 1, budget: 0, away: [] },
        ],
      },
    });
    const pumps: string[] = [];
    for (let n = 0; n < 4; n += 1) pumps.push((await enrol(devices, { ...infusionPump(`SPARE-${n}`), ...path })).id);
    await enrol(devices, { ...infusionPump('SPARE-MONITOR'), class: 'patient-monitor', ...path });
    // Of another unit.
    await enrol(devices, { ...infusionPump('SPARE-ELSEWHERE'), siteId, unitId: `u-${'z'.repeat(26)}` });
    const [first = '', second = ''] = pumps;
    const now = Date.now();
    const take = async (deviceId: string, by: string, since: number, until?: number) => {
      const place = { ...path, class: 'infusion-pump' } as const;
      const end = until === undefined ? undefined : new Date(until);
      const part = takeSparePart(directory, place, deviceId, by, 9, new Date(since), end);
      await directory.client.send(new TransactWriteCommand({ TransactItems: [part] }));
    };
    await take(first, 'command c-1', now - 1_000, now + 3_600_000);
    await take(second, 'rollout ro-1', now - 2_000);
    // What a command took is over, whether somebody tidied up or not.
    await take(pumps[2] ?? '', 'command c-2', now - 7_200_000, now - 1);
    const at = (time: number) => new Date(time).toISOString();
    expect((await read()).body).toEqual({
      classes: [
        {
          ...{ class: 'infusion-pump', devices: 4, keep: 2, budget: 2 },
          away: [
            { deviceId: second, by: 'rollout ro-1', since: at(now - 2_000) },
            { deviceId: first, by: 'command c-1', since: at(now - 1_000), until: at(now + 3_600_000) },
          ],
        },
        // It says nothing of monitors: one at a time.
        { class: 'patient-monitor', devices: 1, budget: 1, away: [] },
        { class: 'ventilator', devices: 0, keep: 1, budget: 0, away: [] },
      ],
    });
    expect(await read(callerWith('biomed', { sites: [`s-${'9'.repeat(26)}`] }))).toMatchObject({ status: 403 });
    const gone = { ...path, unitId: `u-${'0'.repeat(26)}` };
    expect(await call(handler, 'getUnitSpares', { caller: ada, path: gone })).toMatchObject({ status: 404 });
  });
});

describe('PlaceLookup', () => {
  test('finds places by id and by name, and refuses a name that is not one place', async () => {
    const one = await createSite({ ...chicago, name: 'Lookup  Hospital' });
    await createSite({ ...chicago, name: 'Twin' });
    await createSite({ ...chicago, name: 'twin' });
    await call(handler, 'createUnit', {
      caller: ada,
      path: { siteId: one.siteId },
      body: { name: 'Ward 3', acuityTier: 'T2' },
    });
    const lookup = new PlaceLookup(places);
    expect(await lookup.find('lookup hospital', undefined)).toEqual({ siteId: one.siteId });
    expect(await lookup.find(one.siteId, 'WARD 3')).toMatchObject({
      siteId: one.siteId,
      unitId: expect.stringMatching(/^u-/),
    });
    expect(await lookup.find('Twin', undefined)).toHaveProperty('reason');
    expect(await lookup.find('Nowhere', undefined)).toEqual({ reason: 'There is no such site.' });
    expect(await lookup.find(one.siteId, 'Ward 4')).toEqual({ reason: 'There is no such care unit.' });
    expect(await lookup.find(undefined, undefined)).toEqual({});
  });
});

test('what lets more through than before takes a fresh second factor and is told at once; what restricts does not', async () => {
  const windows = [{ days: ['mon'], from: '02:00', to: '04:00' }];
  const freezes = [{ name: 'Go-live', from: '2099-01-01T00:00', to: '2099-02-01T00:00' }];
  const { siteId } = await createSite({ ...chicago, maintenanceWindows: windows });
  const unit = { name: 'ICU', acuityTier: 'T0', spares: { ventilator: 2 } };
  const created = await call(handler, 'createUnit', { caller: ada, path: { siteId }, body: unit });
  const unitId = String(created.body['id']);
  const ida = callerWith('site-it', { sub: 'ida', sites: [siteId] });
  const change = (operation: 'updateSite' | 'updateUnit', body: object, caller = ida) => {
    const path = operation === 'updateSite' ? { siteId } : { siteId, unitId };
    return call(handler, operation, { caller, path, body, headers: { 'If-Match': '*' } });
  };
  const told = async () => {
    const query = { FilterExpression: 'kind = :kind AND siteId = :site', TableName: directory.name };
    const ExpressionAttributeValues = { ':kind': 'place-loosened', ':site': siteId };
    const { Items = [] } = await directory.client.send(new ScanCommand({ ...query, ExpressionAttributeValues }));
    return Items;
  };
  expect((await change('updateSite', { freezes })).status).toBe(200);
  expect((await change('updateUnit', { spares: { ventilator: 3 }, name: 'ICU 1' })).status).toBe(200);
  for (const [operation, body] of [
    ['updateUnit', { acuityTier: 'T3' }],
    ['updateUnit', { spares: null }],
    ['updateUnit', { maintenanceWindows: [] }],
    ['updateUnit', { timeZone: 'Asia/Kolkata' }],
    ['updateSite', { freezes: [] }],
    ['updateSite', { maintenanceWindows: [] }],
  ] as const) {
    const answer = await change(operation, body);
    expect([body, answer.status, answer.body['maxAgeSeconds']]).toEqual([body, 401, 900]);
  }
  expect(await told()).toEqual([]);

  const fresh = callerWith('site-it', { sub: 'ida', sites: [siteId], ...freshMfa() });
  const body = { acuityTier: 'T3', spares: { ventilator: 1 } };
  expect((await change('updateUnit', body, fresh)).status).toBe(200);
  expect(await told()).toMatchObject([
    {
      actor: 'user:ida',
      summary: `user:ida loosened acuityTier, spares of unit ${unitId}.`,
      unitId,
      details: { loosened: ['acuityTier', 'spares'] },
    },
  ]);
  const trail = await call(handler, 'listSiteAudit', { caller: ada, path: { siteId } });
  const [last] = trail.body['items'] as [{ policyIds: string[] }];
  expect(last).toMatchObject({ action: 'UpdateUnit', before: { acuityTier: 'T0' }, after: { acuityTier: 'T3' } });
});

test('a change of what the interlock decides on wakes the devices that wait there; another one does not', async () => {
  const { siteId } = await createSite();
  const unit = { name: 'ICU', acuityTier: 'T0' };
  const created = await call(handler, 'createUnit', { caller: ada, path: { siteId }, body: unit });
  const unitId = String(created.body['id']);
  woken.length = 0;
  const change = async (operation: 'updateSite' | 'updateUnit', version: number, body: object) => {
    const path = operation === 'updateSite' ? { siteId } : { siteId, unitId };
    const headers = { 'If-Match': `"${version}"` };
    expect((await call(handler, operation, { caller: ada, path, body, headers })).status).toBe(200);
    return woken.splice(0);
  };
  expect(await change('updateSite', 1, { name: 'Linden Park West', freezes: [] })).toEqual([]);
  expect(await change('updateUnit', 1, { name: 'ICU 2', acuityTier: 'T0' })).toEqual([]);
  expect(await change('updateUnit', 2, { acuityTier: 'T1' })).toEqual([{ siteId, unitId }]);
  const maintenanceWindows = [{ days: ['mon'], from: '02:00', to: '04:00' }];
  expect(await change('updateUnit', 3, { maintenanceWindows })).toEqual([{ siteId, unitId }]);
  expect(await change('updateSite', 2, { maintenanceWindows })).toEqual([{ siteId }]);
});
