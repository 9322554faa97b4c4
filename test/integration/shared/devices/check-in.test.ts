import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { cancelCommand, getCommand, listCommands } from '../../../../shared/commands/writer.ts';
import type { Device } from '../../../../shared/devices/device.ts';
import { type Outcome, serveCheckIn } from '../../../../shared/devices/serve-check-in.ts';
import {
  desiredStateParts,
  getDevice,
  getReport,
  headItem,
  putExpectedDevice,
  renewCertificate,
  revokeDevice,
  transact,
} from '../../../../shared/devices/store.ts';
import type { CheckInMessage, CheckInReply } from '../../../../shared/protocols/agent/messages.ts';
import {
  auditOf,
  callerFor,
  enrol,
  fingerprint,
  infusionPump,
  message,
  queue,
  start,
} from '../../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../../support/devices-table.ts';
import { gateMeans, officePhone, openOffice } from '../../../support/gates.ts';

let devices: DevicesTable;
let serials = 0;

beforeAll(async () => {
  devices = await startDevicesTable();
  await openOffice(devices);
}, 90_000);
afterAll(() => devices[Symbol.asyncDispose]());

const minute = 60_000;
const hour = 60 * minute;

async function enrolled(): Promise<Device> {
  serials += 1;
  return enrol(devices.table, officePhone(`CHECKIN-${serials}`));
}

const serve = (device: Device, sent: CheckInMessage, now: number, caller = callerFor(device)): Promise<Outcome> =>
  serveCheckIn(
    devices.table,
    { caller, message: sent, receivedAt: now },
    { now: () => now, random: () => 0.5, ...gateMeans(devices.directory, () => now) },
  );

async function checkIn(device: Device, sent: CheckInMessage, now: number): Promise<CheckInReply> {
  const outcome = await serve(device, sent, now);
  if ('refusal' in outcome) throw new Error(`refused: ${outcome.refusal}`);
  return outcome.reply;
}

const headOf = async (device: Device): Promise<Device> => {
  const head = await getDevice(devices.table, device.id, { consistent: true });
  if (head === undefined) throw new Error('no head');
  return head;
};

const commandOf = (device: Device, id: string, now: number) => getCommand(devices.table, device.id, id, new Date(now));

const result = (commandId: string, status: 'acknowledged' | 'failed' | 'deferred', more = {}) => ({
  commandId,
  status,
  ...more,
});

