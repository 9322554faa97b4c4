import type { Context, SQSEvent } from 'aws-lambda';
import { importHandlers } from '../../../functions/manage-devices/imports.ts';
import { auditRecord } from '../../../shared/audit/record.ts';
import { keepRecord, readTrail } from '../../../shared/audit/store.ts';
import type { Table } from '../../../shared/aws/dynamodb.ts';
import { deviceIdOf } from '../../../shared/devices/device.ts';
import { devicePartition } from '../../../shared/devices/keys.ts';
import { getDevice } from '../../../shared/devices/store.ts';
import { type BoundOperation, serve } from '../../../shared/http/api.ts';
import { Guard } from '../../../shared/identity/guard.ts';
import { loadPolicies } from '../../../shared/identity/policy-set.ts';
import type { RowResult } from '../../../shared/imports/job.ts';
import { importPartition } from '../../../shared/imports/store.ts';
import { PlaceStore } from '../../../shared/places/store.ts';
import { type ApiHandler, call, callerWith } from '../../support/api.ts';
import { enrol } from '../../support/devices.ts';
import { type ImportCloud, startImportCloud } from '../../support/import-cloud.ts';
import { startTestDatabase, type TestDatabase } from '../../support/test-database.ts';

const ada = callerWith('administrator');
const north = `s-${'a'.repeat(26)}`;
let database: TestDatabase;
let cloud: ImportCloud;
let devices: Table;
let directory: Table;
let handler: ApiHandler;
let work: (event: SQSEvent, context: Context) => Promise<void>;

beforeAll(async () => {
  database = await startTestDatabase();
  devices = await database.table('bySite');
  directory = await database.table('byKind');
  cloud = startImportCloud();
  const places = new PlaceStore(directory, devices);
  const at = new Date().toISOString();
  const entry = { actor: 'user:x', action: 'CreateSite', resource: 'site', outcome: 'allowed' } as const;
  const site = { id: north, name: 'Linden Park', timeZone: 'UTC', createdAt: at, updatedAt: at, version: 1 };
  await places.createSite(site, auditRecord(`SITE#${north}`, entry, new Date()));

  const endpoint = await devices.client.config.endpoint?.();
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_DYNAMODB: `http://${endpoint?.hostname}:${endpoint?.port}`,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    DEVICES_TABLE: devices.name,
    DIRECTORY_TABLE: directory.name,
    IMPORTS_BUCKET: 'imports',
    IMPORTS_QUEUE_URL: 'http://queue',
  });
  // Made at import time from the environment, as in Lambda.
  work = (await import('../../../functions/import-devices/handler.ts')).handler;
  const { ImportStore } = await import('../../../shared/imports/store.ts');
  const { S3Client } = await import('@aws-sdk/client-s3');
  const { SQSClient } = await import('@aws-sdk/client-sqs');
  const imports = new ImportStore({
    directory,
    s3: new S3Client(),
    bucket: 'imports',
    sqs: new SQSClient(),
    queueUrl: 'http://queue',
  });
  const guard = new Guard(loadPolicies(), (record) => keepRecord(directory, record));
  const none: BoundOperation = { run: () => Promise.reject(new Error('not in this test')) };
  handler = serve('manage-devices', {
    ...importHandlers({ imports, guard }),
    listDevices: none,
    createDevice: none,
    getDevice: none,
    updateDevice: none,
    deleteDevice: none,
    listDeviceAudit: none,
  });
});
afterAll(async () => {
  cloud.stop();
  await database.stop();
});

/** Delivers what waits in the queue, as the event source mapping does, with so many milliseconds for each invocation. */
const deliver = async (milliseconds = 100_000): Promise<number> => {
  let invocations = 0;
  for (let body = cloud.messages.shift(); body !== undefined; body = cloud.messages.shift()) {
    invocations += 1;
    const records = [{ body }] as SQSEvent['Records'];
    await work({ Records: records }, { getRemainingTimeInMillis: () => milliseconds } as Context);
  }
  return invocations;
};

const upload = (raw: string, type = 'text/csv', caller = ada) =>
  call(handler, 'importDevices', { caller, raw, headers: { 'content-type': type } });

const report = async (importId: string, caller = ada): Promise<RowResult[]> => {
  const rows: RowResult[] = [];
  let cursor: string | undefined;
  do {
    const page = await call(handler, 'getImportReport', {
      caller,
      path: { importId },
      query: cursor === undefined ? {} : { cursor },
    });
    expect(page.status).toBe(200);
    rows.push(...(page.body['items'] as RowResult[]));
    cursor = page.body['next'] as string | undefined;
  } while (cursor !== undefined);
  return rows;
};

const list = [
  '\u{feff}Serial Number;OS;Device Type;Facility;Asset Tag;Price',
  'IMP-1;iPadOS;iPad;Linden Park;Cart "5;10',
  'IMP-2;IoMT;Infusion Pump;LINDEN  PARK;;10',
  '',
  'IMP-2;IoMT;Infusion Pump;linden park;;10',
  'IMP-3;toaster;spoon;Linden Park;;10',
  'IMP-4;Windows 11;WOW;Nowhere;;10',
  'IMP-5;linux;;;;',
].join('\r\n');

