import { jest } from '@jest/globals';
import type { FaultRule } from '../../../local/endpoint/faults.ts';
import { eventually, type Life, LoopCloud } from '../../support/loop-cloud.ts';
import { type Answer, commandsOf, type LoopDevice } from '../../support/loop-device.ts';

/**
 * Bad days of the device loop, each through the public doors of a running local cloud: HTTPS and MQTT of the devices,
 * the management API of people. Nothing may be lost, and nothing done twice.
 */
jest.setTimeout(300_000);

let cloud: LoopCloud;
const devices: LoopDevice[] = [];

beforeAll(async () => {
  cloud = await LoopCloud.start();
}, 300_000);

afterEach(() => cloud.faults());

afterAll(async () => {
  for (const device of devices) await device[Symbol.asyncDispose]();
  await cloud?.[Symbol.asyncDispose]();
});

async function newDevice(): Promise<LoopDevice> {
  const device = await cloud.device();
  devices.push(device);
  return device;
}

const message = (text: string) => ({ type: 'message', parameters: { text } });
const done = (commandId: string) => ({ commandId, status: 'acknowledged' });
const ids = ({ body }: Answer) => commandsOf(body).map(({ id }) => id);

/** What a device does whose check-in was not answered with 200: the same again. */
async function insist(checkIn: () => Promise<Answer>): Promise<Answer> {
  return await eventually(
    () => checkIn().catch((): Answer => ({ status: 0, body: {} })),
    ({ status }) => status === 200,
  );
}

test('the same check-in fifty times at once, over both channels', async () => {
  const device = await newDevice();
  await device.connect();
  const shown = await cloud.queue(device, message('once'));
  const asked = await cloud.queue(device, { type: 'inventory' });
  expect(ids(await device.post({}))).toEqual([shown, asked]);
  const same = {
    at: new Date().toISOString(),
    inventory: { os: { name: 'tablet-os', version: '4.2' } },
    posture: { screenLock: 'enabled' },
    clinical: { state: 'idle', at: new Date().toISOString() },
    results: [done(shown), done(asked)],
  };
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, n) => (n % 2 === 0 ? device.post(same) : device.publish(same))),
  );
  expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200));
  expect(answers.flatMap(ids)).toEqual([]);
  expect(await cloud.course(device, shown)).toEqual(['queued', 'delivered', 'acknowledged']);
  expect(await cloud.course(device, asked)).toEqual(['queued', 'delivered', 'acknowledged', 'verified']);
  expect(await cloud.view(device)).toMatchObject({
    inventory: same.inventory,
    posture: same.posture,
    clinical: { state: 'idle' },
  });
});

test('a result that arrives before the delivery was recorded', async () => {
  const device = await newDevice();
  await device.connect();
  const id = await cloud.queue(device, message('early'));
  const { status, body } = await device.publish({ results: [done(id)] });
  expect([status, commandsOf(body)]).toEqual([200, []]);
  await device.wake();
  // The note that it was woken comes late or not at all; it does not bring the command back.
  expect(ids(await device.publish({}))).toEqual([]);
  const { status: end } = await cloud.life(device, id);
  expect(end).toBe('acknowledged');
  expect((await cloud.course(device, id)).filter((step) => step === 'acknowledged')).toHaveLength(1);
});

