import {
  ForbiddenException,
  GatewayTimeoutException,
  IoTDataPlaneClient,
  ResourceNotFoundException,
  SendDirectMessageCommand,
} from '@aws-sdk/client-iot-data-plane';
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { jest } from '@jest/globals';
import type { SQSEvent } from 'aws-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import type { Brake } from '../../../shared/brake/brake.ts';
import type { Command } from '../../../shared/commands/command.ts';
import { byDevice, wakeFor } from '../../../shared/commands/push.ts';
import { readQueue } from '../../../shared/commands/store.ts';
import { pauseBefore, type WakeCheck, wakeAgain } from '../../../shared/commands/wake-again.ts';
import { type DueCheck, wakeWhenDue } from '../../../shared/commands/wake-due.ts';
import { type HeldLook, wakeHeld } from '../../../shared/commands/wake-held.ts';
import { cancelCommand } from '../../../shared/commands/writer.ts';
import type { Device } from '../../../shared/devices/device.ts';
import { serveCheckIn } from '../../../shared/devices/serve-check-in.ts';
import { defaultInterlock } from '../../../shared/interlock/settings.ts';
import { auditOf, callerFor, enrol, infusionPump, message, queue, start } from '../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../support/devices-table.ts';
import { gateMeans } from '../../support/gates.ts';

const iot = mockClient(IoTDataPlaneClient);
const sqs = mockClient(SQSClient);
const queueUrl = 'https://sqs.us-east-1.amazonaws.com/000000000000/wardline-wake';
let devices: DevicesTable;
let handler: typeof import('../../../functions/device-wake-again/handler.ts').handler;

beforeAll(async () => {
  devices = await startDevicesTable();
  const endpoint = await devices.table.client.config.endpoint?.();
  Object.assign(process.env, {
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_ENDPOINT_URL: `http://${endpoint?.hostname}:${endpoint?.port}`,
    DEVICES_TABLE: devices.table.name,
    WAKE_QUEUE_URL: queueUrl,
    POWERTOOLS_DEV: 'true',
  });
  ({ handler } = await import('../../../functions/device-wake-again/handler.ts'));
}, 90_000);
afterAll(() => devices[Symbol.asyncDispose]());

beforeEach(() => {
  iot.reset();
  iot.on(SendDirectMessageCommand).resolves({});
  sqs.reset();
  sqs.on(SendMessageCommand).resolves({});
  for (const level of ['info', 'error'] as const) jest.spyOn(console, level).mockImplementation(() => undefined);
});
afterEach(() => jest.restoreAllMocks());

let serials = 0;
/** A device that was woken for so many messages and has not fetched them. */
async function woken(count = 1): Promise<{ device: Device; commands: Command[]; check: WakeCheck }> {
  serials += 1;
  const device = await enrol(devices.table, {
    serial: `AGAIN-${serials}`,
    platform: 'linux',
    class: 'workstation',
    ownership: 'organization',
  });
  const commands: Command[] = [];
  for (let n = 0; n < count; n += 1) commands.push(await pushed(device, `${n}`));
  return { device, commands, check: { deviceId: device.id, n: count, attempt: 0 } };
}

async function pushed(device: Device, text: string): Promise<Command> {
  const { command } = await queue(devices.table, device, { type: 'message', parameters: { text } }, Date.now());
  const [batch] = byDevice((await readQueue(devices.table, device.id)).open);
  if (batch === undefined) throw new Error('nothing is queued');
  await wakeFor(devices.table, batch, async () => true, new Date());
  return command;
}

const event = (...checks: readonly (WakeCheck | DueCheck | HeldLook)[]): SQSEvent =>
  ({
    Records: checks.map((check, n) => ({ messageId: String(n), body: JSON.stringify(check) })),
  }) as unknown as SQSEvent;

