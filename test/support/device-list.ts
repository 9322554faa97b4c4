import { BatchWriteCommand } from '@aws-sdk/lib-dynamodb';
import { listHandlers } from '../../functions/manage-devices/list.ts';
import type { Table } from '../../shared/aws/dynamodb.ts';
import { type Device, DeviceClass, deviceIdOf, Platform } from '../../shared/devices/device.ts';
import { headItem } from '../../shared/devices/store.ts';
import { type BoundOperation, serve } from '../../shared/http/api.ts';
import { Guard } from '../../shared/identity/guard.ts';
import { loadPolicies } from '../../shared/identity/policy-set.ts';
import type { ApiHandler } from './api.ts';
import { startTestDatabase } from './test-database.ts';

/** How many devices the network has. */
export const total = 10_000;
/** Its sites. */
export const sites = Array.from({ length: 25 }, (_, site) => `s-${String(site).padStart(26, '0')}`);
const platforms = Object.values(Platform);
const classes = Object.values(DeviceClass);
const device = (number: number): Device => ({
  id: deviceIdOf(`LIST-${number}`),
  serial: `LIST-${number}`,
  platform: platforms[number % platforms.length] ?? 'linux',
  class: classes[number % classes.length] ?? 'other',
  ownership: 'organization',
  siteId: sites[(number * 7) % sites.length] ?? '',
  lifecycle: number % 10 === 0 ? 'expected' : 'enrolled',
  compliance: number % 3 === 0 ? 'compliant' : 'not-compliant',
  ...(number % 1000 === 0 ? { user: 'bea' } : {}),
  name: `Device ${number} of the load test`,
  createdAt: '2026-01-01T00:00:00.000Z',
  desiredVersion: 0,
  queueSeq: 0,
  version: 1,
});

/** What people ask for, and how many devices that is. */
export const queries: readonly (readonly [string, Record<string, string>, number])[] = [
  ['all', {}, total],
  ['one site', { site: sites[3] ?? '' }, total / 25],
  ['a class', { class: 'ventilator' }, Array.from({ length: total }, (_, n) => n).filter((n) => n % 7 === 5).length],
  [
    'platform and state',
    { platform: 'linux', state: 'expected' },
    Array.from({ length: total }, (_, n) => n).filter((n) => n % 5 === 3 && n % 10 === 0).length,
  ],
  ['compliance', { compliance: 'compliant' }, Math.ceil(total / 3)],
  ['a rare user', { user: 'bea' }, 10],
];

/** The list of 10,000 devices in 25 sites, served by the real handler out of DynamoDB Local. */
export interface DeviceList extends AsyncDisposable {
  readonly handler: ApiHandler;
  readonly devices: Table;
  /** DynamoDB requests since the last call. */
  requests(): number;
}

export async function startDeviceList(): Promise<DeviceList> {
  const database = await startTestDatabase();
  const devices = await database.table('bySite');
  for (let start = 0; start < total; start += 25) {
    const puts = Array.from({ length: 25 }, (_, offset) => ({
      PutRequest: { Item: headItem(device(start + offset)) },
    }));
    await devices.client.send(new BatchWriteCommand({ RequestItems: { [devices.name]: puts } }));
  }
  let requests = 0;
  devices.client.middlewareStack.add(
    (next) => (args) => {
      requests += 1;
      return next(args);
    },
    { step: 'initialize', name: 'count' },
  );
  const guard = new Guard(loadPolicies(), () => Promise.reject(new Error('nothing is changed here')));
  const none: BoundOperation = { run: () => Promise.reject(new Error('not in this test')) };
  const handler = serve('manage-devices', {
    ...listHandlers({ devices, guard }),
    createDevice: none,
    updateDevice: none,
    deleteDevice: none,
    importDevices: none,
    getImport: none,
    getImportReport: none,
  });
  return {
    handler,
    devices,
    requests() {
      const counted = requests;
      requests = 0;
      return counted;
    },
    async [Symbol.asyncDispose]() {
      await database.stop();
    },
  };
}