describe('budget', () => {
  test('a check-in that brings nothing new is one request of half a read unit', async () => {
    const device = await enrolled();
    const report = {
      inventory: { os: { name: 'pump-os', version: '4.2' }, disks: [1, 2, 3] },
      posture: { locked: false },
      clinical: { state: 'idle' as const, at: new Date(start).toISOString() },
    };
    await checkIn(device, message(start, report), start);
    devices.requests();

    await checkIn(device, message(start + 15 * minute, report), start + 15 * minute);

    expect(devices.requests()).toEqual([{ operation: 'Query', readUnits: 0.5, writeUnits: 0 }]);
  });

  test('the heartbeat is one write unit an hour', async () => {
    const device = await enrolled();
    await checkIn(device, message(start), start);
    devices.requests();
    const operations: string[] = [];
    for (let time = start; time < start + 4 * hour; time += 15 * minute) {
      await checkIn(device, message(time), time);
      operations.push(
        devices
          .requests()
          .filter((request) => request.writeUnits > 0)
          .map((request) => `${request.operation} ${request.writeUnits}`)
          .join(),
      );
    }
    expect(operations.filter((text) => text !== '')).toEqual(['UpdateItem 1', 'UpdateItem 1', 'UpdateItem 1']);
  });

  test('delivering a command and taking its result adds two requests, three with its verification', async () => {
    const device = await enrolled();
    await checkIn(device, message(start), start);
    const logs = (await queue(devices.table, device, { type: 'collect-logs' })).command;
    devices.requests();
    await checkIn(device, message(start + minute), start + minute);
    await checkIn(
      device,
      message(start + 2 * minute, { results: [result(logs.id, 'acknowledged')] }),
      start + 2 * minute,
    );
    expect(devices.requests().map(({ operation }) => operation)).toEqual([
      'Query',
      'UpdateItem',
      'Query',
      'TransactWriteItems',
    ]);

    const lock = (await queue(devices.table, device, { type: 'lock' })).command;
    devices.requests();
    await checkIn(device, message(start + 3 * minute), start + 3 * minute);
    await checkIn(
      device,
      message(start + 4 * minute, { results: [result(lock.id, 'acknowledged')] }),
      start + 4 * minute,
    );
    expect(devices.requests().map(({ operation }) => operation)).toEqual([
      'Query',
      'UpdateItem',
      'Query',
      'UpdateItem',
    ]);
  });

  test('a head with all its parts costs one write unit', async () => {
    const table = devices.table;
    const device = await enrol(table, {
      ...infusionPump('SERIAL-NUMBER-0000000001'),
      class: 'patient-monitor',
      name: 'Bedside monitor 4, room 12',
      model: 'Example Medical Monitor X3 Rev. B',
      siteId: `s-${'0'.repeat(26)}`,
      unitId: `u-${'0'.repeat(26)}`,
    });
    const everything = {
      inventory: { a: 1 },
      posture: { a: 1 },
      clinical: { state: 'standby' as const, at: new Date(start).toISOString() },
      desiredVersion: 12,
    };
    await checkIn(device, message(start, everything), start);
    await table.client.send(
      new PutCommand({
        TableName: table.name,
        Item: {
          ...headItem(await headOf(device)),
          presence: {
            connected: true,
            at: new Date(start).toISOString(),
            sessionId: fingerprint('s').slice(0, 36),
            version: 99,
          },
        },
      }),
    );
    devices.requests();
    await checkIn(device, message(start + 2 * hour, everything), start + 2 * hour);
    expect(devices.requests()).toEqual([
      { operation: 'Query', readUnits: 0.5, writeUnits: 0 },
      { operation: 'UpdateItem', readUnits: 0, writeUnits: 1 },
    ]);
  });
});

describe('who may check in', () => {
  test('nobody but the pinned certificate', async () => {
    const device = await enrolled();
    const stranger = { ...callerFor(device), certificate: fingerprint('another') };
    expect(await serve(device, message(start), start, stranger)).toEqual({ refusal: 'foreign-certificate' });
    expect(await serve(device, message(start), start, { ...stranger, deviceId: 'd-unknown' })).toEqual({
      refusal: 'unknown-device',
    });
  });

  test('not before enrolment, and not after revocation', async () => {
    const registered = await putExpectedDevice(
      devices.table,
      infusionPump('EXPECTED-1'),
      (id) => auditOf({ id }, 'RegisterDevice', id, start),
      new Date(start),
    );
    expect(await serve(registered.device, message(start), start)).toEqual({ refusal: 'not-enrolled' });

    const device = await enrolled();
    await revokeDevice(devices.table, device.id, 'any', () => auditOf(device, 'RevokeDevice', device.id, start));
    expect(await serve(device, message(start), start)).toEqual({ refusal: 'revoked' });
  });

  test('a renewed certificate becomes the pinned one at its first use; the old one is refused from then on', async () => {
    const device = await enrolled();
    const next = { fingerprint: fingerprint('renewed'), expiresAt: new Date(start + 400 * 24 * hour) };
    await transact(devices.table, renewCertificate(devices.table, device, next, new Date(start)));
    await checkIn(device, message(start), start);

    const renewed = { ...device, certificate: next.fingerprint };
    const outcomes = await Promise.all([1, 2, 3].map((n) => serve(renewed, message(start + n), start + n)));

    expect(outcomes.every((outcome) => 'reply' in outcome)).toBe(true);
    const head = await headOf(device);
    expect(head).toMatchObject({ certificate: next.fingerprint, certificateExpiresAt: next.expiresAt.toISOString() });
    expect(head).not.toHaveProperty('nextCertificate');
    expect(await serve(device, message(start + 4), start + 4)).toEqual({ refusal: 'foreign-certificate' });
  });
});

