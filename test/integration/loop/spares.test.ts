import { setTimeout as pause } from 'node:timers/promises';
import { gateFor } from '../../../shared/rollouts/gate/gate.ts';
import { eventually, LoopCloud } from '../../support/loop-cloud.ts';
import { commandsOf, LoopDevice } from '../../support/loop-device.ts';

/** Units that need one of their two pumps (rule R8). */
let loop: LoopCloud;
let siteId: string;

beforeAll(async () => {
  loop = await LoopCloud.start();
  const site = await loop.api('POST', '/v1/sites', { name: 'South', timeZone: 'UTC' });
  siteId = (site.body as { id: string }).id;
}, 120_000);
afterAll(() => loop?.[Symbol.asyncDispose]());

/** A unit that needs one pump, and what enrols pumps there. */
async function unitOf(name: string): Promise<{ readonly unitId: string; readonly token: string }> {
  const ward = { name, acuityTier: 'T2', spares: { 'infusion-pump': 1 } };
  const unit = await loop.api('POST', `/v1/sites/${siteId}/units`, ward);
  const unitId = (unit.body as { id: string }).id;
  const body = { siteId, unitId, class: 'infusion-pump', platform: 'iomt', uses: 10 };
  const { token } = (await loop.api('POST', '/v1/enrollment-tokens', body)).body as { token: string };
  return { unitId, token };
}

/** A check-in of an idle pump, and the commands that it gets. */
async function idle(device: LoopDevice, more: Record<string, unknown> = {}) {
  const at = new Date(await loop.now()).toISOString();
  const { status, body } = await device.publish({
    ...{ at, clinical: { state: 'idle', at } },
    // What has a battery is updated on its charger.
    posture: { battery: { percent: 90, charging: true } },
    ...more,
  });
  expect(status).toBe(200);
  return commandsOf(body);
}

test('one pump at a time restarts; the other is told why and until when, and goes when the first is back', async () => {
  const { token } = await unitOf('4 South');
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
});

test('a pump that an update broke is missing in its unit until a person puts it back', async () => {
  const { unitId, token } = await unitOf('5 South');
  await using first = await LoopDevice.enrol(loop.cloud.endpoints, token, 'SPARE-3');
  await using second = await LoopDevice.enrol(loop.cloud.endpoints, token, 'SPARE-4');
  const pumps = [first, second];
  for (const pump of pumps) {
    await pump.connect();
    await idle(pump, { inventory: { firmwareVersion: '9.4.0' } });
  }
  const id = await startedRollout(unitId);
  /** What a pump is told to do once it is told that, of whichever pump it is. */
  const told = (type: string, those: readonly LoopDevice[]) =>
    eventually(
      async () => {
        // Whoever checks in all the time keeps others from writing to the same items.
        await pause(250);
        for (const pump of those) {
          const command = (await idle(pump)).find((each) => each.type === type);
          if (command !== undefined) return { pump, command };
        }
        return undefined;
      },
      (found) => found !== undefined,
    );
  for (const pump of pumps) {
    const { command } = (await told('download-update', [pump])) ?? {};
    const results = [{ commandId: command?.id, status: 'acknowledged', detail: { sha256 } }];
    await idle(pump, { results });
  }
  const { pump, command } = (await told('activate-update', pumps)) ?? {};
  if (pump === undefined) throw new Error('nobody was let in');
  await idle(pump, { results: [{ commandId: command?.id, status: 'failed', reason: 'install-failed' }] });
  const device = async () => {
    const { body } = await loop.api('GET', `/v1/rollouts/${id}/devices?state=failed`);
    return (body as { items: object[] }).items[0];
  };
  expect(await eventually(device, (failed) => failed !== undefined)).toMatchObject({
    ...{ deviceId: pump.id, outOfService: true },
  });
  const spares = async () => (await loop.api('GET', `/v1/sites/${siteId}/units/${unitId}/spares`)).body;
  const pumpsOf = { class: 'infusion-pump', devices: 2, keep: 1, budget: 1 };
  const away = [{ deviceId: pump.id, by: `rollout ${id}`, since: expect.any(String) }];
  expect(await spares()).toEqual({ classes: [{ ...pumpsOf, away }] });

  const putBack = () =>
    loop.api('POST', `/v1/rollouts/${id}/devices/${pump.id}/return`, { reason: 'It was flashed anew.' });
  expect(await putBack()).toMatchObject({ status: 200, body: { state: 'failed', outOfService: false } });
  expect(await putBack()).toMatchObject({ status: 409 });
  expect(await spares()).toEqual({ classes: [{ ...pumpsOf, away: [] }] });
}, 120_000);

const sha256 = 'ab'.repeat(32);

/** A rollout for the pumps of a unit, with a gate that one failure stops. */
async function startedRollout(unitId: string): Promise<string> {
  const gate = gateFor(0.5);
  const made = await loop.api('POST', '/v1/rollouts', {
    name: 'Pumps to 9.5.0',
    artifact: { kind: 'firmware', name: 'Infuse', version: '9.5.0', sha256, signature: 'c2lnbmVk' },
    selection: { siteIds: [siteId], unitIds: [unitId], classes: ['infusion-pump'] },
    waves: [
      { name: 'Ward', scope: { kind: 'units', unitIds: [unitId] }, gate },
      { name: 'The rest', scope: { kind: 'rest' }, gate },
    ],
    wayBack: 'The pump keeps the version before in its second slot.',
  });
  const { id } = made.body as { id: string };
  await loop.api('POST', `/v1/rollouts/${id}/plan`);
  const read = async () => (await loop.api('GET', `/v1/rollouts/${id}`)).body as { state: string; digest?: string };
  const { digest } = await eventually(read, ({ state }) => state === 'planned');
  await loop.api('POST', `/v1/rollouts/${id}/submit`);
  const bob = await loop.cloud.token('bob.biomed', { mfa: true });
  await loop.cloud.api('POST', `/v1/rollouts/${id}/approve`, { token: bob, body: { digest } });
  expect(await loop.api('POST', `/v1/rollouts/${id}/start`)).toMatchObject({ status: 200 });
  return id;
}
