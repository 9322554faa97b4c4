import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type RunningCloud, startLocalCloud } from '../../../local/start.ts';
import type { Template } from '../../../local/template/assembly.ts';

/** Rows of the list, and where the cloud is stopped in the middle of it. */
const count = 10_000;
const stopAt = 4_000;

/** Heap of the importing function, MB: an eighth of what the template gives it, little more than the SDK needs by itself. */
const heap = 64;

type Item = Readonly<Record<string, unknown>>;

let folder: string;
let cloud: RunningCloud;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wardline-test-'));
  cloud = await start();
}, 300_000);
afterAll(async () => {
  await cloud?.stop();
  rmSync(folder, { recursive: true, force: true });
}, 300_000);

const start = () => startLocalCloud({ port: 0, folder, data: join(folder, 'data'), changeTemplate: withSmallHeap });

function withSmallHeap(template: Template): Template {
  const resources = Object.entries(template.Resources ?? {}).map(([id, resource]) => {
    const properties = resource.Properties ?? {};
    const found =
      resource.Type === 'AWS::Lambda::Function' && String(properties['FunctionName']).endsWith('-import-devices');
    return [id, found ? { ...resource, Properties: { ...properties, MemorySize: heap } } : resource] as const;
  });
  return { ...template, Resources: Object.fromEntries(resources) };
}

async function call(method: string, path: string, body?: { type: string; text: string }): Promise<Item> {
  const { urls } = cloud;
  const signedIn = await fetch(`${urls.issuer}/local/token`, {
    method: 'POST',
    body: new URLSearchParams({ user: 'ada.admin', mfa: 'yes' }),
  });
  const { access_token: token } = (await signedIn.json()) as { access_token: string };
  const response = await fetch(`${urls.api}/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': body.type }) },
    ...(body === undefined ? {} : { body: body.text }),
  });
  const answer = (await response.json()) as Item;
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

async function untilRead(importId: string, rows: number): Promise<Item> {
  for (;;) {
    const job = await call('GET', `/imports/${importId}`);
    if (job['state'] === 'failed') throw new Error(JSON.stringify(job));
    if (Number((job['rows'] as Item)['read']) >= rows) return job;
    await pause(250);
  }
}

test('10,000 rows with a small heap, stopped in the middle and started again: each device is there, once', async () => {
  const site = await call('POST', '/sites', {
    type: 'application/json',
    text: JSON.stringify({ name: 'North', timeZone: 'UTC' }),
  });
  const lines = Array.from({ length: count }, (_, row) => `LOAD-${row},iomt,infusion-pump,${site['id']},Pump ${row}`);
  const list = ['serial,platform,class,site,name', ...lines].join('\n');
  const begun = performance.now();
  const { id } = await call('POST', '/devices/import', { type: 'text/csv', text: list });
  await untilRead(String(id), stopAt);
  await cloud.stop();
  cloud = await start();
  await untilRead(String(id), count);
  const seconds = (performance.now() - begun) / 1_000;

  let job = await call('GET', `/imports/${id}`);
  while (job['state'] !== 'done') {
    await pause(100);
    job = await call('GET', `/imports/${id}`);
  }
  // Rows that were carried out twice count as they were the second time: there already.
  const rows = job['rows'] as Record<string, number>;
  console.log(`${count} rows in ${seconds.toFixed(0)} s with a restart: ${JSON.stringify(rows)}`);
  expect(rows).toMatchObject({ read: count, refused: 0 });

  const serials = new Set<unknown>();
  for (let cursor = ''; ; ) {
    const page = await call('GET', `/devices?limit=100${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`);
    for (const { serial } of page['items'] as Item[]) serials.add(serial);
    if (page['next'] === undefined) break;
    cursor = String(page['next']);
  }
  expect(serials.size).toBe(count);
}, 900_000);