describe('state', () => {
  test('older state never overwrites newer, whatever order the messages come in', async () => {
    const device = await enrolled();
    const at = (minutes: number) => start + minutes * minute;
    const said = (minutes: number, state: 'idle' | 'in-use', version: string) =>
      message(at(minutes), {
        clinical: { state, at: new Date(at(minutes)).toISOString() },
        inventory: { os: { version } },
        posture: { version },
        desiredVersion: minutes,
      });
    await checkIn(device, said(10, 'in-use', 'new'), at(10));
    await checkIn(device, said(5, 'idle', 'old'), at(11));

    expect(await headOf(device)).toMatchObject({
      clinical: { state: 'in-use', at: new Date(at(10)).toISOString() },
      reportedVersion: 10,
    });
    expect(await getReport(devices.table, device.id, 'inventory')).toEqual({
      at: new Date(at(10)).toISOString(),
      report: { os: { version: 'new' } },
    });
    expect((await getReport(devices.table, device.id, 'posture'))?.report).toEqual({ version: 'new' });
  });

  test.each([
    ['years ahead', 40 * 365 * 24 * hour],
    ['years behind', -30 * 365 * 24 * hour],
  ])('a clock %s neither freezes the state nor spoils it', async (_name, skew) => {
    const device = await enrolled();
    const say = (now: number, deviceTime: number, state: 'idle' | 'in-use') =>
      checkIn(device, message(deviceTime, { clinical: { state, at: new Date(deviceTime).toISOString() } }), now);
    await say(start, start, 'idle');
    await say(start + minute, start + minute + skew, 'in-use');
    expect((await headOf(device)).clinical?.state).toBe('in-use');
    await say(start + 2 * minute, start + 2 * minute + skew, 'idle');
    expect((await headOf(device)).clinical?.state).toBe('idle');
    await say(start + 3 * minute, start + 3 * minute, 'in-use');
    expect((await headOf(device)).clinical).toEqual({
      state: 'in-use',
      at: new Date(start + 3 * minute).toISOString(),
    });
  });

  test('what JSON allows and DynamoDB does not is kept as it was sent', async () => {
    const device = await enrolled();
    const inventory = JSON.parse('{"big":123456789012345678901234567890,"":"empty name","list":[[],{}],"none":null}');
    await checkIn(device, message(start, { inventory }), start);
    expect((await getReport(devices.table, device.id, 'inventory'))?.report).toEqual(inventory);
  });

  test('the desired state comes when the device has another version', async () => {
    const device = await enrolled();
    await transact(devices.table, desiredStateParts(devices.table, device, { kiosk: true }));
    expect(await checkIn(device, message(start, { desiredVersion: 0 }), start)).toMatchObject({
      desiredVersion: 1,
      desired: { kiosk: true },
    });
    const reply = await checkIn(device, message(start + 1, { desiredVersion: 1 }), start + 1);
    expect(reply.desiredVersion).toBe(1);
    expect(reply).not.toHaveProperty('desired');
    const large = { text: 'x'.repeat(70_000) };
    expect(() => desiredStateParts(devices.table, device, large)).toThrow('at most 65536 bytes');
  });
});

