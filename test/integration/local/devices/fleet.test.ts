import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { demoFleet } from '../../../../local/demo/fleet.ts';
import type { FleetOptions, FleetProgress } from '../../../../local/devices/fleet.ts';
import { type RunningFleet, startFleet } from '../../../../local/devices/start.ts';
import { deviceIdOf } from '../../../../shared/devices/device.ts';
import { startService, type TestService } from '../../../support/agent-service.ts';

const devices = demoFleet(40, 1).map(({ profile }) => profile);
const commandId = (n: number): string => `5-01J0000000000000000000000${n}`;

let service: TestService;
let folder: string;
let fleets: RunningFleet[];

beforeEach(async () => {
  service = await startService();
  folder = mkdtempSync(join(tmpdir(), 'wardline-fleet-'));
  fleets = [];
});

afterEach(async () => {
  for (const fleet of fleets) await fleet.stop();
  await service.stop();
  rmSync(folder, { recursive: true });
});

/** Starts a fleet; `reached` resolves when its progress satisfies a condition. */
function start(members: FleetOptions['members'], change: Partial<FleetOptions> = {}) {
  const watchers = new Set<(progress: FleetProgress) => void>();
  const lines: string[] = [];
  const fleet = startFleet(
    {
      members,
      seed: 1,
      enroll: service.enroll,
      device: service.device,
      mqtt: service.mqtt,
      ca: service.ca,
      now: Date.now(),
      speed: 1,
      ...change,
    },
    {
      progress: (progress) => {
        for (const watch of watchers) watch(progress);
      },
      log: (line) => lines.push(line),
    },
  );
  fleets.push(fleet);
  const reached = (condition: (progress: FleetProgress) => boolean): Promise<void> =>
    new Promise((resolve) => {
      const watch = (progress: FleetProgress): void => {
        if (!condition(progress)) return;
        watchers.delete(watch);
        resolve();
      };
      watchers.add(watch);
      watch(fleet.progress());
    });
  return { fleet, reached, lines };
}

const withToken = (profiles: typeof devices, token = service.token) => profiles.map((profile) => ({ profile, token }));

test('every device enrols once, connects as itself and reports', async () => {
  const { reached } = start(withToken(devices));
  await reached(({ enrolled }) => enrolled === devices.length);
  await service.until(() => new Set(service.checkIns.map(({ deviceId }) => deviceId)).size === devices.length);

  expect(service.issued).toHaveLength(devices.length);
  for (const profile of devices) {
    const first = service.checkIns.find(({ deviceId }) => deviceId === deviceIdOf(profile.serial));
    expect(first?.channel).toBe(profile.channel);
    expect(first?.message.inventory).toMatchObject({ serial: profile.serial, os: { version: profile.os.version } });
    expect(first?.message.clinical?.state).toBeDefined();
  }
});

test('with a folder the devices keep their identity over a restart', async () => {
  const few = withToken(devices.slice(0, 5));
  const first = start(few, { folder });
  await first.reached(({ enrolled }) => enrolled === 5);
  await service.until(() => service.checkIns.length >= 5);
  await first.fleet.stop();
  await service.until(() => service.connected.size === 0);
  expect(statSync(join(folder, readdirSync(folder)[0] ?? '')).mode & 0o777).toBe(0o600);

  const seen = service.checkIns.length;
  start(few, { folder });
  await service.until(() => service.checkIns.length >= seen + 5);
  expect(service.issued).toHaveLength(5);
});

test('a refused token is told and the others go on', async () => {
  const members = [...withToken(devices.slice(0, 1), 'wle_wrong'), ...withToken(devices.slice(1, 3))];
  const { reached, lines } = start(members);
  await reached(({ enrolled, refused }) => enrolled === 2 && refused === 1);
  expect(lines.join()).toContain(`${devices[0]?.serial} was not enrolled: simpleenroll was answered with 401`);
});

test('a phone that is erased says so, forgets its identity and stays away', async () => {
  const phone = demoFleet(200, 1)
    .map(({ profile }) => profile)
    .find((profile) => profile.class === 'phone');
  if (phone === undefined) throw new Error('there is no phone');
  const id = deviceIdOf(phone.serial);
  const { reached } = start(withToken([phone]), { folder, speed: 20 });
  await reached(({ enrolled }) => enrolled === 1);
  await service.until(() => service.connected.has(id));
  service.queue(id, { id: commandId(1), type: 'wipe' });
  await service.until(() => service.results.length > 0 && !service.connected.has(id));
  expect(service.results).toEqual([{ commandId: commandId(1), status: 'acknowledged' }]);

  const { fleet } = start(withToken([phone]), { folder });
  await fleet.stop();
  expect(service.issued).toHaveLength(1);
});

test('a restart takes a workstation off the network and shows in its report', async () => {
  const cart = demoFleet(200, 1)
    .map(({ profile }) => profile)
    .find((profile) => profile.class === 'workstation' && profile.channel === 'mqtt');
  if (cart === undefined) throw new Error('there is no workstation');
  const id = deviceIdOf(cart.serial);
  // A night on which nobody works.
  const now = Date.parse('2026-03-01T03:10:00-05:00');
  const { reached } = start(withToken([cart]), { now, speed: 50 });
  await reached(({ enrolled }) => enrolled === 1);
  await service.until(() => service.connected.has(id));
  service.queue(id, { id: commandId(2), type: 'restart' });
  await service.until(() => service.results.some(({ status }) => status !== 'deferred'));
  expect(service.results.at(-1)).toEqual({ commandId: commandId(2), status: 'acknowledged' });
  const boots = service.checkIns.flatMap(({ message }) => message.posture?.['bootedAt'] ?? []);
  expect(boots.at(-1)).not.toBe(boots[0]);
});
