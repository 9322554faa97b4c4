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
import type { Command } from '../../../shared/commands/command.ts';
import { byDevice, wakeFor } from '../../../shared/commands/push.ts';
import { readQueue } from '../../../shared/commands/store.ts';
import { pauseBefore, type WakeCheck, wakeAgain } from '../../../shared/commands/wake-again.ts';
import { cancelCommand } from '../../../shared/commands/writer.ts';
import type { Device } from '../../../shared/devices/device.ts';
import { serveCheckIn } from '../../../shared/devices/serve-check-in.ts';
import { defaultInterlock } from '../../../shared/interlock/settings.ts';
import { auditOf, callerFor, enrol, message, queue, start } from '../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../support/devices-table.ts';

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

const event = (...checks: readonly WakeCheck[]): SQSEvent =>
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