describe('An import', () => {
  test('says row by row what became of the list, and the same list again changes nothing', async () => {
    const accepted = await upload(list);
    expect(accepted).toMatchObject({ status: 202, body: { state: 'queued', createdBy: 'user:administrator-1' } });
    const importId = String(accepted.body['id']);
    expect(accepted.headers['location']).toBe(`/v1/imports/${importId}`);
    await deliver();
    const read = await call(handler, 'getImport', { caller: ada, path: { importId } });
    expect(read.body).toMatchObject({
      state: 'done',
      rows: { read: 6, created: 3, unchanged: 1, refused: 2 },
      ignoredColumns: ['Price'],
    });
    expect(read.body).not.toHaveProperty('uploader');
    expect((await report(importId)).map(({ line, serial, outcome }) => [line, serial, outcome])).toEqual([
      [2, 'IMP-1', 'created'],
      [3, 'IMP-2', 'created'],
      [5, 'IMP-2', 'unchanged'],
      [6, 'IMP-3', 'refused'],
      [7, 'IMP-4', 'refused'],
      [8, 'IMP-5', 'created'],
    ]);
    expect(await getDevice(devices, deviceIdOf('IMP-1'))).toMatchObject({
      platform: 'apple',
      class: 'tablet',
      siteId: north,
      name: 'Cart "5',
      lifecycle: 'expected',
    });
    const trail = await readTrail(devices, devicePartition(deviceIdOf('IMP-2')), 10);
    expect(trail.items).toMatchObject([
      { action: 'RegisterDevice', actor: 'user:administrator-1', after: { importId, line: 3 } },
    ]);

    const again = String((await upload(list)).body['id']);
    await deliver();
    expect((await call(handler, 'getImport', { caller: ada, path: { importId: again } })).body).toMatchObject({
      rows: { read: 6, created: 0, unchanged: 4, refused: 2 },
    });
    expect((await readTrail(devices, devicePartition(deviceIdOf('IMP-2')), 10)).items).toHaveLength(1);
  });

  test('takes JSON, and refuses rows that contradict what is there', async () => {
    await enrol(devices, {
      serial: 'IMP-9',
      platform: 'linux',
      class: 'other',
      ownership: 'organization',
      siteId: north,
    });
    const rows = [
      { serial: 'imp-5', platform: 'linux' },
      { serial: 'IMP-5', platform: 'windows' },
      { serial: 'IMP-9', platform: 'linux', site: north },
      { serial: 'IMP-9', platform: 'linux' },
      { serial: 4711, platform: 'android', class: 'phone' },
    ];
    const importId = String((await upload(JSON.stringify(rows), 'application/json')).body['id']);
    await deliver();
    expect((await report(importId)).map(({ outcome, reasons }) => [outcome, reasons?.[0]])).toEqual([
      ['unchanged', undefined],
      ['refused', 'A device with this serial number is registered with other data.'],
      ['unchanged', undefined],
      ['refused', 'A device with this serial number is enrolled with other data.'],
      ['created', undefined],
    ]);
  });

  test('goes on in another invocation when the time is over', async () => {
    const rows = Array.from({ length: 620 }, (_, row) => `BULK-${row},linux,${north}`);
    const importId = String((await upload(['serial,platform,site', ...rows].join('\n'))).body['id']);
    expect(await deliver(1_000)).toBe(3);
    const { body } = await call(handler, 'getImport', { caller: ada, path: { importId } });
    expect(body).toMatchObject({ state: 'done', rows: { read: 620, created: 620 } });
    expect((await report(importId)).map(({ line }) => line)).toEqual(rows.map((_, row) => row + 2));
    // The same message once more, as SQS may deliver it, finds nothing to do.
    cloud.messages.push(JSON.stringify({ importId }));
    await deliver();
    expect((await call(handler, 'getImport', { caller: ada, path: { importId } })).body).toEqual(body);
  });

  test('decides each row with the permissions of who uploaded it', async () => {
    const bea = callerWith('biomed', { sub: 'bea', sites: [north] });
    const rows = ['serial,platform,site', `BEA-1,iomt,${north}`, `BEA-2,windows,${north}`, 'BEA-3,iomt,'].join('\n');
    const importId = String((await upload(rows, 'text/csv; charset=utf-8', bea)).body['id']);
    await deliver();
    const results = await report(importId, bea);
    expect(results.map(({ outcome }) => outcome)).toEqual(['created', 'refused', 'refused']);
    expect(results[1]?.reasons?.[0]).toContain('No policy permits RegisterDevice');
    const denied = await readTrail(devices, devicePartition(deviceIdOf('BEA-2')), 10);
    expect(denied.items).toMatchObject([{ action: 'RegisterDevice', outcome: 'denied', actor: 'user:bea' }]);
    const other = callerWith('biomed', { sub: 'bob', sites: [north] });
    expect((await call(handler, 'getImport', { caller: other, path: { importId } })).status).toBe(403);
    expect((await upload(rows, 'text/csv', callerWith('auditor'))).status).toBe(403);
  });

  test('says why a list cannot be read', async () => {
    expect((await upload('')).status).toBe(400);
    expect((await upload('x', 'text/plain')).status).toBe(415);
    expect((await upload('x'.repeat(4 * 1024 * 1024 + 1))).status).toBe(413);
    const importId = String((await upload('name,model\nx,y\n')).body['id']);
    await deliver();
    const { body } = await call(handler, 'getImport', { caller: ada, path: { importId } });
    expect(body).toMatchObject({ state: 'failed', problem: 'The first line names no column for the serial number.' });
    expect(await report(importId)).toEqual([]);
    expect((await readTrail(directory, importPartition(importId), 5)).items).toMatchObject([
      { action: 'ImportDevices', outcome: 'allowed' },
    ]);
    expect((await call(handler, 'getImport', { caller: ada, path: { importId: 'i-unknown' } })).status).toBe(404);
  });
});
