import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Json } from '../../../local/cloud.ts';
import type { TraceEntry } from '../../../local/endpoint/trace.ts';
import { type RunningCloud, startLocalCloud } from '../../../local/start.ts';
import type { Template, TemplateResource } from '../../../local/template/assembly.ts';

/** The product's own templates, with one permission taken away: the flow that needs it fails, and nothing else does. */
let folder: string;
let running: RunningCloud;
let token: string;
const calls: TraceEntry[] = [];
/** The first call of each function loads it. */
const PATIENCE = 30_000;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wardline-product-'));
  running = await startLocalCloud({
    port: 0,
    folder,
    onCall: (entry) => calls.push(entry),
    changeTemplate: (template) => withoutAction(template, 'What the function manage-places may do', 'dynamodb:PutItem'),
  });
  const response = await fetch(`${running.urls.issuer}/local/token`, {
    method: 'POST',
    body: new URLSearchParams({ user: 'ada.admin', mfa: 'yes' }),
  });
  token = ((await response.json()) as { access_token: string }).access_token;
}, 120_000);

afterAll(async () => {
  await running?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const call = (method: string, path: string, body?: Json) =>
  fetch(`${running.urls.api}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

test(
  'a function whose role lacks an action is denied, and its caller told no secrets',
  async () => {
    const response = await call('POST', '/v1/sites', { name: 'St. Anna', timeZone: 'America/New_York' });

    expect(response.status).toBeGreaterThanOrEqual(500);
    expect(await response.text()).not.toContain('dynamodb');
    expect(calls).toContainEqual(
      expect.objectContaining({
        function: 'wardline-manage-places',
        service: 'dynamodb',
        error: 'AccessDeniedException',
      }),
    );
  },
  PATIENCE,
);

test(
  'what its role still allows works, and so does everything else',
  async () => {
    await expect(call('GET', '/v1/sites').then((response) => response.json())).resolves.toEqual({ items: [] });
    await expect(call('GET', '/v1/devices').then((response) => response.status)).resolves.toBe(200);
  },
  PATIENCE,
);

test(
  'the trace names function, service, operation and units of each call',
  async () => {
    calls.length = 0;

    await call('GET', '/v1/sites');

    expect(calls).toEqual([
      expect.objectContaining({
        function: 'wardline-manage-places',
        service: 'dynamodb',
        operation: 'Query',
        units: 0.5,
        status: 200,
      }),
    ]);
  },
  PATIENCE,
);

test(
  'problems of API Gateway itself have the form of the product',
  async () => {
    const [nowhere, unsigned] = await Promise.all([call('GET', '/v1/nowhere'), fetch(`${running.urls.api}/v1/sites`)]);

    expect([nowhere.status, nowhere.headers.get('content-type')]).toEqual([404, 'application/problem+json']);
    expect([unsigned.status, unsigned.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
  },
  PATIENCE,
);

function withoutAction(template: Template, description: string, action: string): Template {
  const resources = Object.entries(template.Resources ?? {}).map(([id, resource]): [string, TemplateResource] => {
    if (resource.Properties?.['Description'] !== description) return [id, resource];
    const text = JSON.stringify(resource).replaceAll(`"${action}",`, '').replaceAll(`,"${action}"`, '');
    return [id, JSON.parse(text) as TemplateResource];
  });
  return { ...template, Resources: Object.fromEntries(resources) };
}
