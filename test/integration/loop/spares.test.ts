import { eventually, LoopCloud } from '../../support/loop-cloud.ts';
import { commandsOf, LoopDevice } from '../../support/loop-device.ts';

/** A unit that needs one of its two pumps: the second restart waits until the first pump is back (rule R8). */
let loop: LoopCloud;
let token: string;

beforeAll(async () => {
  loop = await LoopCloud.start();
  const site = await loop.api('POST', '/v1/sites', { name: 'South', timeZone: 'UTC' });
  const siteId = (site.body as { id: string }).id;
  const ward = { name: '4 South', acuityTier: 'T2', spares: { 'infusion-pump': 1 } };
  const unit = await loop.api('POST', `/v1/sites/${siteId}/units`, ward);
  const unitId = (unit.body as { id: string }).id;
  const body = { siteId, unitId, class: 'infusion-pump', platform: 'iomt', uses: 10 };
  token = ((await loop.api('POST', '/v1/enrollment-tokens', body)).body as { token: string }).token;
}, 120_000);
afterAll(() => loop?.[Symbol.asyncDispose]());

/** A check-in of an idle pump, and the commands that it gets. */
async function idle(device: LoopDevice, more: Record<string, unknown> = {}) {
  const at = new Date(await loop.now()).toISOString();
  const { status, body } = await device.publish({ at, clinical: { state: 'idle', at }, ...more });
  expect(status).toBe(200);
  return commandsOf(body);
}

test('one pump at a time restarts; the other is told why and until when, and goes when the first is back', async () => {
  await using first = await LoopDevice.enrol(loop.cloud.endpoints, token, 'SPARE-1');
  await using second = await LoopDevice.enrol(loop.cloud.endpoints, token, 'SPARE-2');
  const pumps = [first, second];
  for (const pump of pumps) await pump.connect();
  const ids = [];
  for (const pump of pumps) ids.push(await loop.queue(pump, { type: 'restart' }));
  const [one = '', other = ''] = ids;

  expect(await idle(first)).toMatchObject([{ id: one, type: 'restart' }]);
  expect(await idle(second)).toEqual([]);
  const { history } = await loop.life(second, other);
  expect(history.at(-1)).toMatchObject({
    status: 'deferred',
    source: 'admission',
    reason: '1 of its class are out of service in the unit, which can spare 1.',
    until: expect.any(String),
  });

  await idle(first, { results: [{ commandId: one, status: 'acknowledged' }] });
  expect(await idle(second)).toMatchObject([{ id: other, type: 'restart' }]);
  await eventually(
    () => loop.life(second, other),
    ({ status }) => status === 'delivered',
  );
}, 60_000);