test.each([
  ['a quarter of a century back', '2001-01-01T00:00:00Z'],
  ['decades ahead', '2099-12-31T23:59:59Z'],
])('a device clock that is %s', async (_, at) => {
  const device = await newDevice();
  const began = Date.now();
  const later = await cloud.queue(device, message('later'));
  const now = await cloud.queue(device, message('now'));
  const wrong = { at, inventory: { os: { version: '1' } }, clinical: { state: 'in-use', at } };
  expect(ids(await device.post(wrong))).toEqual([later, now]);
  // The same wrong clock, a minute on: a quarter of an hour means a quarter of an hour.
  const at2 = new Date(Date.parse(at) + 60_000).toISOString();
  const until = new Date(Date.parse(at2) + 900_000).toISOString();
  await device.post({
    at: at2,
    results: [{ commandId: later, status: 'deferred', reason: 'in-use', until }, done(now)],
    clinical: { state: 'in-use', at },
  });
  const [deferred, acknowledged] = [await cloud.life(device, later), await cloud.life(device, now)];
  expect([deferred.status, acknowledged.status]).toEqual(['deferred', 'acknowledged']);
  const due = Date.parse((deferred as Life & { deferredUntil: string }).deferredUntil) - Date.now();
  expect(due).toBeGreaterThan(800_000);
  expect(due).toBeLessThanOrEqual(900_000);
  // The clock is set right: what the device says now is not older than what it said then.
  await device.post({ inventory: { os: { version: '2' } }, clinical: { state: 'idle', at: new Date().toISOString() } });
  const view = await cloud.view(device);
  expect(view).toMatchObject({ inventory: { os: { version: '2' } }, clinical: { state: 'idle' } });
  expect(Date.parse(String(view['lastSeenAt']))).toBeGreaterThanOrEqual(began - 1_000);
  expect(Date.parse(String(view['lastSeenAt']))).toBeLessThanOrEqual(Date.now() + 1_000);
});

describe('an inventory of 200 kB', () => {
  const huge = { inventory: { apps: 'x'.repeat(200_000) } };
  const limit = 131_072;

  test('over HTTPS is refused with the limit; nothing of the check-in counts', async () => {
    const device = await newDevice();
    const id = await cloud.queue(device, message('still here'));
    await device.post({ inventory: { apps: 'few' } });
    const { status, body } = await device.post({ ...huge, results: [done(id)] });
    expect(status).toBe(413);
    expect(body).toMatchObject({ type: '/problems/too-large', limitBytes: limit });
    expect(body['detail']).toContain(String(limit));
    expect(await cloud.view(device)).toMatchObject({ inventory: { apps: 'few' } });
    expect(await cloud.course(device, id)).toEqual(['queued', 'delivered']);
    await device.post({ results: [done(id)] });
    expect(await cloud.course(device, id)).toEqual(['queued', 'delivered', 'acknowledged']);
  });

  test('over MQTT ends the connection, as the broker does; the device is back with less', async () => {
    const device = await newDevice();
    await device.connect();
    const id = await cloud.queue(device, message('still here'));
    await expect(device.publish({ ...huge, results: [done(id)] })).rejects.toThrow('closed the connection');
    expect(await cloud.view(device)).not.toHaveProperty('inventory');
    await device.connect();
    const most = { inventory: { apps: 'x'.repeat(limit - 2_000) } };
    expect((await device.publish(most)).status).toBe(200);
    expect(ids(await device.publish({ results: [done(id)] }))).toEqual([]);
    expect(await cloud.view(device)).toMatchObject(most);
    expect((await cloud.life(device, id)).status).toBe('acknowledged');
  });
});

