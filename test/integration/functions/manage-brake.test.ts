import { QueryCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import { brakeHandlers } from '../../../functions/manage-brake/brake.ts';
import { keepRecord } from '../../../shared/audit/store.ts';
import { getCommand } from '../../../shared/commands/writer.ts';
import type { Device } from '../../../shared/devices/device.ts';
import { serveCheckIn } from '../../../shared/devices/serve-check-in.ts';
import { serve } from '../../../shared/http/api.ts';
import { Guard } from '../../../shared/identity/guard.ts';
import { loadPolicies } from '../../../shared/identity/policy-set.ts';
import { type ApiHandler, call, callerWith, freshMfa } from '../../support/api.ts';
import { callerFor, enrol, message, queue, start } from '../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../support/devices-table.ts';
import { createUnit, gateMeans } from '../../support/gates.ts';

const siteId = `s-${'a'.repeat(26)}`;
const unitId = `u-${'c'.repeat(26)}`;
const hal = callerWith('help-desk', { sites: [siteId] });
const ada = callerWith('administrator', { sub: 'ada', ...freshMfa() });
const ben = callerWith('administrator', { sub: 'ben', ...freshMfa() });
const network = { scope: 'network', reason: 'devices restart by themselves' };

let devices: DevicesTable;
let handler: ApiHandler;
let serials = 0;
/** Places whose devices were to be woken. */
const wokenPlaces: object[] = [];

beforeAll(async () => {
  devices = await startDevicesTable();
  const { directory } = devices;
  // Administration: no clinical interlock stands before the brake.
  await createUnit(devices, siteId, unitId, 'T3');
  const guard = new Guard(loadPolicies(), (record) => keepRecord(directory, record));
  handler = serve(
    'manage-brake',
    brakeHandlers({ directory, guard, wakeHeld: async (place) => void wokenPlaces.push(place) }),
  );
}, 90_000);
afterAll(() => devices[Symbol.asyncDispose]());

const pull = (body: object = network, caller = hal) => call(handler, 'pullBrake', { caller, body });
const release = (caller: typeof ada, body: object = network) => call(handler, 'releaseBrake', { caller, body });
const list = async () => (await call(handler, 'listBrakes', { caller: hal })).body['items'];
const enrolled = (): Promise<Device> => {
  serials += 1;
  return enrol(devices.table, {
    serial: `BRAKE-${serials}`,
    platform: 'windows',
    class: 'workstation',
    ownership: 'organization',
    siteId,
    unitId,
  });
};
const checkIn = async (device: Device, now: number) => {
  const outcome = await serveCheckIn(
    devices.table,
    { caller: callerFor(device), message: message(now), receivedAt: now },
    { now: () => now, random: () => 0, ...gateMeans(devices.directory, () => now) },
  );
  if ('refusal' in outcome) throw new Error(outcome.refusal);
  return outcome.reply;
};
const alerts = async () => {
  const { Items = [] } = await devices.directory.client.send(
    new ScanCommand({
      TableName: devices.directory.name,
      FilterExpression: 'sk = :alert',
      ExpressionAttributeValues: { ':alert': 'ALERT' },
      ConsistentRead: true,
    }),
  );
  return Items.map(({ kind, actor }) => `${kind} ${actor}`).sort();
};

afterEach(async () => {
  for (const brake of (await list()) as object[]) {
    const { scope, siteId: site, unitId: unit } = brake as Record<string, string>;
    const body = {
      scope,
      ...(site ? { siteId: site } : {}),
      ...(unit ? { unitId: unit } : {}),
      reason: 'test is over',
    };
    const first = await release(ada, body);
    if (first.body['state'] !== 'released') await release(ben, body);
  }
});

describe('The brake', () => {
  test('is pulled by one person at once, and released by two with a fresh second factor', async () => {
    expect(await list()).toEqual([]);
    expect(await pull()).toMatchObject({ status: 200, body: { scope: 'network', pulledBy: 'user:help-desk-1' } });
    expect(await list()).toHaveLength(1);
    expect((await pull()).status).toBe(200);

    const stale = callerWith('administrator', { sub: 'ada' });
    expect(await release(stale)).toMatchObject({
      status: 401,
      body: { type: '/problems/insufficient-user-authentication' },
    });
    expect((await release({ ...hal, ...freshMfa() })).status).toBe(403);

    expect(await release(ada)).toMatchObject({
      status: 200,
      body: { state: 'pulled', brake: { release: { by: 'user:ada' } } },
    });
    expect((await release(ada)).status).toBe(409);
    // Whoever sees that it is too early pulls it again: the first word is taken back.
    expect((await pull()).body['release']).toBeUndefined();
    expect(await release(ben)).toMatchObject({ body: { state: 'pulled' } });
    expect(wokenPlaces).toEqual([]);
    expect(await release(ada)).toMatchObject({ status: 200, body: { state: 'released' } });
    expect(wokenPlaces).toEqual([{ scope: 'network' }]);
    expect(await list()).toEqual([]);
    expect((await release(ada)).status).toBe(404);

    expect(await alerts()).toEqual(
      [
        'brake-pulled user:help-desk-1',
        'brake-pulled user:help-desk-1',
        'brake-release-requested user:ada',
        'brake-release-requested user:ben',
        'brake-released user:ada',
      ].sort(),
    );
    const { Items = [] } = await devices.directory.client.send(
      new QueryCommand({
        TableName: devices.directory.name,
        KeyConditionExpression: 'pk = :pk AND begins_with(sk, :audit)',
        ExpressionAttributeValues: { ':pk': 'ORGANIZATION', ':audit': 'AUDIT#' },
      }),
    );
    expect(Items.map(({ action, outcome, actor }) => `${outcome} ${action} ${actor}`)).toEqual(
      expect.arrayContaining([
        'allowed PullBrake user:help-desk-1',
        'denied ReleaseBrake user:ada',
        'allowed ReleaseBrake user:ben',
      ]),
    );
  });

  test('of the same place, released by many at once, takes two different people', async () => {
    await pull();
    const answers = await Promise.all(Array.from({ length: 8 }, () => release(ada)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await list()).toHaveLength(1);
  });

  test('refuses what is destructive or disruptive, and nothing else', async () => {
    const device = await enrolled();
    await pull({ scope: 'site', siteId, reason: 'wrong package' });
    await expect(queue(devices.table, device, { type: 'restart' })).rejects.toMatchObject({
      problem: { status: 409, gate: 'brake', ruleId: 'R4', inputs: [{ signal: 'brake', source: 'user:help-desk-1' }] },
    });
    expect((await queue(devices.table, device, { type: 'locate' })).created).toBe(true);
    const elsewhere = await enrol(devices.table, {
      serial: 'BRAKE-ELSEWHERE',
      platform: 'windows',
      class: 'workstation',
      ownership: 'organization',
    });
    expect((await queue(devices.table, elsewhere, { type: 'restart' })).created).toBe(true);
  });

  test('holds back what was queued before, and hands it out after the release', async () => {
    const device = await enrolled();
    const { command } = await queue(devices.table, device, { type: 'restart' });
    const other = (await queue(devices.table, device, { type: 'locate' })).command;
    await pull();
    const later = start + 60_000;
    const reply = await checkIn(device, later);
    expect(reply.commands.map(({ type }) => type)).toEqual(['locate']);
    expect(reply.nextCheckInSeconds).toBeLessThanOrEqual(300);
    const held = await getCommand(devices.table, device.id, command.id, new Date(later));
    expect(held).toMatchObject({ status: 'deferred', deferredUntil: new Date(later + 300_000).toISOString() });
    expect(held.history.at(-1)).toMatchObject({ source: 'brake', reason: expect.stringContaining('whole network') });

    // It costs nothing to ask again; what was handed out before is handed out again.
    devices.requests();
    expect((await checkIn(device, later + 1_000)).commands.map(({ id }) => id)).toEqual([other.id]);
    expect(devices.requests().map(({ operation }) => operation)).toEqual(['Query']);

    await release(ada);
    expect((await checkIn(device, later + 2_000)).commands.map(({ id }) => id)).toEqual([other.id]);
    await release(ben);
    const handed = await checkIn(device, later + 3_000);
    expect(handed.commands.map(({ id }) => id)).toContain(command.id);
  });

  test('keeps a command that was handed out before from being handed out again', async () => {
    const device = await enrolled();
    const { command } = await queue(devices.table, device, { type: 'restart' });
    expect((await checkIn(device, start + 1_000)).commands).toHaveLength(1);
    await pull();
    expect((await checkIn(device, start + 2_000)).commands).toEqual([]);
    // The device has it: "deferred" would be a lie.
    expect(await getCommand(devices.table, device.id, command.id, new Date(start + 2_000))).toMatchObject({
      status: 'delivered',
    });
  });

  test('names what is wrong with a request', async () => {
    expect(await pull({ scope: 'site', siteId: 's-nowhere', reason: 'x' })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '/siteId' }] },
    });
    expect((await pull({ scope: 'unit', siteId, reason: 'x' })).status).toBe(400);
    expect((await pull({ scope: 'unit', siteId, unitId: siteId, reason: 'x' })).status).toBe(400);
    expect((await pull({ scope: 'site', siteId: 'organization', reason: 'x' })).status).toBe(400);
    expect((await pull({ scope: 'network' })).status).toBe(400);
    expect((await pull(network, callerWith('auditor'))).status).toBe(403);
  });
});
