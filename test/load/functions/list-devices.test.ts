import { BatchWriteCommand } from '@aws-sdk/lib-dynamodb';
import { listHandlers } from '../../../functions/manage-devices/list.ts';
import type { Table } from '../../../shared/aws/dynamodb.ts';
import { type Device, DeviceClass, deviceIdOf, Platform } from '../../../shared/devices/device.ts';
import { headItem, maxIndexRequests } from '../../../shared/devices/store.ts';
import { type BoundOperation, serve } from '../../../shared/http/api.ts';
import { Guard } from '../../../shared/identity/guard.ts';
import { loadPolicies } from '../../../shared/identity/policy-set.ts';
import { type ApiHandler, call, callerWith } from '../../support/api.ts';
import { startTestDatabase, type TestDatabase } from '../../support/test-database.ts';

const total = 10_000;
const sites = Array.from({ length: 25 }, (_, site) => `s-${String(site).padStart(26, '0')}`);
const platforms = Object.values(Platform);
const classes = Object.values(DeviceClass);
let database: TestDatabase;
let devices: Table;
let handler: ApiHandler;
let requests = 0;

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

beforeAll(async () => {
  database = await startTestDatabase();
  devices = await database.table('bySite');
  for (let start = 0; start < total; start += 25) {
    const puts = Array.from({ length: 25 }, (_, offset) => ({
      PutRequest: { Item: headItem(device(start + offset)) },
    }));
    await devices.client.send(new BatchWriteCommand({ RequestItems: { [devices.name]: puts } }));
  }
  devices.client.middlewareStack.add(
    (next) => (args) => {
      requests += 1;
      return next(args);
    },
    { step: 'initialize', name: 'count' },
  );
  const guard = new Guard(loadPolicies(), () => Promise.reject(new Error('nothing is changed here')));
  const none: BoundOperation = { run: () => Promise.reject(new Error('not in this test')) };
  handler = serve('manage-devices', {
    ...listHandlers({ devices, guard }),
    createDevice: none,
    updateDevice: none,
    deleteDevice: none,
    revokeDevice: none,
    importDevices: none,
    getImport: none,
    getImportReport: none,
  });
}, 180_000);
afterAll(() => database.stop());

const queries: readonly (readonly [string, Record<string, string>, number])[] = [
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

describe.each([
  ['an administrator', callerWith('administrator')],
  ['a user of all sites by name', callerWith('auditor', { sites: sites })],
])('Listing 10,000 devices as %s', (_, caller) => {
  test.each(queries)(
    '%s: each page within 250 ms at the 95th percentile and a bounded number of requests',
    async (_name, query, expected) => {
      const durations: number[] = [];
      let most = 0;
      let found = 0;
      let cursor: string | undefined;
      do {
        requests = 0;
        const begun = performance.now();
        const page = await call(handler, 'listDevices', {
          caller,
          query: { ...query, limit: '50', ...(cursor === undefined ? {} : { cursor }) },
        });
        durations.push(performance.now() - begun);
        most = Math.max(most, requests);
        expect(page.status).toBe(200);
        found += (page.body['items'] as unknown[]).length;
        cursor = page.body['next'] as string | undefined;
      } while (cursor !== undefined);
      durations.sort((a, b) => a - b);
      expect(found).toBe(expected);
      // Each request to the index is followed by at most one for the heads of what it found.
      expect(most).toBeLessThanOrEqual(2 * maxIndexRequests);
      expect(durations[Math.floor((durations.length - 1) * 0.95)]).toBeLessThan(250);
    },
    120_000,
  );
});