describe('a reply that is lost after the command was delivered', () => {
  test('over HTTPS', async () => {
    const device = await newDevice();
    const id = await cloud.queue(device, message('lost'));
    await cloud.faults({
      service: 'lambda',
      operation: 'Invoke',
      function: '*device-checkin',
      error: 'kill',
      when: 'after',
      times: 1,
    });
    expect((await device.post({})).status).toBeGreaterThanOrEqual(500);
    expect((await cloud.life(device, id)).status).toBe('delivered');
    expect(ids(await device.post({}))).toEqual([id]);
    await device.post({ results: [done(id)] });
    expect(await cloud.course(device, id)).toEqual(['queued', 'delivered', 'acknowledged']);
  });

  test('over MQTT: whoever asks again gets it at once; so does the broker, when it repeats the message', async () => {
    const device = await newDevice();
    await device.connect();
    const id = await cloud.queue(device, message('lost'));
    await device.wake();
    const lost: FaultRule = { service: 'iotdata', operation: 'Publish', function: '*device-checkin', error: 'kill' };
    await cloud.faults({ ...lost, times: 1 });
    const first = device.publish({});
    await eventually(
      () => cloud.life(device, id),
      ({ status }) => status === 'delivered',
    );
    await eventually(
      () => cloud.hits(),
      ([hits]) => hits === 1,
    );
    expect(ids(await device.publish({}))).toEqual([id]);
    // Lambda repeats the event after a minute.
    await cloud.speed(60);
    expect(ids(await first)).toEqual([id]);
    await cloud.speed(1);
    await device.publish({ results: [done(id)] });
    expect(await cloud.course(device, id)).toEqual(['queued', 'delivered', 'acknowledged']);
  });
});

test('DynamoDB throttles and does not answer, for everybody', async () => {
  const device = await newDevice();
  await cloud.faults(
    { service: 'dynamodb', operation: 'Query', function: '*device-checkin', error: 'timeout', times: 1 },
    {
      service: 'dynamodb',
      operation: 'UpdateItem',
      function: '*device-checkin',
      error: 'timeout',
      when: 'after',
      times: 1,
    },
    { service: 'dynamodb', error: 'ThrottlingException', rate: 0.25, seed: 7 },
    { service: 'dynamodb', error: 'InternalServerError', status: 500, when: 'after', rate: 0.15, seed: 8 },
  );
  const queued: string[] = [];
  for (let n = 0; n < 6; n += 1) {
    const answer = await eventually(
      () => cloud.api('POST', `/v1/devices/${device.id}/commands`, message(`${n}`), { 'idempotency-key': `bad-${n}` }),
      ({ status }) => status === 201 || status === 200,
    );
    queued.push((answer.body as { id: string }).id);
  }
  const shown = new Set<string>();
  for (let rounds = 0; rounds < 10 && shown.size < queued.length; rounds += 1) {
    for (const id of ids(await insist(() => device.post({ results: [...shown].map(done) })))) shown.add(id);
  }
  await insist(() => device.post({ results: [...shown].map(done), posture: { screenLock: 'enabled' } }));
  expect((await cloud.hits()).every((hits) => hits > 0)).toBe(true);
  await cloud.faults();
  expect([...shown]).toEqual(queued);
  expect((await cloud.commands(device)).map(({ id }) => id).sort()).toEqual([...queued].sort());
  for (const id of queued) expect(await cloud.course(device, id)).toEqual(['queued', 'delivered', 'acknowledged']);
  expect(await cloud.view(device)).toMatchObject({ posture: { screenLock: 'enabled' } });
});

describe('a function is killed between two writes', () => {
  const kill = (name: string, operation: string, when: 'before' | 'after'): FaultRule => ({
    service: operation === 'SendDirectMessage' ? 'iotdata' : operation === 'SendMessage' ? 'sqs' : 'dynamodb',
    operation,
    function: `*${name}`,
    error: 'kill',
    when,
    times: 1,
  });
  const points = [
    ['manage-commands', 'TransactWriteItems'],
    ['device-push', 'SendDirectMessage'],
    ['device-push', 'SendMessage'],
    ['device-push', 'UpdateItem'],
    ['device-checkin', 'UpdateItem'],
    ['device-checkin', 'TransactWriteItems'],
  ] as const;

  test.each(
    points.flatMap(([name, operation]) =>
      (['before', 'after'] as const).map((when) => [name, when, operation] as const),
    ),
  )('%s, %s its %s', async (name, when, operation) => {
    const device = await newDevice();
    await device.connect();
    await insist(() => device.post({}));
    await cloud.faults(kill(name, operation, when));
    const key = { 'idempotency-key': `kill-${name}-${operation}-${when}` };
    const queued = await eventually(
      () => cloud.api('POST', `/v1/devices/${device.id}/commands`, { type: 'inventory' }, key),
      ({ status }) => status === 201 || status === 200,
    );
    const { id } = queued.body as { id: string };
    await device.wake();
    expect(ids(await insist(() => device.post({})))).toEqual([id]);
    const report = { inventory: { os: { version: when } }, posture: { screenLock: name } };
    await insist(() => device.post({ results: [done(id)], ...report }));
    // Lambda repeats what it was killed in; the device is woken again at most.
    await eventually(
      () => cloud.hits(),
      ([hits]) => hits === 1,
    );
    await cloud.faults();
    await insist(() => device.post({}));
    expect((await cloud.commands(device)).map((command) => command.id)).toEqual([id]);
    expect(await cloud.course(device, id)).toEqual(['queued', 'delivered', 'acknowledged', 'verified']);
    expect(await cloud.view(device)).toMatchObject(report);
  });
});

