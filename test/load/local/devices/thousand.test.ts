import { type LocalCloud, startLocalCloud } from '../../../support/local-cloud.ts';

/** A thousand simulated devices with a whole local cloud on one small machine. */
const count = 1_000;

let cloud: LocalCloud;
type Item = Readonly<Record<string, unknown>>;

beforeAll(async () => {
  cloud = await startLocalCloud({ args: ['--devices', String(count)] });
}, 300_000);

afterAll(async () => {
  await cloud?.stop();
}, 300_000);

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 250));
}

test('all of them enrol, none is refused, and the API shows them connected', async () => {
  await until(() => {
    const output = cloud.output();
    if (/could not be|refused|was not enrolled/.test(output)) throw new Error(output);
    return output.includes(`${count} of ${count} enrolled`);
  });

  const token = await cloud.token('ada.admin');
  const devices: Item[] = [];
  for (let cursor: unknown = ''; typeof cursor === 'string'; ) {
    const query = `limit=50${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const answer = await cloud.api('GET', `/v1/devices?${query}`, { token });
    expect(answer.status).toBe(200);
    const page = answer.body as Item;
    devices.push(...(page['items'] as Item[]));
    cursor = page['next'];
  }
  expect(devices).toHaveLength(count);
  expect(devices.filter(({ lifecycle }) => lifecycle !== 'enrolled')).toEqual([]);

  // Presence arrives a few seconds after the connection.
  const polls = devices.filter(({ channel }) => channel === 'https').length;
  expect(polls).toBeGreaterThan(0);
  await until(async () => {
    const page = await cloud.api('GET', '/v1/devices?limit=100', { token });
    const shown = (page.body as { items: Item[] }).items.filter(({ channel }) => channel === 'mqtt');
    return shown.every(({ connected }) => (connected as Item | undefined)?.['state'] === true);
  });
}, 570_000);
