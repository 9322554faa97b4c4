import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { DeviceProfile } from '../../../local/devices/profile.ts';
import { type RunningFleet, startFleet } from '../../../local/devices/start.ts';
import type { FaultRule } from '../../../local/endpoint/faults.ts';
import { type DeviceId, deviceIdOf } from '../../../shared/devices/device.ts';
import { type LocalCloud, startLocalCloud } from '../../support/local-cloud.ts';

/** Simulated monitors that are always on, with certificates and MQTT connections of their own. */
const count = 500;
/** A few may be off the network by chance, as in life. */
const most = 0.95;
/** Devices of one request that needs no second person. */
const bulk = 25;

interface Change {
  readonly status: string;
  readonly at: string;
  readonly source: string;
}
type Command = Readonly<Record<string, unknown>> & { readonly type: string; readonly history: readonly Change[] };

const profiles: readonly DeviceProfile[] = Array.from({ length: count }, (_, index) => ({
  serial: `BRAKE-${index}`,
  class: 'patient-monitor',
  platform: 'iomt',
  manufacturer: 'Acme',
  model: 'M1',
  os: { name: 'monitor', version: '1.0' },
  channel: 'mqtt',
  timeZone: 'UTC',
  unitKind: 'intensive',
  location: { facility: 'North', building: 'A', floor: '1', pointOfCare: 'ICU', room: '1', bed: String(index) },
}));
const ids = profiles.map(({ serial }) => deviceIdOf(serial));
const [before, after] = [ids.slice(0, count / 2), ids.slice(count / 2)];

let cloud: LocalCloud;
let fleet: RunningFleet;
let ada: string;
let ben: string;
let hal: string;

beforeAll(async () => {
  cloud = await startLocalCloud({ args: ['--empty', '--trace', 'trace.jsonl'] });
  [ada, ben, hal] = await Promise.all([
    cloud.token('ada.admin', { mfa: true }),
    cloud.token('ben.admin', { mfa: true }),
    cloud.token('hal.helpdesk'),
  ]);
  const site = await cloud.api('POST', '/v1/sites', { token: ada, body: { name: 'North', timeZone: 'UTC' } });
  const { id: siteId } = site.body as { id: string };
  const made = await cloud.api('POST', '/v1/enrollment-tokens', {
    token: ada,
    body: { siteId, class: 'patient-monitor', platform: 'iomt', uses: count },
  });
  const { token } = made.body as { token: string };
  const { endpoints } = cloud;
  const enrolled = Promise.withResolvers<void>();
  fleet = startFleet(
    {
      members: profiles.map((profile) => ({ profile, token })),
      seed: 1,
      enroll: endpoints.enroll,
      device: endpoints.device,
      mqtt: endpoints.mqtt,
      ca: readFileSync(endpoints.ca, 'utf8'),
      now: Date.now(),
      speed: 1,
      enrolling: 8,
    },
    {
      progress: ({ connected }) => {
        if (connected >= count * most) enrolled.resolve();
      },
      log: (line) => enrolled.reject(new Error(line)),
    },
  );
  await enrolled.promise;
}, 600_000);
afterAll(async () => {
  await fleet?.stop();
  await cloud?.stop();
}, 300_000);

/** Asks for a command for each of the devices, part by part; gives those for which it was refused. */
async function queueFor(devices: readonly DeviceId[], type: string): Promise<string[]> {
  const refused: string[] = [];
  for (let start = 0; start < devices.length; start += bulk) {
    const body = { type, deviceIds: devices.slice(start, start + bulk) };
    const answer = await cloud.api('POST', '/v1/commands', { token: ada, body });
    expect(answer.status).toBe(200);
    const { results } = answer.body as { results: { deviceId: string; refused?: string }[] };
    refused.push(...results.filter((result) => result.refused !== undefined).map(({ deviceId }) => deviceId));
  }
  return refused;
}

async function historyOf(id: DeviceId, type: string): Promise<readonly Change[]> {
  const answer = await cloud.api('GET', `/v1/devices/${id}/commands`, { token: ada });
  return (answer.body as { items: Command[] }).items.find((command) => command.type === type)?.history ?? [];
}

const deliveryOf = (history: readonly Change[]): number | undefined => {
  const delivery = history.find(({ status }) => status === 'delivered');
  return delivery === undefined ? undefined : Date.parse(delivery.at);
};