const sent = () => iot.commandCalls(SendDirectMessageCommand).map(({ args }) => args[0].input);
const planned = () =>
  sqs.commandCalls(SendMessageCommand).map(({ args }) => {
    const { QueueUrl, MessageBody, DelaySeconds } = args[0].input;
    return { QueueUrl, check: JSON.parse(MessageBody ?? ''), after: DelaySeconds };
  });

test('looks after one minute, five, then every fifteen', () => {
  expect([0, 1, 2, 3, 400].map((attempt) => pauseBefore({ attempt }))).toEqual([60, 300, 900, 900, 900]);
});

test('commands that are still only pushed: wakes with confirmation, and looks again later', async () => {
  const { device, check } = await woken(2);
  devices.requests();
  expect(await handler(event(check))).toEqual({ batchItemFailures: [] });
  expect(sent()).toMatchObject([
    { clientId: device.id, topic: `wardline/${device.id}/wake`, confirmation: true, timeout: 5 },
  ]);
  expect(JSON.parse(Buffer.from(sent()[0]?.payload as Uint8Array).toString())).toEqual({ v: 1, n: 2 });
  expect(planned()).toEqual([{ QueueUrl: queueUrl, check: { ...check, attempt: 1 }, after: 300 }]);
});

test('one request to the table, half a unit', async () => {
  const { check } = await woken();
  devices.requests();
  await wakeAgain(devices.table, check, async () => 'confirmed', new Date());
  expect(devices.requests()).toEqual([{ operation: 'Query', readUnits: 0.5, writeUnits: 0 }]);
});

test('no confirmation is no failure: it is tried again later', async () => {
  const { check } = await woken();
  iot.on(SendDirectMessageCommand).rejects(new GatewayTimeoutException({ message: 'no PUBACK', $metadata: {} }));
  expect(await handler(event({ ...check, attempt: 2 }))).toEqual({ batchItemFailures: [] });
  expect(sent()).toHaveLength(1);
  expect(planned()).toMatchObject([{ check: { attempt: 3 }, after: 900 }]);
});

test('a device that is not connected is left alone: it checks in when it connects', async () => {
  const { check } = await woken();
  iot.on(SendDirectMessageCommand).rejects(new ResourceNotFoundException({ message: 'not connected', $metadata: {} }));
  expect(await handler(event(check))).toEqual({ batchItemFailures: [] });
  expect(planned()).toEqual([]);
});

test('what was fetched, cancelled or has expired wakes nobody', async () => {
  const [fetched, cancelled, expired] = [await woken(), await woken(), await woken()];
  await serveCheckIn(
    devices.table,
    { caller: callerFor(fetched.device), message: message(Date.now()), receivedAt: Date.now() },
    {
      now: Date.now,
      random: () => 0,
      directory: devices.directory,
      readBrakes: async () => [],
      placeOf: async () => undefined,
      interlock: defaultInterlock,
    },
  );
  await cancelCommand(devices.table, {
    deviceId: cancelled.device.id,
    commandId: cancelled.commands[0]?.id ?? '',
    requestedBy: 'user:anna',
    audit: () => auditOf(cancelled.device, 'CancelCommand', 'x', start),
    now: new Date(),
  });
  await handler(event(fetched.check, cancelled.check));
  const later = new Date(Date.now() + 2 * 86_400_000);
  const outcome = await wakeAgain(devices.table, expired.check, async () => 'confirmed', later);
  expect(outcome).toEqual({ kind: 'fetched' });
  expect([sent(), planned()]).toEqual([[], []]);
});

test('a newer wake-up takes over, so that one device has one look ahead of it', async () => {
  const { device, check } = await woken();
  await pushed(device, 'newer');
  await handler(event(check));
  expect([sent(), planned()]).toEqual([[], []]);
  await handler(event({ ...check, n: 2 }));
  expect(sent()).toHaveLength(1);
});

