import { LoopCloud } from '../../support/loop-cloud.ts';
import { commandsOf, LoopDevice } from '../../support/loop-device.ts';

/**
 * Commands that a gate holds back, and devices that do nothing by themselves: what wakes them is the end of what the
 * command waited for.
 */
let loop: LoopCloud;
let pumps: string;
let workstations: string;
let siteId: string;
let serials = 0;

beforeAll(async () => {
  loop = await LoopCloud.start();
  const site = await loop.api('POST', '/v1/sites', { name: 'North', timeZone: 'UTC' });
  siteId = (site.body as { id: string }).id;
  const token = async (body: object) => {
    const made = await loop.api('POST', '/v1/enrollment-tokens', { siteId, uses: 10, ...body });
    return (made.body as { token: string }).token;
  };
  pumps = await token({ class: 'infusion-pump', platform: 'iomt' });
  workstations = await token({ class: 'workstation', platform: 'linux' });
}, 300_000);
afterAll(() => loop?.[Symbol.asyncDispose]());

async function connected(token = pumps, unitId?: string): Promise<LoopDevice> {
  serials += 1;
  const device = await LoopDevice.enrol(loop.cloud.endpoints, token, `WAITING-${serials}`);
  if (unitId !== undefined) {
    const { headers } = await loop.api('GET', `/v1/devices/${device.id}`);
    const ifMatch = { 'If-Match': headers.get('etag') ?? '' };
    expect((await loop.api('PATCH', `/v1/devices/${device.id}`, { siteId, unitId }, ifMatch)).status).toBe(200);
  }
  await device.connect();
  return device;
}

/** A check-in with what the pump says of itself, and the commands that it gets. */
async function says(device: LoopDevice, state: 'idle' | 'in-use', more: Record<string, unknown> = {}) {
  const at = new Date(await loop.now()).toISOString();
  const { status, body } = await device.publish({ at, clinical: { state, at }, ...more });
  expect(status).toBe(200);
  return commandsOf(body);
}

test('a restart that use has put off: when its time comes the pump is woken, and carries it out', async () => {
  await using device = await connected();
  await says(device, 'in-use');
  const id = await loop.queue(device, { type: 'restart' });
  await device.wake();
  expect(await says(device, 'in-use')).toEqual([]);
  const { history } = await loop.life(device, id);
  const until = Date.parse(history.at(-1)?.until ?? '');
  expect(history.at(-1)).toMatchObject({ status: 'deferred', source: 'interlock' });
  expect(device.wakesWaiting).toBe(0);

  // The therapy ends; nobody tells us, and this pump never asks.
  await loop.speed(100);
  await device.wake();
  await loop.speed(1);
  expect(await loop.now()).toBeGreaterThan(until);
  await loop.signIn();
  expect(await says(device, 'idle')).toMatchObject([{ id, type: 'restart' }]);
  await says(device, 'idle', { results: [{ commandId: id, status: 'acknowledged' }] });
  const bootedAt = new Date((await loop.now()) + 1_000).toISOString();
  await says(device, 'idle', { posture: { bootedAt } });
  expect(await loop.course(device, id)).toEqual(['queued', 'deferred', 'delivered', 'acknowledged', 'verified']);
}, 300_000);

test('a restart that the brake holds goes out within seconds of its release, to a pump that only waits', async () => {
  await using device = await connected();
  await says(device, 'in-use');
  const id = await loop.queue(device, { type: 'restart' });
  await device.wake();
  const brake = { scope: 'site', siteId, reason: 'a restart went wrong' };
  expect((await loop.api('POST', '/v1/brake', brake)).status).toBe(200);
  // Free for the interlock: now only the brake is in the way.
  expect(await says(device, 'idle')).toEqual([]);
  expect((await loop.life(device, id)).history.at(-1)).toMatchObject({ status: 'deferred', source: 'brake' });

  const ben = await loop.cloud.token('ben.admin', { mfa: true });
  const first = await loop.api('POST', '/v1/brake/release', brake);
  expect(first.body).toMatchObject({ state: 'pulled' });
  expect(device.wakesWaiting).toBe(0);
  const second = await loop.cloud.api('POST', '/v1/brake/release', { token: ben, body: brake });
  expect(second.body).toMatchObject({ state: 'released' });
  const released = performance.timeOrigin + performance.now();

  const woken = await device.wake();
  // By itself it would come in half a day.
  expect(woken.at - released).toBeLessThan(60_000);
  expect(await says(device, 'idle')).toMatchObject([{ id, type: 'restart' }]);
}, 300_000);

test('an installation that waits for next week goes out when the unit is given other hours', async () => {
  const soon = new Date((await loop.now()) + 3 * 86_400_000);
  const days = [['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'][soon.getUTCDay()]];
  const unit = await loop.api('POST', `/v1/sites/${siteId}/units`, {
    name: 'Ward 3',
    acuityTier: 'T2',
    maintenanceWindows: [{ days, from: '03:00', to: '05:00' }],
  });
  const { id: unitId } = unit.body as { id: string };
  await using device = await connected(workstations, unitId);
  await says(device, 'idle');
  const order = { type: 'install-update', parameters: { version: '2', activate: 'now' } };
  const asked = await loop.api('POST', `/v1/devices/${device.id}/commands`, order);
  expect(asked.status).toBe(202);
  const { id, hash } = asked.body as { id: string; hash: string };
  const ben = await loop.cloud.token('ben.admin', { mfa: true });
  const approved = await loop.cloud.api('POST', `/v1/approvals/${id}/approve`, { token: ben, body: { hash } });
  expect(approved.body).toMatchObject({ state: 'approved' });
  await device.wake();
  expect(await says(device, 'idle')).toEqual([]);
  const [waiting] = await loop.commands(device);
  expect(waiting?.history.at(-1)?.until).toMatch(/T03:00:00/);

  const changed = await loop.api(
    'PATCH',
    `/v1/sites/${siteId}/units/${unitId}`,
    { maintenanceWindows: null },
    { 'If-Match': unit.headers.get('etag') ?? '' },
  );
  expect(changed.status).toBe(200);
  await device.wake();
  expect(await says(device, 'idle')).toMatchObject([{ type: 'install-update' }]);
}, 300_000);
