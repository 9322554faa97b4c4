import { eventually, LoopCloud } from '../../support/loop-cloud.ts';

/** A revoked device is cut off from AWS IoT, by what the reader of the stream hands on, also when a queue is out of order. */
let loop: LoopCloud;
beforeAll(async () => {
  loop = await LoopCloud.start();
}, 300_000);
afterAll(() => loop?.[Symbol.asyncDispose]());

const breakGlass = { reasonCode: 'active-attack', text: 'It was stolen from the ward.' };
/** Past approval, each time by another person: one may do so once an hour. */
const revoke = async (id: string, user: string) =>
  loop.cloud.api('POST', `/v1/devices/${id}/revoke`, {
    token: await loop.cloud.token(user, { mfa: true }),
    body: { breakGlass },
  });
/** What `device-retire` did: the broker may have closed the connection with the certificate already. */
const ofRetire = async () => (await loop.calls('device-retire')).map(({ operation }) => operation);
const hits = async () => (await loop.hits())[0] ?? 0;

test('its certificate is revoked in AWS IoT, and its connection cut', async () => {
  await using device = await loop.device();
  await device.connect();
  expect((await device.publish({ at: new Date().toISOString() })).status).toBe(200);
  expect((await revoke(device.id, 'ada.admin')).status).toBe(200);
  expect(await eventually(ofRetire, (operations) => operations.length >= 2)).toEqual([
    'UpdateCertificate',
    'DeleteConnection',
  ]);
}, 300_000);

test('while the queues take nothing devices are woken as ever; what was kept is handed on afterwards', async () => {
  const before = (await ofRetire()).length;
  await using stolen = await loop.device();
  await using other = await loop.device();
  await stolen.connect();
  await other.connect();
  await loop.faults({ service: 'sqs', operation: 'SendMessageBatch', error: 'ServiceUnavailable', status: 503 });
  expect((await revoke(stolen.id, 'ben.admin')).status).toBe(200);
  await eventually(hits, (count) => count >= 2);
  await loop.queue(other, { type: 'message', parameters: { text: 'still here' } });
  await other.wake();
  // The next minute finds the queue still out of order, and keeps what it has.
  await loop.speed(60);
  const kept = await hits();
  await eventually(hits, (count) => count > kept);
  expect(await ofRetire()).toHaveLength(before);
  await loop.faults();
  expect((await eventually(ofRetire, (operations) => operations.length >= before + 2)).slice(before)).toEqual([
    'UpdateCertificate',
    'DeleteConnection',
  ]);
}, 300_000);