test('what fails for the moment comes back alone; what never succeeds does not come back', async () => {
  const [one, busy, never] = [await woken(), await woken(), await woken()];
  iot
    .on(SendDirectMessageCommand, { clientId: busy.device.id })
    .rejects(Object.assign(new Error('slow down'), { name: 'ThrottlingException' }))
    .on(SendDirectMessageCommand, { clientId: never.device.id })
    .rejects(new ForbiddenException({ message: 'no', $metadata: {} }));
  const answer = await handler(event(one.check, busy.check, never.check));
  expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: '1' }] });
  expect(planned()).toMatchObject([{ check: { deviceId: one.device.id } }]);
});

test('a message that is none goes to the dead letters in the end', async () => {
  const answer = await handler({ Records: [{ messageId: 'm', body: '{}' }] } as unknown as SQSEvent);
  expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: 'm' }] });
});

const minute = 60_000;
const north = `s-${'1'.repeat(26)}`;
const east = `u-${'2'.repeat(26)}`;

/** A pump in use whose restart waits; in use since `at`. */
async function busy(at: number, place: { siteId?: string; unitId?: string } = {}): Promise<Device> {
  serials += 1;
  const device = await enrol(devices.table, { ...infusionPump(`AGAIN-${serials}`), ...place });
  await says(device, 'in-use', at);
  await queue(devices.table, device, { type: 'restart' }, at);
  return device;
}

const says = (device: Device, state: 'idle' | 'in-use', at: number, brakes: readonly Brake[] = []) =>
  serveCheckIn(
    devices.table,
    {
      caller: callerFor(device),
      message: message(at, { clinical: { state, at: new Date(at).toISOString() } }),
      receivedAt: at,
    },
    { ...gateMeans(devices.directory, () => at), now: () => at, random: () => 0, readBrakes: async () => brakes },
  );

describe('a command that waits for a time', () => {
  const begun = Date.now() - 40 * minute;
  const dueAt = (at: number) => new Date(at + 30 * minute).toISOString();

  test('wakes its device a minute after that time, with confirmation, and looks again', async () => {
    const device = await busy(begun);
    const check = { deviceId: device.id, until: dueAt(begun), attempt: 0 };
    expect(await handler(event(check))).toEqual({ batchItemFailures: [] });
    expect(sent()).toMatchObject([{ clientId: device.id, confirmation: true }]);
    expect(planned()).toEqual([{ QueueUrl: queueUrl, check: { ...check, attempt: 1 }, after: 300 }]);
  });

  test('costs nothing before, and half a unit then', async () => {
    const device = await busy(begun);
    const check = { deviceId: device.id, until: dueAt(begun), attempt: 0 };
    devices.requests();
    const early = await wakeWhenDue(devices.table, check, async () => 'confirmed', new Date(begun + 30 * minute));
    expect(early).toEqual({ kind: 'not-yet', next: check });
    expect(devices.requests()).toEqual([]);
    await wakeWhenDue(devices.table, check, async () => 'confirmed', new Date());
    expect(devices.requests()).toEqual([{ operation: 'Query', readUnits: 0.5, writeUnits: 0 }]);
  });

  test('goes to the queue again as long as the time has not come', async () => {
    const now = Date.now();
    const device = await busy(now);
    const check = { deviceId: device.id, until: dueAt(now), attempt: 0 };
    await handler(event(check));
    expect(sent()).toEqual([]);
    expect(planned()).toEqual([{ QueueUrl: queueUrl, check, after: 900 }]);
  });

  test('wakes nobody who came by himself: it was handed out, or waits for another time', async () => {
    const [free, still] = [await busy(begun), await busy(begun)];
    await says(free, 'idle', begun + 5 * minute);
    await says(still, 'in-use', begun + 31 * minute);
    const checks = [free, still].map(({ id }) => ({ deviceId: id, until: dueAt(begun), attempt: 0 }));
    await handler(event(...checks));
    expect([sent(), planned()]).toEqual([[], []]);
  });

  test('of two whose time has come, the later one wakes', async () => {
    const device = await busy(begun);
    await queue(devices.table, device, { type: 'lock' }, begun + 2 * minute);
    const look = (at: number) => ({ deviceId: device.id, until: dueAt(at), attempt: 0 });
    await handler(event(look(begun)));
    expect([sent(), planned()]).toEqual([[], []]);
    await handler(event(look(begun + 2 * minute)));
    expect(sent()).toHaveLength(1);
  });

  test('is left alone when the device is not connected, or the command has expired', async () => {
    const device = await busy(begun);
    const check = { deviceId: device.id, until: dueAt(begun), attempt: 0 };
    iot.on(SendDirectMessageCommand).rejects(new ResourceNotFoundException({ message: 'no', $metadata: {} }));
    await handler(event(check));
    const tomorrow = new Date(begun + 25 * 60 * minute);
    const outcome = await wakeWhenDue(devices.table, check, async () => 'confirmed', tomorrow);
    expect([outcome, planned()]).toEqual([{ kind: 'gone-on' }, []]);
  });
});

