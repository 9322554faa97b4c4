import { maxIndexRequests } from '../../../shared/devices/store.ts';
import { call, callerWith } from '../../support/api.ts';
import { type DeviceList, queries, sites, startDeviceList } from '../../support/device-list.ts';

let list: DeviceList;

beforeAll(async () => {
  list = await startDeviceList();
}, 300_000);
afterAll(() => list[Symbol.asyncDispose]());

describe.each([
  ['an administrator', callerWith('administrator')],
  ['a user of all sites by name', callerWith('auditor', { sites })],
])('Listing 10,000 devices as %s', (_, caller) => {
  test.each(queries)(
    '%s: all are found, each page with a bounded number of requests',
    async (_name, query, expected) => {
      let most = 0;
      let found = 0;
      let cursor: string | undefined;
      list.requests();
      do {
        const page = await call(list.handler, 'listDevices', {
          caller,
          query: { ...query, limit: '50', ...(cursor === undefined ? {} : { cursor }) },
        });
        most = Math.max(most, list.requests());
        expect(page.status).toBe(200);
        found += (page.body['items'] as unknown[]).length;
        cursor = page.body['next'] as string | undefined;
      } while (cursor !== undefined);
      expect(found).toBe(expected);
      // Each request to the index is followed by at most one for the heads of what it found.
      expect(most).toBeLessThanOrEqual(2 * maxIndexRequests);
    },
    300_000,
  );
});
