import { QueryCommand } from '@aws-sdk/lib-dynamodb';
import { readQueue } from '../../../../shared/commands/store.ts';
import { cancelCommand, getCommand, listCommands, openLimit } from '../../../../shared/commands/writer.ts';
import type { Device } from '../../../../shared/devices/device.ts';
import { devicePartition } from '../../../../shared/devices/keys.ts';
import { serveCheckIn } from '../../../../shared/devices/serve-check-in.ts';
import { putExpectedDevice, revokeDevice } from '../../../../shared/devices/store.ts';
import { auditOf, callerFor, enrol, infusionPump, message, queue, start } from '../../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../../support/devices-table.ts';
import { gateMeans, officePhone, openOffice } from '../../../support/gates.ts';

let devices: DevicesTable;
let serials = 0;

beforeAll(async () => {
  devices = await startDevicesTable();
  await openOffice(devices);
}, 90_000);
afterAll(() => devices[Symbol.asyncDispose]());

const hour = 3_600_000;
const text = (words: string) => ({ type: 'message', parameters: { text: words } });

async function enrolled(): Promise<Device> {
  serials += 1;
  return enrol(devices.table, officePhone(`WRITER-${serials}`));
}

async function auditsOf(device: Device): Promise<unknown[]> {
  const { Items } = await devices.table.client.send(
    new QueryCommand({
      TableName: devices.table.name,
      KeyConditionExpression: 'pk = :pk AND begins_with(sk, :audit)',
      ExpressionAttributeValues: { ':pk': devicePartition(device.id), ':audit': 'AUDIT#' },
      ConsistentRead: true,
    }),
  );
  return (Items ?? []).map((item) => item['action']);
}

const cancel = (device: Device, commandId: string, now = start) =>
  cancelCommand(devices.table, {
    deviceId: device.id,
    commandId,
    requestedBy: 'user:bert',
    reason: 'a mistake',
    audit: (command) => auditOf(device, 'CancelCommand', command.id, now),
    now: new Date(now),
  });

const checkIn = (device: Device, now: number) =>
  serveCheckIn(
    devices.table,
    { caller: callerFor(device), message: message(now), receivedAt: now },
    { now: () => now, random: () => 0, ...gateMeans(devices.directory, () => now) },
  );

describe('queueCommand', () => {
  test('stores the command and its audit record together; a limited type reads what its site and unit have used', async () => {
    const device = await enrolled();
    devices.requests();
    const { command, created } = await queue(devices.table, device, { type: 'lock', reason: 'lost in the cafeteria' });
    expect(devices.requests().map(({ operation }) => operation)).toEqual([
      'Query',
      'Query',
      'Query',
      'TransactWriteItems',
    ]);
    expect(created).toBe(true);
    expect(command).toMatchObject({
      id: expect.stringMatching(/^1-/),
      status: 'queued',
      parameters: {},
      expiresAt: new Date(start + 30 * 24 * hour).toISOString(),
      requestedBy: 'user:anna',
      reason: 'lost in the cafeteria',
      history: [{ status: 'queued', source: 'user:anna' }],
    });
    expect(command).not.toHaveProperty('revision');
    expect(await auditsOf(device)).toEqual(['QueueCommand']);
    expect(await getCommand(devices.table, device.id, command.id, new Date(start))).toEqual(command);
  });

  test.each([
    ['an unknown type', { type: 'explode' }, '/type'],
    ['a parameter that the type does not have', { type: 'locate', parameters: { exact: true } }, '/parameters/exact'],
    ['a missing parameter', { type: 'message' }, '/parameters/text'],
    ['a parameter of the wrong type', { type: 'install-update', parameters: { version: 5 } }, '/parameters/version'],
    ['a member that is not known', { type: 'locate', when: 'now' }, '/when'],
    ['an expiry in the past', { type: 'locate', expiresAt: new Date(start - 1).toISOString() }, '/expiresAt'],
    [
      'an expiry too far ahead',
      { type: 'locate', expiresAt: new Date(start + 91 * 24 * hour).toISOString() },
      '/expiresAt',
    ],
    ['no object', 'locate', ''],
  ])('refuses %s and names the place', async (_name, request, pointer) => {
    const device = await enrolled();
    devices.requests();
    await expect(queue(devices.table, device, request)).rejects.toMatchObject({
      problem: { status: 400, errors: expect.arrayContaining([expect.objectContaining({ pointer })]) },
    });
    expect(devices.requests()).toEqual([]);
  });

  test('refuses a device that is unknown, not enrolled or revoked', async () => {
    const device = await enrolled();
    await expect(queue(devices.table, { ...device, id: 'd-nobody' }, { type: 'locate' })).rejects.toMatchObject({
      problem: { status: 404 },
    });
    const { device: expected } = await putExpectedDevice(
      devices.table,
      infusionPump('WRITER-EXPECTED'),
      (id) => auditOf({ id }, 'CreateDevice', id, start),
      new Date(start),
    );
    await expect(queue(devices.table, expected, { type: 'locate' })).rejects.toMatchObject({
      problem: { status: 409 },
    });
    await revokeDevice(devices.table, device.id, 'any', () => auditOf(device, 'RevokeDevice', device.id, start));
    await expect(queue(devices.table, device, { type: 'locate' })).rejects.toMatchObject({ problem: { status: 409 } });
  });

  test('an equal open command is returned instead of a second one, even to requests at the same moment', async () => {
    const device = await enrolled();
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        queue(devices.table, device, { type: 'install-update', parameters: { version: '7' } }),
      ),
    );
    expect(new Set(answers.map(({ command }) => command.id)).size).toBe(1);
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
    const other = await queue(devices.table, device, { type: 'install-update', parameters: { version: '8' } });
    expect(other.created).toBe(true);
    expect(await auditsOf(device)).toHaveLength(2);
  });

  test('messages do not collapse, and keep their order within a millisecond', async () => {
    const device = await enrolled();
    const ids: string[] = [];
    for (const words of ['one', 'one', 'two']) ids.push((await queue(devices.table, device, text(words))).command.id);
    expect(new Set(ids).size).toBe(3);
    expect([...ids].sort()).toEqual(ids);
    expect((await readQueue(devices.table, device.id)).open.map(({ id }) => id)).toEqual(ids);
  });

  test('the same Idempotency-Key gives the same command, for the same request only, also at the same moment', async () => {
    const device = await enrolled();
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => queue(devices.table, device, text('hello'), start, 'key-1')),
    );
    expect(new Set(answers.map(({ command }) => command.id)).size).toBe(1);
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
    await expect(queue(devices.table, device, text('other'), start, 'key-1')).rejects.toMatchObject({
      problem: { status: 409 },
    });
    expect((await queue(devices.table, device, text('hello'), start, 'key-2')).created).toBe(true);
    const [first] = answers;
    await cancel(device, first?.command.id ?? '');
    expect((await queue(devices.table, device, text('hello'), start, 'key-1')).command).toMatchObject({
      id: first?.command.id,
      status: 'cancelled',
    });
  });

  test('a queue does not grow without bound, and expired commands make room', async () => {
    const device = await enrolled();
    for (let n = 0; n < openLimit; n += 1) await queue(devices.table, device, text(`${n}`));
    await expect(queue(devices.table, device, text('one more'))).rejects.toMatchObject({ problem: { status: 409 } });
    expect((await queue(devices.table, device, text('tomorrow'), start + 25 * hour)).created).toBe(true);
    expect((await readQueue(devices.table, device.id)).open).toHaveLength(1);
  });
});