describe('commands', () => {
  test('transcript: handed out until answered, urgent first, then first in first out', async () => {
    const device = await enrolled();
    const first = (await queue(devices.table, device, { type: 'message', parameters: { text: 'one' } })).command;
    const second = (await queue(devices.table, device, { type: 'message', parameters: { text: 'two' } })).command;
    const lock = (await queue(devices.table, device, { type: 'lock' })).command;
    const ids = async (time: number, more: Partial<CheckInMessage> = {}) =>
      (await checkIn(device, message(time, more), time)).commands.map(({ id }) => id);

    expect(await ids(start + 1)).toEqual([lock.id, first.id, second.id]);
    expect(await ids(start + 2)).toEqual([lock.id, first.id, second.id]);
    expect(await ids(start + 3, { results: [result(first.id, 'acknowledged')] })).toEqual([lock.id, second.id]);
    expect(await ids(start + 4, { results: [result(second.id, 'failed', { reason: 'no-display' })] })).toEqual([
      lock.id,
    ]);
    expect(await ids(start + 5, { results: [result(lock.id, 'acknowledged')] })).toEqual([]);
    expect(await ids(start + 6, { posture: { locked: true } })).toEqual([]);

    expect((await commandOf(device, lock.id, start + 7)).history.map(({ status, source }) => [status, source])).toEqual(
      [
        ['queued', 'user:anna'],
        ['delivered', 'check-in'],
        ['acknowledged', 'device'],
        ['verified', 'report'],
      ],
    );
    expect(await commandOf(device, second.id, start + 7)).toMatchObject({ status: 'failed' });
  });

  test('transcript: deferred is not handed out before its time, and the device is asked back then', async () => {
    const device = await enrolled();
    const { id } = (await queue(devices.table, device, { type: 'restart' })).command;
    await checkIn(device, message(start), start);
    const skew = 3 * 365 * 24 * hour;
    const until = new Date(start + skew + 6 * minute).toISOString();
    const deferral = message(start + skew + minute, { results: [result(id, 'deferred', { reason: 'in-use', until })] });

    const reply = await checkIn(device, deferral, start + minute);
    expect(reply.commands).toEqual([]);
    expect(reply.nextCheckInSeconds).toBe(300);
    expect(await commandOf(device, id, start + minute)).toMatchObject({
      status: 'deferred',
      deferredUntil: new Date(start + 6 * minute).toISOString(),
    });
    expect((await checkIn(device, message(start + 5 * minute), start + 5 * minute)).commands).toEqual([]);
    expect((await checkIn(device, message(start + 6 * minute), start + 6 * minute)).commands).toMatchObject([{ id }]);
    expect((await commandOf(device, id, start + 6 * minute)).status).toBe('delivered');
  });

  test('a device that was away for a week gets what has not expired, in order', async () => {
    const device = await enrolled();
    await queue(devices.table, device, { type: 'restart' });
    const update = (await queue(devices.table, device, { type: 'install-update', parameters: { version: '5.0' } }))
      .command;
    const wipe = (await queue(devices.table, device, { type: 'wipe' })).command;
    const now = start + 8 * 24 * hour;
    const reply = await checkIn(device, message(now), now);
    expect(reply.commands.map(({ id }) => id)).toEqual([wipe.id, update.id]);
    const { commands } = await listCommands(devices.table, device.id, 10, undefined, new Date(now));
    expect(commands.map(({ status }) => status)).toEqual(['delivered', 'delivered', 'expired']);
  });

  test('a result that comes after the end is kept, and changes nothing', async () => {
    const device = await enrolled();
    const { id, expiresAt } = (await queue(devices.table, device, { type: 'restart' })).command;
    await checkIn(device, message(start), start);
    const late = Date.parse(expiresAt) + 1;
    expect(await commandOf(device, id, late)).toMatchObject({ status: 'expired', closedAt: expiresAt });
    await checkIn(device, message(late, { results: [result(id, 'acknowledged')] }), late);
    expect(await commandOf(device, id, late + 1)).toMatchObject({
      status: 'expired',
      lateResult: { status: 'acknowledged' },
    });
    const outcome = await serve(device, message(late + 2, { results: [result(id, 'failed')] }), late + 2);
    expect(outcome).toMatchObject({ results: 0, ignoredResults: 1 });
    expect((await commandOf(device, id, late + 3)).lateResult?.status).toBe('acknowledged');
  });

  test('an acknowledged command that no report confirms ends as acknowledged after a day', async () => {
    const device = await enrolled();
    const { id } = (await queue(devices.table, device, { type: 'restart' })).command;
    await checkIn(device, message(start), start);
    await checkIn(device, message(start + 1, { results: [result(id, 'acknowledged')] }), start + 1);
    expect(await commandOf(device, id, start + 2)).not.toHaveProperty('closedAt');
    await checkIn(device, message(start + 25 * hour), start + 25 * hour);
    expect(await commandOf(device, id, start + 25 * hour)).toMatchObject({
      status: 'acknowledged',
      closedAt: new Date(start + 25 * hour).toISOString(),
    });
  });

  test('a device that enrolled anew gets nothing from before; its wipe is verified by that', async () => {
    const device = await enrolled();
    const wipe = (await queue(devices.table, device, { type: 'wipe' })).command;
    const note = (await queue(devices.table, device, { type: 'message', parameters: { text: 'hello' } })).command;
    await checkIn(device, message(start + 1), start + 1);
    await devices.table.client.send(
      new PutCommand({
        TableName: devices.table.name,
        Item: {
          ...headItem(await headOf(device)),
          enrolledAt: new Date(start + hour).toISOString(),
        },
      }),
    );
    const reply = await checkIn(device, message(start + 2 * hour), start + 2 * hour);
    expect(reply.commands).toEqual([]);
    expect(await commandOf(device, wipe.id, start + 2 * hour)).toMatchObject({ status: 'verified' });
    expect(await commandOf(device, note.id, start + 2 * hour)).toMatchObject({ status: 'expired' });
  });

  test('more commands than fit into a reply come with the next ones', async () => {
    const device = await enrolled();
    const ids: string[] = [];
    for (let n = 0; n < 40; n += 1) {
      ids.push((await queue(devices.table, device, { type: 'message', parameters: { text: `${n}` } })).command.id);
    }
    const first = await checkIn(device, message(start), start);
    expect(first.commands.map(({ id }) => id)).toEqual(ids.slice(0, 32));
    expect(first.nextCheckInSeconds).toBe(1);
    const results = first.commands.map(({ id }) => result(id, 'acknowledged'));
    const second = await checkIn(device, message(start + 1, { results }), start + 1);
    expect(second.commands.map(({ id }) => id)).toEqual(ids.slice(32));
  });
});

