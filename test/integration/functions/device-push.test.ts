import {
  ForbiddenException,
  IoTDataPlaneClient,
  ResourceNotFoundException,
  SendDirectMessageCommand,
} from '@aws-sdk/client-iot-data-plane';
import { SendMessageBatchCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { GetCommand } from '@aws-sdk/lib-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { jest } from '@jest/globals';
import type { DynamoDBRecord } from 'aws-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import { iotWaker, WakeUpImpossible } from '../../../shared/aws/iot-waker.ts';
import { decodeChange } from '../../../shared/aws/stream.ts';
import type { Command } from '../../../shared/commands/command.ts';
import { byDevice, wakeFor } from '../../../shared/commands/push.ts';
import { commandOf } from '../../../shared/commands/store.ts';
import { cancelCommand, getCommand } from '../../../shared/commands/writer.ts';
import type { Device } from '../../../shared/devices/device.ts';
import { forgetForward, listForwards } from '../../../shared/devices/kept-forward-store.ts';
import { devicePartition, sortKeys } from '../../../shared/devices/keys.ts';
import { auditOf, enrol, infusionPump, queue, start } from '../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../support/devices-table.ts';

const retireQueue = 'https://sqs.us-east-1.amazonaws.com/000000000000/wardline-retire';
const rolloutQueue = 'https://sqs.us-east-1.amazonaws.com/000000000000/wardline-rollout-changes';
const iot = mockClient(IoTDataPlaneClient);
const sqs = mockClient(SQSClient);
const wake = iotWaker(new IoTDataPlaneClient({ region: 'us-east-1' }));
let devices: DevicesTable;
let handler: typeof import('../../../functions/device-push/handler.ts').handler;

beforeAll(async () => {
  devices = await startDevicesTable();
  // The handler makes its client from the environment, as in Lambda.
  const endpoint = await devices.table.client.config.endpoint?.();
  Object.assign(process.env, {
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_ENDPOINT_URL: `http://${endpoint?.hostname}:${endpoint?.port}`,
    DEVICES_TABLE: devices.table.name,
    WAKE_QUEUE_URL: 'https://sqs.us-east-1.amazonaws.com/000000000000/wardline-wake',
    RETIRE_QUEUE_URL: retireQueue,
    ROLLOUT_CHANGES_QUEUE_URL: rolloutQueue,
    POWERTOOLS_METRICS_NAMESPACE: 'Wardline',
    POWERTOOLS_METRICS_DISABLED: 'false',
    POWERTOOLS_SERVICE_NAME: 'device-push',
    POWERTOOLS_DEV: 'true',
  });
  ({ handler } = await import('../../../functions/device-push/handler.ts'));
}, 90_000);
afterAll(() => devices[Symbol.asyncDispose]());

beforeEach(() => {
  iot.reset();
  iot.on(SendDirectMessageCommand).resolves({});
  sqs.reset();
  sqs.on(SendMessageCommand).resolves({});
  sqs.on(SendMessageBatchCommand).resolves({});
  jest.spyOn(console, 'error').mockImplementation(() => undefined);
});
afterEach(() => jest.restoreAllMocks());

let serials = 0;
async function waiting(commands: number): Promise<{ device: Device; commands: Command[] }> {
  serials += 1;
  const device = await enrol(devices.table, infusionPump(`PUSH-${serials}`));
  const queued: Command[] = [];
  for (let n = 0; n < commands; n += 1) {
    queued.push(
      (await queue(devices.table, device, { type: 'message', parameters: { text: `${n}` } }, Date.now())).command,
    );
  }
  return { device, commands: queued };
}

/** The stream's record of a command that was queued, as it is in the table now. */
async function record(command: Command, sequence: string): Promise<DynamoDBRecord> {
  const Key = { pk: devicePartition(command.deviceId), sk: sortKeys.open(command.id) };
  const { Item } = await devices.table.client.send(new GetCommand({ TableName: devices.table.name, Key }));
  return {
    eventName: 'INSERT',
    dynamodb: {
      SequenceNumber: sequence,
      NewImage: marshall(Item) as NonNullable<DynamoDBRecord['dynamodb']>['NewImage'],
    },
  } as DynamoDBRecord;
}

const statuses = async (commands: readonly Command[]) =>
  Promise.all(
    commands.map(async ({ deviceId, id }) => (await getCommand(devices.table, deviceId, id, new Date())).status),
  );

const sent = () =>
  iot.commandCalls(SendDirectMessageCommand).map(({ args }) => {
    const { clientId, topic, payload } = args[0].input;
    return { clientId, topic, message: JSON.parse(Buffer.from(payload as Uint8Array).toString()) };
  });

const planned = () =>
  sqs.commandCalls(SendMessageCommand).map(({ args }) => {
    const { MessageBody, DelaySeconds } = args[0].input;
    return { check: JSON.parse(MessageBody ?? ''), after: DelaySeconds };
  });

const batch = async (commands: readonly Command[]) => ({
  Records: await Promise.all(commands.map((command, n) => record(command, String(n)))),
});

test('one wake-up for each device, that says nothing; its commands are pushed', async () => {
  const [one, other] = [await waiting(3), await waiting(1)];
  const all = [...one.commands, ...other.commands];
  expect(await handler(await batch(all))).toEqual({ batchItemFailures: [] });
  expect(sent()).toEqual([
    { clientId: one.device.id, topic: `wardline/${one.device.id}/wake`, message: { v: 1, n: 3 } },
    { clientId: other.device.id, topic: `wardline/${other.device.id}/wake`, message: { v: 1, n: 1 } },
  ]);
  expect(await statuses(all)).toEqual(Array(4).fill('pushed'));
  expect(planned()).toHaveLength(2);
  expect(planned()).toEqual(
    expect.arrayContaining([
      { check: { deviceId: one.device.id, n: 3, attempt: 0 }, after: 60 },
      { check: { deviceId: other.device.id, n: 1, attempt: 0 }, after: 60 },
    ]),
  );
});

test('a queue that takes no messages holds up no wake-up, and is counted', async () => {
  const counted = jest.spyOn(console, 'log').mockImplementation(() => undefined);
  sqs.on(SendMessageCommand).rejects(new Error('out of order'));
  const { commands } = await waiting(1);
  expect(await handler(await batch(commands))).toEqual({ batchItemFailures: [] });
  expect(await statuses(commands)).toEqual(['pushed']);
  expect(counted.mock.calls.map(([line]) => JSON.parse(String(line)))).toMatchObject([
    { service: 'device-push', WakeUnchecked: 1 },
  ]);
});

test('a device that is not connected keeps its commands queued', async () => {
  const { commands } = await waiting(1);
  iot.on(SendDirectMessageCommand).rejects(new ResourceNotFoundException({ message: 'not connected', $metadata: {} }));
  expect(await handler(await batch(commands))).toEqual({ batchItemFailures: [] });
  expect(await statuses(commands)).toEqual(['queued']);
  expect(planned()).toEqual([]);
});

test('what fails for the moment is reported from its first record on, the others are done', async () => {
  const [one, broken, third] = [await waiting(1), await waiting(2), await waiting(1)];
  iot
    .on(SendDirectMessageCommand, { clientId: broken.device.id })
    .rejects(Object.assign(new Error('slow down'), { name: 'ThrottlingException' }));
  const all = [...one.commands, ...broken.commands, ...third.commands];
  expect(await handler(await batch(all))).toEqual({ batchItemFailures: [{ itemIdentifier: '1' }] });
  expect(await statuses(all)).toEqual(['pushed', 'queued', 'queued', 'pushed']);
});

test('one device that can never be woken does not hold up the stream', async () => {
  const { commands } = await waiting(1);
  iot.on(SendDirectMessageCommand).rejects(new ForbiddenException({ message: 'no', $metadata: {} }));
  expect(await handler(await batch(commands))).toEqual({ batchItemFailures: [] });
  await expect(wake('d-1', 't', {})).rejects.toBeInstanceOf(WakeUpImpossible);
});

test('a record that comes an hour late changes nothing that has gone on since', async () => {
  const { device, commands } = await waiting(2);
  const late = await batch(commands);
  const [first] = commands;
  await cancelCommand(devices.table, {
    deviceId: device.id,
    commandId: first?.id ?? '',
    requestedBy: 'user:anna',
    audit: () => auditOf(device, 'CancelCommand', 'x', start),
    now: new Date(),
  });
  await handler(late);
  await handler(late);
  expect(await statuses(commands)).toEqual(['cancelled', 'pushed']);
  const second = commands[1];
  expect((await getCommand(devices.table, device.id, second?.id ?? '', new Date())).history).toHaveLength(2);
});

test('an expired command wakes nobody', async () => {
  const { commands } = await waiting(1);
  const stored = (await batch(commands)).Records.map(decodeChange).flatMap(({ after }) =>
    after === undefined ? [] : [commandOf(after)],
  );
  const [only] = byDevice(stored);
  if (only === undefined) throw new Error('no batch');
  const later = new Date(Date.now() + 2 * 86_400_000);
  expect(await wakeFor(devices.table, only, wake, later)).toBeUndefined();
  expect(sent()).toEqual([]);
});

test('a command that is deferred wakes nobody, but has somebody look when its time comes', async () => {
  serials += 1;
  const device = await enrol(devices.table, infusionPump(`PUSH-${serials}`));
  const { command } = await queue(devices.table, device, { type: 'restart' }, Date.now());
  const inserted = await record(command, '1');
  const modified = { ...inserted, eventName: 'MODIFY' } as DynamoDBRecord;
  const until = command.deferredUntil;
  expect(until).toBeDefined();
  await handler({ Records: [modified] });
  expect(sent()).toEqual([]);
  expect(planned()).toEqual([{ check: { deviceId: device.id, until, attempt: 0 }, after: 900 }]);

  sqs.resetHistory();
  const same = { ...modified, dynamodb: { ...modified.dynamodb, OldImage: modified.dynamodb?.NewImage } };
  await handler({ Records: [same as DynamoDBRecord] });
  expect(planned()).toEqual([]);

  await handler({ Records: [inserted] });
  expect(sent()).toHaveLength(1);
  expect(planned().map(({ check }) => Object.keys(check).sort())).toEqual(
    expect.arrayContaining([
      ['attempt', 'deviceId', 'n'],
      ['attempt', 'deviceId', 'until'],
    ]),
  );
});

describe('handing on', () => {
  /** The stream's record of a head that was revoked. */
  const revoked = (sequence: string, id = `d-${sequence}`): DynamoDBRecord => {
    const keys = { pk: devicePartition(id), sk: sortKeys.head, gsi1pk: 'SITE#-', gsi1sk: `-#${id}` };
    const head = { ...keys, certificate: 'a', lifecycle: 'enrolled' };
    return {
      eventName: 'MODIFY',
      dynamodb: {
        SequenceNumber: sequence,
        OldImage: marshall(head),
        NewImage: marshall({ ...head, lifecycle: 'revoked' }),
      },
    } as unknown as DynamoDBRecord;
  };
  const execution = (sequence: string): DynamoDBRecord =>
    ({
      eventName: 'INSERT',
      dynamodb: {
        SequenceNumber: sequence,
        NewImage: marshall({ pk: devicePartition('d-1'), sk: 'EXECUTION#firmware', rolloutId: 'ro-1', version: 1 }),
      },
    }) as unknown as DynamoDBRecord;
  const handed = () =>
    sqs.commandCalls(SendMessageBatchCommand).map(({ args }) => {
      const { QueueUrl, Entries = [] } = args[0].input;
      return { queue: QueueUrl, bodies: Entries.map(({ MessageBody }) => JSON.parse(MessageBody ?? '')) };
    });
  const kept = async () =>
    (await listForwards(devices.table, 100)).map(({ queue, sequenceNumber }) => `${queue} ${sequenceNumber}`);

  afterEach(async () => {
    for (const one of await listForwards(devices.table, 100)) await forgetForward(devices.table, one);
  });

  test('each change goes to the queue of who needs it, and a new command to none', async () => {
    const { commands } = await waiting(1);
    const { Records } = await batch(commands);
    expect(await handler({ Records: [...Records, revoked('7'), execution('8')] })).toEqual({ batchItemFailures: [] });
    expect(await statuses(commands)).toEqual(['pushed']);
    expect(handed()).toEqual([
      {
        queue: retireQueue,
        bodies: [
          {
            before: { lifecycle: 'enrolled', certificate: 'a' },
            after: { id: 'd-7', lifecycle: 'revoked', certificate: 'a' },
          },
        ],
      },
      { queue: rolloutQueue, bodies: [expect.objectContaining({ kind: 'execution' })] },
    ]);
  });

  test('a queue that is out of order holds up no wake-up: what it did not take is kept, and the batch counts as done', async () => {
    const counted = jest.spyOn(console, 'log').mockImplementation(() => undefined);
    sqs.on(SendMessageBatchCommand).rejects(new Error('out of order'));
    const { commands } = await waiting(1);
    const { Records } = await batch(commands);
    expect(await handler({ Records: [revoked('1'), execution('2'), ...Records] })).toEqual({ batchItemFailures: [] });
    expect(await statuses(commands)).toEqual(['pushed']);
    expect(await kept()).toEqual(['retire 1', 'rollouts 2']);
    expect(counted.mock.calls.map(([line]) => JSON.parse(String(line)))).toEqual(
      expect.arrayContaining([expect.objectContaining({ service: 'device-push', ForwardKept: 1 })]),
    );
    // The same record again is kept once.
    await handler({ Records: [revoked('1')] });
    expect(await kept()).toEqual(['retire 1', 'rollouts 2']);
  });

  test('of a request that is taken in part, the rest is kept', async () => {
    sqs.on(SendMessageBatchCommand, { QueueUrl: retireQueue }).resolves({
      Successful: [],
      Failed: [{ Id: '1', Code: 'KmsThrottled', SenderFault: false }],
    });
    expect(await handler({ Records: [revoked('1'), revoked('2'), revoked('3')] })).toEqual({ batchItemFailures: [] });
    expect(await kept()).toEqual(['retire 2']);
  });

  test('25 changes are three requests', async () => {
    await handler({ Records: Array.from({ length: 25 }, (_, n) => revoked(String(n))) });
    expect(handed().map(({ bodies }) => bodies.length)).toEqual([10, 10, 5]);
  });

  test('what can neither be sent nor kept is reported, and the wake-ups before and after it are done', async () => {
    sqs.on(SendMessageBatchCommand).rejects(new Error('out of order'));
    const [first, last] = [await waiting(1), await waiting(1)];
    const one = await record(first.commands[0] as Command, '1');
    const other = await record(last.commands[0] as Command, '3');
    // Larger than an item may be.
    const image = revoked('2', 'x'.repeat(2_100));
    const huge = { ...(image.dynamodb?.NewImage ?? {}), certificate: { S: 'c'.repeat(410_000) } };
    const unkeepable = { ...image, dynamodb: { ...image.dynamodb, NewImage: huge } } as DynamoDBRecord;
    expect(await handler({ Records: [one, unkeepable, other] })).toEqual({
      batchItemFailures: [{ itemIdentifier: '2' }],
    });
    expect(await statuses([...first.commands, ...last.commands])).toEqual(['pushed', 'pushed']);
  });

  test('what was kept is handed on as soon as the queue takes it, and forgotten then', async () => {
    jest.spyOn(console, 'log').mockImplementation(() => undefined);
    sqs.on(SendMessageBatchCommand).rejects(new Error('out of order'));
    await handler({ Records: [revoked('1'), execution('2')] });
    const { handler: again } = await import('../../../functions/device-forward-again/handler.ts');
    await again();
    expect(await kept()).toEqual(['retire 1', 'rollouts 2']);
    sqs.on(SendMessageBatchCommand, { QueueUrl: rolloutQueue }).resolves({});
    await again();
    expect(await kept()).toEqual(['retire 1']);
    sqs.on(SendMessageBatchCommand).resolves({});
    sqs.resetHistory();
    await again();
    expect(await kept()).toEqual([]);
    expect(handed()).toMatchObject([{ queue: retireQueue, bodies: [{ after: { id: 'd-1', lifecycle: 'revoked' } }] }]);
  });
});