// From here on the cloud's clock runs ahead. The certificates of devices are made before: TLS goes by the wall clock.
describe('hours go by', () => {
  let lost: LoopDevice;
  let asleep: LoopDevice;
  let polling: LoopDevice;

  beforeAll(async () => {
    [lost, asleep, polling] = [await newDevice(), await newDevice(), await newDevice()];
    await lost.connect();
    await asleep.connect();
  });
  afterEach(() => cloud.speed(1));

  /** Time at its usual pace again; the administrator's token may have expired meanwhile. */
  async function slowDown(): Promise<void> {
    await cloud.speed(1);
    await cloud.signIn();
  }

  test('a wake-up that is lost on a living connection is repeated until the device has its command', async () => {
    const id = await cloud.queue(lost, { type: 'lock' });
    // The device did not get this one.
    const { n } = await lost.wake();
    await cloud.speed(600);
    expect((await lost.wake()).n).toBe(n);
    expect((await lost.wake()).n).toBe(n);
    await slowDown();
    expect((await cloud.life(lost, id)).status).toBe('pushed');
    expect(ids(await lost.publish({ wake: n }))).toEqual([id]);
    // A look that is under way comes to its end.
    await new Promise((done) => setTimeout(done, 2_000));
    const woken = lost.wakesWaiting;
    const fetched = await cloud.now();
    // The next look, a quarter of an hour later at most, finds it delivered.
    await cloud.speed(600);
    await eventually(
      () => cloud.now(),
      (now) => now - fetched > 1_200_000,
    );
    expect(lost.wakesWaiting).toBe(woken);
    await slowDown();
    await lost.publish({ results: [done(id)], posture: { locked: true } });
    expect(await cloud.course(lost, id)).toEqual(['queued', 'delivered', 'acknowledged', 'verified']);
  });

  test('the push function fails for an hour', async () => {
    await cloud.faults({ service: 'lambda', operation: 'Invoke', function: '*device-push', error: 'kill' });
    const waiting = [await cloud.queue(asleep, message('one')), await cloud.queue(asleep, message('two'))];
    const fetched = await cloud.queue(polling, message('three'));
    const began = await cloud.now();
    // Whoever checks in needs no push.
    expect(ids(await polling.post({}))).toEqual([fetched]);
    await cloud.speed(1_200);
    await eventually(
      () => cloud.now(),
      (now) => now - began > 3_600_000,
    );
    expect(asleep.wakesWaiting).toBe(0);
    await cloud.faults();
    await asleep.wake();
    await slowDown();
    expect(ids(await asleep.publish({}))).toEqual(waiting);
    await asleep.publish({ results: waiting.map(done) });
    await polling.post({ results: [done(fetched)] });
    for (const id of waiting) expect(await cloud.course(asleep, id)).toEqual(['queued', 'delivered', 'acknowledged']);
    expect(await cloud.course(polling, fetched)).toEqual(['queued', 'delivered', 'acknowledged']);
  });
});