describe('after the release of a brake', () => {
  const brake: Brake = {
    scope: 'network',
    reason: 'a test',
    pulledBy: 'user:hal',
    pulledAt: new Date(start).toISOString(),
    version: 1,
  };
  /** A pump whose restart the brake holds. */
  const braked = async (place: { siteId?: string; unitId?: string }): Promise<Device> => {
    const device = await busy(Date.now() - 2 * minute, place);
    await says(device, 'idle', Date.now(), [brake]);
    return device;
  };
  const clients = () => sent().map(({ clientId }) => clientId);

  test('the devices of its place are woken whose commands it held, and no others', async () => {
    const [here, other, elsewhere] = [
      await braked({ siteId: north, unitId: east }),
      await braked({ siteId: north }),
      await braked({}),
    ];
    await busy(Date.now(), { siteId: north, unitId: east });
    await handler(event({ held: 'brake', siteId: north, unitId: east }));
    expect(clients()).toEqual([here.id]);
    iot.resetHistory();
    await handler(event({ held: 'brake', siteId: north }));
    expect(clients().sort()).toEqual([here.id, other.id].sort());
    iot.resetHistory();
    await handler(event({ held: 'brake' }));
    expect(clients().sort()).toEqual([here.id, other.id, elsewhere.id].sort());
    expect(planned()).toEqual([]);
  });

  test('a large place is gone through in several messages, no device twice', async () => {
    const siteId = `s-${'3'.repeat(26)}`;
    for (let n = 0; n < 110; n += 1) {
      serials += 1;
      await enrol(devices.table, { ...infusionPump(`AGAIN-${serials}`), siteId });
    }
    const held = await Promise.all(Array.from({ length: 5 }, () => braked({ siteId })));
    const woken: string[] = [];
    // Each look at the clock takes as long as a message may.
    let time = Date.now();
    const means = {
      table: devices.table,
      wake: async (id: string) => woken.push(id) > 0,
      failed: (_id: string, error: unknown) => {
        throw error;
      },
      now: () => {
        time += 10_000;
        return time;
      },
    };
    let look: HeldLook | undefined = { held: 'brake', siteId };
    let messages = 0;
    while (look !== undefined) {
      look = (await wakeHeld(means, JSON.parse(JSON.stringify(look)))).next;
      messages += 1;
    }
    expect(messages).toBeGreaterThan(1);
    expect(woken.sort()).toEqual(held.map(({ id }) => id).sort());
  });

  test('one that cannot be woken holds up no other', async () => {
    const siteId = `s-${'4'.repeat(26)}`;
    const [one, broken] = [await braked({ siteId }), await braked({ siteId })];
    iot
      .on(SendDirectMessageCommand, { clientId: broken.id })
      .rejects(Object.assign(new Error('slow down'), { name: 'ThrottlingException' }));
    expect(await handler(event({ held: 'brake', siteId }))).toEqual({ batchItemFailures: [] });
    expect(clients()).toContain(one.id);
  });
});
