import { jest } from '@jest/globals';
import type { SQSRecord } from 'aws-lambda';
import { getDevice } from '../../../shared/devices/store.ts';
import { enrol, infusionPump, start } from '../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../support/devices-table.ts';

let devices: DevicesTable;
let handler: typeof import('../../../functions/device-presence/handler.ts').handler;

beforeAll(async () => {
  devices = await startDevicesTable();
  const endpoint = await devices.table.client.config.endpoint?.();
  Object.assign(process.env, {
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_ENDPOINT_URL: `http://${endpoint?.hostname}:${endpoint?.port}`,
    DEVICES_TABLE: devices.table.name,
    POWERTOOLS_DEV: 'true',
  });
  ({ handler } = await import('../../../functions/device-presence/handler.ts'));
}, 90_000);
afterAll(() => devices[Symbol.asyncDispose]());
afterEach(() => jest.restoreAllMocks());

test('a batch in disorder is noted; only what cannot be read goes back to the queue', async () => {
  jest.spyOn(console, 'error').mockImplementation(() => undefined);
  const device = await enrol(devices.table, infusionPump('PRESENCE-HANDLER'));
  const record = (messageId: string, body: unknown) =>
    ({ messageId, body: typeof body === 'string' ? body : JSON.stringify(body) }) as SQSRecord;
  const event = (eventType: string, versionNumber: number, more = {}) => ({
    clientId: device.id,
    timestamp: start + versionNumber,
    eventType,
    sessionIdentifier: 'a4666d2a-7d84-4ae5-8373-4d6f8ee6ff43',
    principalIdentifier: device.certificate,
    ipAddress: '192.0.2.7',
    versionNumber,
    ...more,
  });
  const answer = await handler({
    Records: [
      record(
        '1',
        event('disconnected', 1, { clientInitiatedDisconnect: true, disconnectReason: 'CLIENT_INITIATED_DISCONNECT' }),
      ),
      record('2', 'not JSON'),
      record('3', event('connected', 0)),
      record('4', event('asleep', 2)),
      record('5', { ...event('connected', 5), clientId: 'provisioning-claim' }),
    ],
  });
  expect(answer.batchItemFailures).toEqual([{ itemIdentifier: '2' }, { itemIdentifier: '4' }]);
  expect((await getDevice(devices.table, device.id, { consistent: true }))?.presence).toEqual({
    connected: false,
    at: new Date(start + 1).toISOString(),
    sessionId: 'a4666d2a-7d84-4ae5-8373-4d6f8ee6ff43',
    version: 1,
  });
});
