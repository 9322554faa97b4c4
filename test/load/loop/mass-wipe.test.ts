import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, LoopCloud } from '../../support/loop-cloud.ts';
import { LoopDevice } from '../../support/loop-device.ts';

/**
 * The attack that this product must survive: somebody with an administrator's token wipes all that there is. Through the public
 * door, with tokens of the OpenID provider and devices that really wait for commands.
 */
const count = 30;
const breakGlass = { reasonCode: 'active-attack', text: 'just do it, do it now' };

let loop: LoopCloud;
let devices: LoopDevice[];
let ids: string[];

beforeAll(async () => {
  loop = await LoopCloud.start();
  const { cloud } = loop;
  const site = await loop.api('POST', '/v1/sites', { name: 'North', timeZone: 'UTC' });
  const { id: siteId } = site.body as { id: string };
  const body = { siteId, class: 'workstation', platform: 'linux', uses: count };
  const { token } = (await loop.api('POST', '/v1/enrollment-tokens', body)).body as { token: string };
  devices = [];
  for (let n = 0; n < count; n += 1) devices.push(await LoopDevice.enrol(cloud.endpoints, token, `WIPE-${n}`));
  ids = devices.map(({ id }) => id);
}, 300_000);
afterAll(async () => {
  for (const device of devices ?? []) await device[Symbol.asyncDispose]();
  await loop?.[Symbol.asyncDispose]();
});

/** Every device says that nobody uses it: the interlock does not stand in the way. Gives how many were told to wipe. */
async function wiped(): Promise<number> {
  const at = new Date().toISOString();
  const answers = await Promise.all(devices.map((device) => device.post({ clinical: { state: 'idle', at } })));
  const commands = answers.map(({ body }) => (body['commands'] ?? []) as { type: string }[]);
  return commands.filter((list) => list.some(({ type }) => type === 'wipe')).length;
}

/** What has left by the topic for alerts. */
const alerts = () =>
  readFileSync(join(loop.cloud.scratch, '.wardline', 'logs', 'wardline-send-alerts.log'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{"level":"WARN","message":"alert"'))
    .map(
      (line) => JSON.parse(line) as { kind: string; actor: string; summary: string; details?: { devices?: number } },
    );

test('one stolen token wipes nothing, or one device past approval; two wipe what an hour allows; the alerts say who and what', async () => {
  const { cloud } = loop;
  const api = (token: string, path: string, body: unknown) => cloud.api('POST', path, { token, body });
  const [ada, ben, benStale] = [
    await cloud.token('ada.admin', { mfa: true }),
    await cloud.token('ben.admin', { mfa: true }),
    await cloud.token('ben.admin'),
  ];
  expect(await wiped()).toBe(0);

  // A stolen token without a fresh second factor asks for nothing destructive.
  const stale = await api(benStale, '/v1/commands', { type: 'wipe', deviceIds: ids });
  expect(stale.status).toBe(401);

  // With one: it can ask, and not agree to it itself, however the request is cut.
  const bulk = await api(ada, '/v1/commands', { type: 'wipe', deviceIds: ids });
  expect(bulk.status).toBe(202);
  const { id, hash } = bulk.body as { id: string; hash: string };
  const approve = (token: string) => api(token, `/v1/approvals/${id}/approve`, { hash });
  expect((await approve(ada)).status).toBe(403);
  const single = await Promise.all(ids.map((one) => api(ada, `/v1/devices/${one}/commands`, { type: 'wipe' })));
  expect(new Set(single.map(({ status }) => status))).toEqual(new Set([202]));
  expect(await wiped()).toBe(0);

  // A second stolen token without a fresh second factor.
  const refused = await approve(benStale);
  expect(refused.status).toBe(401);
  expect(refused.headers.get('www-authenticate')).toMatch(/error="insufficient_user_authentication".*max_age="900"/);
  expect(await wiped()).toBe(0);

  // The glass, for all devices at once: one.
  const emergencies = await Promise.all(
    ids.map((one) => api(ada, `/v1/devices/${one}/commands`, { type: 'wipe', breakGlass })),
  );
  expect(emergencies.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(await wiped()).toBe(1);

  // Two whole identities: 5 % of 30 devices are less than one, and one is the least.
  expect((await approve(ben)).status).toBe(200);
  expect(await wiped()).toBeLessThanOrEqual(2);

  const told = await eventually(alerts, (list) => list.some(({ kind }) => kind === 'limit-reached'));
  expect(told.find(({ kind, details }) => kind === 'approval-requested' && details?.devices === count)).toMatchObject({
    actor: 'user:ada.admin',
    summary: `user:ada.admin asks for wipe of ${count} devices; a second person is needed.`,
  });
  for (const actor of ['user:ada.admin', 'user:ben.admin']) {
    expect(told.find((alert) => alert.kind === 'approval-attempt' && alert.actor === actor)?.summary).toContain(
      `${actor} tried to approve wipe of ${count} devices`,
    );
  }
  const broken = told.filter(({ kind }) => kind === 'break-glass');
  expect(broken).toHaveLength(1);
  expect(broken[0]?.summary).toMatch(/^user:ada\.admin broke the glass: wipe of device d-/);
}, 300_000);
