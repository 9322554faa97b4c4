import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { demoFleet } from '../../../../local/demo/fleet.ts';
import { demoSites } from '../../../../local/demo/network.ts';
import { homeSite } from '../../../../local/identity/users.ts';
import { deviceIdOf } from '../../../../shared/devices/device.ts';
import { runAgent } from '../../../support/agent-program.ts';
import { type LocalCloud, startLocalCloud } from '../../../support/local-cloud.ts';

/**
 * The demo network as `npm start` makes it, seen through the public API; then the whole cloud killed and started again
 * with the same data. The tests of this file build on each other.
 */
const count = 26;
const devices = demoFleet(count, 1);

let cloud: LocalCloud;
let data: string;
let scratch = '';

type Item = Readonly<Record<string, unknown>>;

beforeAll(async () => {
  cloud = await startLocalCloud({ args: ['--devices', String(count)] });
  data = cloud.data;
  scratch = cloud.scratch;
  await allEnrolled();
}, 300_000);

afterAll(async () => {
  await cloud?.stop();
  if (scratch !== '') rmSync(scratch, { recursive: true, force: true });
}, 300_000);

/** Looks again until it holds; the test's own time limit ends it. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 100));
}

/** Resolves when the cloud says that all devices have enrolled; rejects with what it printed when one cannot. */
async function allEnrolled(): Promise<void> {
  await until(() => {
    const output = cloud.output();
    if (/could not be|refused|was not enrolled/.test(output)) throw new Error(output);
    return output.includes(`${count} of ${count} enrolled`);
  });
}

async function read(path: string, user = 'ada.admin'): Promise<Item> {
  const answer = await cloud.api('GET', path, { token: await cloud.token(user) });
  expect(answer.status).toBe(200);
  return answer.body as Item;
}

/** All pages of a list. */
async function list(path: string, user = 'ada.admin'): Promise<Item[]> {
  const items: Item[] = [];
  for (let cursor: unknown = ''; typeof cursor === 'string'; ) {
    const page = await read(`${path}?limit=100${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`, user);
    items.push(...(page['items'] as Item[]));
    cursor = page['next'];
  }
  return items;
}

async function command(deviceId: string, body: Item): Promise<string> {
  const answer = await cloud.api('POST', `/v1/devices/${deviceId}/commands`, {
    token: await cloud.token('ada.admin'),
    body,
  });
  expect(answer.status).toBe(201);
  return String((answer.body as Item)['id']);
}

const statusOf = async (deviceId: string, id: string): Promise<unknown> =>
  (await read(`/v1/devices/${deviceId}/commands/${id}`))['status'];

/** Names of sites and units, and what is known of each device: what a second start must leave as it is. */
async function network() {
  const sites = await list('/v1/sites');
  const units = await Promise.all(sites.map(({ id }) => list(`/v1/sites/${id}/units`)));
  const known = await list('/v1/devices');
  return {
    sites: sites.map(({ id, name }) => `${id} ${name}`).sort(),
    units: units
      .flat()
      .map(({ id, name }) => `${id} ${name}`)
      .sort(),
    tokens: (await list('/v1/enrollment-tokens')).map(({ id }) => id).sort(),
    devices: known.map(({ id, serial, enrolledAt, unitId }) => `${id} ${serial} ${enrolledAt} ${unitId}`).sort(),
  };
}

test('every site and unit is there, and every device enrolled where it belongs', async () => {
  const { sites, units, tokens, devices: known } = await network();
  expect(sites.map((site) => site.slice(site.indexOf(' ') + 1)).sort()).toEqual(
    demoSites.map(({ name }) => name).sort(),
  );
  expect(units).toHaveLength(demoSites.flatMap((site) => site.units).length);
  expect(tokens).toHaveLength(demoSites.length);
  expect(known).toHaveLength(count);
  const shown = await list('/v1/devices');
  for (const { profile, name } of devices) {
    expect(shown.find(({ serial }) => serial === profile.serial)).toMatchObject({
      id: deviceIdOf(profile.serial),
      name,
      class: profile.class,
      platform: profile.platform,
      lifecycle: 'enrolled',
    });
  }
}, 300_000);

test('a biomedical engineer of one site sees the devices of that site', async () => {
  const seen = await list('/v1/devices', 'bea.biomed');
  const own = devices.filter(({ site }) => site.name === homeSite).map(({ profile }) => profile.serial);
  expect(seen.map(({ serial }) => serial).sort()).toEqual(own.sort());
}, 300_000);

test('a connected device reports itself and carries a command out', async () => {
  const pump = devices.find(({ profile }) => profile.class === 'infusion-pump' && profile.channel === 'mqtt');
  if (pump === undefined) throw new Error('there is no pump');
  const id = deviceIdOf(pump.profile.serial);
  await until(async () => ((await read(`/v1/devices/${id}`))['connected'] as Item | undefined)?.['state'] === true);
  const device = await read(`/v1/devices/${id}`);
  expect(device['inventory']).toMatchObject({ report: { model: pump.profile.model, location: pump.profile.location } });
  expect((device['clinical'] as Item)['state']).toBeDefined();

  const ordered = await command(id, { type: 'inventory' });
  await until(async () => (await statusOf(id, ordered)) === 'verified');
}, 300_000);

test('the agent enrols this computer with nothing but the URL and a token', async () => {
  const token = await cloud.api('POST', '/v1/enrollment-tokens', {
    token: await cloud.token('ada.admin'),
    body: { platform: 'linux' },
  });
  const run = runAgent(
    [
      '--enroll',
      cloud.endpoints.enroll,
      '--token',
      String((token.body as Item)['token']),
      '--serial',
      'DEMO-AGENT-1',
      '--state',
      join(scratch, 'agent'),
    ],
    scratch,
  );
  try {
    const id = deviceIdOf('DEMO-AGENT-1');
    await until(() => run.output().includes('Connected over mqtt'));
    const rotated = await command(id, { type: 'rotate-certificate' });
    const unsupported = await command(id, { type: 'locate' });
    await until(
      async () => (await statusOf(id, rotated)) === 'verified' && (await statusOf(id, unsupported)) === 'failed',
    );
    const device = await read(`/v1/devices/${id}`);
    expect(device).toMatchObject({ serial: 'DEMO-AGENT-1', platform: 'linux', lifecycle: 'enrolled' });
    expect(device['posture']).toMatchObject({ report: { diskEncryption: { state: expect.any(String) } } });
  } finally {
    run.child.kill('SIGTERM');
  }
  expect(await run.ended).toBe(0);
}, 300_000);

test('killed and started again with its data, the network is the same and nothing is there twice', async () => {
  const before = await network();
  await cloud.stop('SIGKILL');
  cloud = await startLocalCloud({ args: ['--devices', String(count)], data });
  await allEnrolled();
  expect(await network()).toEqual(before);
  const pump = devices.find(({ profile }) => profile.class === 'infusion-pump' && profile.channel === 'mqtt');
  const id = deviceIdOf(pump?.profile.serial ?? '');
  const ordered = await command(id, { type: 'inventory' });
  await until(async () => (await statusOf(id, ordered)) === 'verified');
}, 300_000);