/** The lives of a command of many devices, by device. */
async function histories(devices: readonly DeviceId[], type: string): Promise<Map<DeviceId, readonly Change[]>> {
  const found = new Map<DeviceId, readonly Change[]>();
  for (let start = 0; start < devices.length; start += bulk) {
    const some = devices.slice(start, start + bulk);
    await Promise.all(some.map(async (id) => found.set(id, await historyOf(id, type))));
  }
  return found;
}

/** Waits until nearly all devices have fetched their command of the type; gives when each did. */
async function fetched(devices: readonly DeviceId[], type: string): Promise<Map<DeviceId, number>> {
  for (;;) {
    const times = new Map<DeviceId, number>();
    for (const [id, history] of await histories(devices, type)) {
      const at = deliveryOf(history);
      if (at !== undefined) times.set(id, at);
    }
    if (times.size >= devices.length * most) return times;
    await pause(500);
  }
}

async function faults(...rules: readonly FaultRule[]): Promise<void> {
  const answer = await fetch(`${cloud.endpoints.awsEndpoint}/_wardline/faults`, {
    method: 'PUT',
    body: JSON.stringify(rules),
  });
  expect(answer.ok).toBe(true);
}

async function faultHits(): Promise<number> {
  const answer = await fetch(`${cloud.endpoints.awsEndpoint}/_wardline/faults`);
  return ((await answer.json()) as { hits: number }[])[0]?.hits ?? 0;
}

/**
 * Every device has a command waiting that the brake stops (nothing that a patient would notice), and comes to fetch it when
 * it is woken for another one, which the brake does not stop: so each check-in is seen, whatever it brought. Half of the
 * fleet comes while the brake is pulled, the other half a second later.
 */
test('500 devices come for their commands; a second after the answer of the brake none gets one, until two people release it', async () => {
  await faults({ service: 'iotdata', operation: 'SendDirectMessage', error: 'ForbiddenException', status: 403 });
  expect(await queueFor(ids, 'apply-config')).toEqual([]);
  while ((await faultHits()) < count) await pause(100);
  await faults();

  const waking = queueFor(before, 'inventory');
  const early = before[Math.floor(count / 10)] ?? '';
  while (deliveryOf(await historyOf(early, 'apply-config')) === undefined) await pause(20);
  const pulled = await cloud.api('POST', '/v1/brake', { token: hal, body: { scope: 'network', reason: 'load test' } });
  const answeredAt = Date.now();
  expect(pulled.status).toBe(200);
  await waking;
  await pause(Math.max(0, answeredAt + 1_000 - Date.now()));
  await queueFor(after, 'inventory');
  const visits = [...(await fetched(before, 'inventory')), ...(await fetched(after, 'inventory'))];

  const lives = await histories(ids, 'apply-config');
  const deliveries = [...lives.values()].flatMap((history) => deliveryOf(history) ?? []);
  const late = visits.filter(([, at]) => at > answeredAt + 1_000).map(([id]) => id);
  console.log(
    `${deliveries.length} handed out, the last one ${Math.max(...deliveries) - answeredAt} ms after the answer; ${late.length} devices came more than a second after it`,
  );
  expect(deliveries.length).toBeGreaterThan(0);
  expect(Math.max(...deliveries)).toBeLessThanOrEqual(answeredAt + 1_000);
  // They really came, and went with the reason instead of the command.
  expect(late.length).toBeGreaterThanOrEqual(after.length * most);
  for (const id of late) {
    if (deliveryOf(lives.get(id) ?? []) !== undefined) continue;
    expect(lives.get(id)?.at(-1)).toMatchObject({ status: 'deferred', source: 'brake' });
  }
  expect(await queueFor(ids.slice(0, bulk), 'restart')).toHaveLength(bulk);

  const release = (token: string) =>
    cloud.api('POST', '/v1/brake/release', { token, body: { scope: 'network', reason: 'load test is over' } });
  expect((await release(ada)).body).toMatchObject({ state: 'pulled' });
  expect((await release(ada)).status).toBe(409);
  expect(await histories(late, 'apply-config')).toEqual(new Map(late.map((id) => [id, lives.get(id)])));
  expect((await release(ben)).body).toMatchObject({ state: 'released' });
  // Nobody asks for anything: the release itself wakes whoever waited for it, long before it would come by itself.
  const released = Date.now();
  await fetched(ids, 'apply-config');
  expect(Date.now() - released).toBeLessThan(300_000);

  // The alerts have left, by the role that may send them and no other.
  const sent = () =>
    readFileSync(join(cloud.scratch, 'trace.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('"Publish"') && line.includes('send-alerts'));
  while (sent().length < 3) await pause(100);
  expect(sent().filter((line) => line.includes('"error"'))).toEqual([]);
}, 600_000);
