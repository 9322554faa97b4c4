import { eventually, LoopCloud } from '../../support/loop-cloud.ts';
import { commandsOf, type LoopDevice } from '../../support/loop-device.ts';

/** What the device loop costs, counted where the calls arrive: at the AWS endpoint, through the whole local cloud. */
let cloud: LoopCloud;
let device: LoopDevice;

beforeAll(async () => {
  cloud = await LoopCloud.start();
  device = await cloud.device();
  await device.connect();
}, 120_000);

afterAll(async () => {
  await device?.[Symbol.asyncDispose]();
  await cloud?.[Symbol.asyncDispose]();
});

/** The calls of the check-in function to DynamoDB while something happens. */
async function tableCalls(happens: () => Promise<unknown>): Promise<{ operation: string; units: number }[]> {
  const own = async () => (await cloud.calls('device-checkin')).filter(({ service }) => service === 'dynamodb');
  const before = (await own()).length;
  await happens();
  return (await own()).slice(before).map(({ operation, units = 0 }) => ({ operation, units }));
}

const report = { inventory: { os: { name: 'tablet-os', version: '4.2' } }, posture: { screenLock: 'enabled' } };

describe.each(['post', 'publish'] as const)('a check-in by %s', (way) => {
  test('that brings nothing new makes one request of half a read unit', async () => {
    await device[way](report);
    const calls = await tableCalls(() => device[way](report));
    expect(calls).toEqual([{ operation: 'Query', units: 0.5 }]);
    const silent = await tableCalls(() => device[way]({}));
    expect(silent).toEqual([{ operation: 'Query', units: 0.5 }]);
  });

  test('delivering one command and taking its result adds at most three requests', async () => {
    await device[way](report);
    const id = await cloud.queue(device, { type: 'message', parameters: { text: `by ${way}` } });
    // The note that it was pushed is no part of the check-in, but it must not come between its read and its write.
    await eventually(
      () => cloud.life(device, id),
      ({ status }) => status === 'pushed',
    );
    const calls = await tableCalls(async () => {
      const { body } = await device[way]({});
      expect(commandsOf(body)).toMatchObject([{ id, type: 'message' }]);
      await device[way]({ results: [{ commandId: id, status: 'acknowledged' }] });
    });
    expect(calls.filter(({ operation }) => operation === 'Query')).toHaveLength(2);
    expect(calls.length - 2).toBeLessThanOrEqual(3);
    expect(await cloud.course(device, id)).toEqual(['queued', 'delivered', 'acknowledged']);
  });
});

test('a command wakes a connected device with one write, one message and one look planned', async () => {
  const before = (await cloud.calls('device-push')).length;
  const id = await cloud.queue(device, { type: 'message', parameters: { text: 'hello' } });
  await device.wake();
  const calls = await eventually(
    async () => (await cloud.calls('device-push')).slice(before),
    (made) => made.length >= 3,
  );
  expect(calls.map(({ operation }) => operation).sort()).toEqual(['SendDirectMessage', 'SendMessage', 'UpdateItem']);
  await device.publish({ results: [{ commandId: id, status: 'acknowledged' }] });
});