describe('bad days', () => {
  test('the same check-in fifty times in parallel happens once', async () => {
    const device = await enrolled();
    const done = (await queue(devices.table, device, { type: 'collect-logs' })).command;
    const waiting = (await queue(devices.table, device, { type: 'message', parameters: { text: 'hi' } })).command;
    await checkIn(device, message(start), start);
    const same = message(start + minute, {
      clientToken: 'same',
      inventory: { os: { version: '1' } },
      posture: { locked: true },
      clinical: { state: 'in-use', at: new Date(start + minute).toISOString() },
      results: [result(done.id, 'acknowledged'), result(waiting.id, 'deferred', { reason: 'busy' })],
    });
    const replies = await Promise.all(Array.from({ length: 50 }, (_, n) => checkIn(device, same, start + minute + n)));
    expect(new Set(replies.map((reply) => reply.clientToken))).toEqual(new Set(['same']));
    expect((await commandOf(device, done.id, start + hour)).history.map(({ status }) => status)).toEqual([
      'queued',
      'delivered',
      'acknowledged',
    ]);
    expect((await commandOf(device, waiting.id, start + hour)).history.map(({ status }) => status)).toEqual([
      'queued',
      'delivered',
      'deferred',
    ]);
    expect((await headOf(device)).clinical?.state).toBe('in-use');
    expect((await getReport(devices.table, device.id, 'inventory'))?.report).toEqual({ os: { version: '1' } });
  });

  test('a result that arrives before the delivery was recorded counts', async () => {
    const device = await enrolled();
    const { id } = (await queue(devices.table, device, { type: 'collect-logs' })).command;
    await checkIn(
      device,
      message(start, { results: [result(id, 'acknowledged', { detail: { where: 's3' } })] }),
      start,
    );
    expect(await commandOf(device, id, start)).toMatchObject({ status: 'acknowledged', detail: { where: 's3' } });
  });

  test('cancel and delivery at the same moment: one of them wins, and the device has exactly what the record says', async () => {
    for (let round = 0; round < 20; round += 1) {
      const device = await enrolled();
      const { id } = (await queue(devices.table, device, { type: 'message', parameters: { text: 'hi' } })).command;
      const [reply, cancelled] = await Promise.all([
        checkIn(device, message(start), start),
        cancelCommand(devices.table, {
          deviceId: device.id,
          commandId: id,
          requestedBy: 'user:anna',
          audit: () => auditOf(device, 'CancelCommand', id, start),
          now: new Date(start),
        }).then(
          () => true,
          () => false,
        ),
      ]);
      expect(reply.commands.map((command) => command.id)).toEqual(cancelled ? [] : [id]);
      expect((await commandOf(device, id, start)).status).toBe(cancelled ? 'cancelled' : 'delivered');
    }
  });
});