describe('cancelCommand', () => {
  test('withdraws what was not delivered, with its audit record; twice changes nothing', async () => {
    const device = await enrolled();
    const { command } = await queue(devices.table, device, text('hello'));
    expect(await cancel(device, command.id)).toMatchObject({
      status: 'cancelled',
      history: [{ status: 'queued' }, { status: 'cancelled', source: 'user:bert', reason: 'a mistake' }],
    });
    expect(await cancel(device, command.id)).toMatchObject({ status: 'cancelled' });
    expect(await auditsOf(device)).toEqual(expect.arrayContaining(['QueueCommand', 'CancelCommand']));
    expect(await auditsOf(device)).toHaveLength(2);
    expect(await checkIn(device, start + 1)).toMatchObject({ reply: { commands: [] } });
  });

  test('not after delivery, not after its end, not what is not there', async () => {
    const device = await enrolled();
    const { command } = await queue(devices.table, device, text('hello'));
    await checkIn(device, start + 1);
    await expect(cancel(device, command.id)).rejects.toMatchObject({
      problem: { status: 409, detail: expect.stringContaining('already') },
    });
    await expect(cancel(device, command.id, start + 25 * hour)).rejects.toMatchObject({
      problem: { status: 409, detail: expect.stringContaining('expired') },
    });
    await expect(cancel(device, '5-01ARZ3NDEKTSV4RRFFQ69G5FAV')).rejects.toMatchObject({ problem: { status: 404 } });
    expect(await auditsOf(device)).toEqual(['QueueCommand']);
  });
});

describe('listCommands', () => {
  test('pages through open ones in order of delivery, then closed ones, newest first, each once', async () => {
    const device = await enrolled();
    const ids: string[] = [];
    for (let n = 0; n < 7; n += 1) ids.push((await queue(devices.table, device, text(`${n}`), start + n)).command.id);
    for (const id of ids.slice(0, 4)) await cancel(device, id);
    const seen: string[] = [];
    let position: Parameters<typeof listCommands>[3];
    let pages = 0;
    do {
      const page = await listCommands(devices.table, device.id, 2, position, new Date(start));
      seen.push(...page.commands.map(({ id }) => id));
      position = page.next;
      pages += 1;
    } while (position !== undefined && pages < 10);
    expect(seen).toEqual([...ids.slice(4), ...ids.slice(0, 4).reverse()]);
  });
});
