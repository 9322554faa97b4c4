import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { homeSite } from '../../../local/identity/users.ts';
import { assertIsolated } from '../../support/isolation.ts';
import { type LocalCloud, startLocalCloud } from '../../support/local-cloud.ts';

type Body = Record<string, unknown>;
let cloud: LocalCloud;
let ada: string;

beforeAll(async () => {
  cloud = await startLocalCloud();
  ada = await cloud.token('ada.admin');
}, 120_000);
afterAll(() => cloud?.stop());

const api = async (
  method: string,
  path: string,
  options: { token?: string; body?: unknown; headers?: Record<string, string> } = {},
) => {
  const answer = await cloud.api(method, `/v1${path}`, { token: ada, ...options });
  return { status: answer.status, headers: answer.headers, body: (answer.body ?? {}) as Body };
};

/** Asks until the answer is as wanted, for what goes on behind an answer; the test's own time limit ends it. */
const until = async (path: string, wanted: (body: Body) => boolean): Promise<Body> => {
  for (;;) {
    const { body } = await api('GET', path);
    if (wanted(body)) return body;
  }
};

describe('The management API of the local cloud, through its front door', () => {
  test('places, devices, permissions and the audit trail work together', async () => {
    const site = await api('POST', '/sites', { body: { name: homeSite, timeZone: 'America/Chicago' } });
    expect(site.status).toBe(201);
    const siteId = String(site.body['id']);
    const other = String((await api('POST', '/sites', { body: { name: 'Elsewhere', timeZone: 'UTC' } })).body['id']);
    const unit = await api('POST', `/sites/${siteId}/units`, { body: { name: 'ICU', acuityTier: 'T0' } });
    expect(unit.status).toBe(201);
    const unitId = String(unit.body['id']);

    const pump = await api('POST', '/devices', {
      body: { serial: 'api-1', platform: 'iomt', class: 'infusion-pump', siteId, unitId },
    });
    expect(pump).toMatchObject({ status: 201, body: { lifecycle: 'expected', serial: 'API-1' } });
    const deviceId = String(pump.body['id']);

    // The demo users have their site by its name; the token carries its id.
    const bea = await cloud.token('bea.biomed');
    expect((await api('GET', '/sites', { token: bea })).body['items']).toMatchObject([{ id: siteId }]);
    expect((await api('GET', `/devices?site=${siteId}&unit=${unitId}`, { token: bea })).body['items']).toMatchObject([
      { id: deviceId },
    ]);
    expect(
      (await api('POST', '/devices', { token: bea, body: { serial: 'api-2', platform: 'iomt', siteId: other } }))
        .status,
    ).toBe(403);
    const etag = pump.headers.get('etag') ?? '';
    const renamed = await api('PATCH', `/devices/${deviceId}`, {
      token: bea,
      body: { name: 'Pump 1' },
      headers: { 'if-match': etag },
    });
    expect(renamed).toMatchObject({ status: 200, body: { name: 'Pump 1', version: 2 } });
    expect(
      (await api('PATCH', `/devices/${deviceId}`, { body: { name: 'x' }, headers: { 'if-match': etag } })).status,
    ).toBe(412);

    const hal = await cloud.token('hal.helpdesk');
    expect(await api('POST', `/devices/${deviceId}/commands`, { token: hal, body: { type: 'restart' } })).toMatchObject(
      { status: 403, body: { policyIds: [] } },
    );
    expect(await api('POST', `/devices/${deviceId}/commands`, { body: { type: 'wipe' } })).toMatchObject({
      status: 401,
      body: { type: '/problems/insufficient-user-authentication' },
    });
    // Signed in well enough, it is the device that does not take commands yet.
    const fresh = await cloud.token('ada.admin', { mfa: true });
    expect((await api('POST', `/devices/${deviceId}/commands`, { token: fresh, body: { type: 'wipe' } })).status).toBe(
      409,
    );
    expect(await api('GET', '/devices', { token: await cloud.token('sid.suspended') })).toMatchObject({
      status: 403,
      body: { policyIds: ['suspended'] },
    });

    const trail = await api('GET', `/devices/${deviceId}/audit`, { token: await cloud.token('amy.auditor') });
    expect(
      (trail.body['items'] as Body[]).map(({ action, outcome, actor }) => `${outcome} ${action} ${actor}`),
    ).toEqual([
      'denied WipeDevice user:ada.admin',
      'denied RestartDevice user:hal.helpdesk',
      'allowed UpdateDevice user:bea.biomed',
      'allowed RegisterDevice user:ada.admin',
    ]);
    expect((await api('DELETE', `/sites/${siteId}`, { headers: { 'if-match': '*' } })).status).toBe(409);
  });

  test('an import is carried out behind its answer', async () => {
    const response = await fetch(`${cloud.endpoints.api}/v1/devices/import`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ada}`, 'content-type': 'text/csv' },
      body: '\u{feff}Serial;OS;Facility\r\nIMP-1;iPadOS;Elsewhere\r\nIMP-2;toaster;\r\n',
    });
    expect(response.status).toBe(202);
    const path = (response.headers.get('location') ?? '').replace('/v1', '');
    expect(await until(path, ({ state }) => state === 'done')).toMatchObject({
      rows: { read: 2, created: 1, refused: 1 },
    });
    expect((await api('GET', `${path}/report`)).body['items']).toMatchObject([
      { serial: 'IMP-1', outcome: 'created' },
      { outcome: 'refused' },
    ]);
    expect((await api('GET', '/devices?serial=imp-1')).body['items']).toMatchObject([{ platform: 'apple' }]);
  });

  test('the administrator of one site sees and changes nothing of another, by any operation', async () => {
    const { body } = await api('GET', '/sites');
    const home = (body['items'] as Body[]).find(({ name }) => name === homeSite);
    await assertIsolated(cloud, String(home?.['id']));
  }, 120_000);

  test('nobody gets in without a token, and everybody may read what the API is', async () => {
    for (const token of [undefined, 'nonsense', `${ada.slice(0, -4)}AAAA`]) {
      const answer = await cloud.api('GET', '/v1/sites', token === undefined ? {} : { token });
      expect(answer).toMatchObject({ status: 401, body: { type: '/problems/unauthenticated' } });
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
    const described = await cloud.api('GET', '/v1/openapi.json');
    expect(described).toMatchObject({
      status: 200,
      body: { openapi: '3.1.0', servers: [{ url: '/v1' }] },
    });
    expect((await api('GET', '/nothing')).status).toBe(404);
    expect(await api('POST', '/sites', { body: { name: 5 } })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/name' }, { pointer: '/timeZone' }] },
    });
  });

  test('npm run token names the demo users when it does not know one', async () => {
    const program = join(import.meta.dirname, '../../../cli/token.ts');
    const run = promisify(execFile)(process.execPath, [program, '--user', 'mallory'], { cwd: cloud.scratch });
    await expect(run).rejects.toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('ada.admin, ben.admin'),
    });
  });
});
