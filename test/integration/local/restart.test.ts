import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import { type LocalCloud, startLocalCloud } from '../../support/local-cloud.ts';

/** `kill -9` and a start with the same data folder: no orphan, no locked port, nothing lost. */
let cloud: LocalCloud;

beforeAll(async () => {
  cloud = await startLocalCloud();
}, 120_000);

afterAll(() => cloud?.stop());

const portOf = (url: string) => Number(new URL(url).port);

test('kill -9 leaves no process and no locked port, and a restart with --data has everything that was answered', async () => {
  const before = cloud;
  const token = await before.token('ada.admin', { mfa: true });
  const created = await before.api('POST', '/v1/sites', {
    token,
    body: { name: 'St. Anna', timeZone: 'America/New_York' },
  });
  expect(created.status).toBe(201);
  const ports = Object.values(before.endpoints)
    .filter((value) => URL.canParse(value) && value.includes('localhost'))
    .map(portOf);
  const dynamoDb = portOf(before.endpoints.awsEndpoint) + 1;
  expect(ports).toHaveLength(6);

  await changeClock(before, { speed: 60 });
  await changeClock(before, { skip: 86_400 });
  const shown = await timeOf(before);

  await before.stop('SIGKILL');

  for (const port of [...ports, dynamoDb]) await untilClosed(port);
  expect(processesWith(before.data)).toEqual([]);

  cloud = await startLocalCloud({ data: before.data });
  const again = await cloud.token('ada.admin', { mfa: true });
  const { body } = await cloud.api('GET', '/v1/sites', { token: again });
  expect(body).toEqual({ items: [created.body] });
  // Nothing that was written may lie in the future.
  expect(await timeOf(cloud)).toBeGreaterThanOrEqual(shown);
}, 180_000);

const clockOf = ({ endpoints }: LocalCloud) => `${endpoints.awsEndpoint}/_wardline/clock`;

async function changeClock(of: LocalCloud, change: object): Promise<void> {
  const answer = await fetch(clockOf(of), { method: 'PUT', body: JSON.stringify(change) });
  expect(answer.status).toBe(200);
}

async function timeOf(of: LocalCloud): Promise<number> {
  const answer = await fetch(clockOf(of));
  return Date.parse(((await answer.json()) as { now: string }).now);
}

async function untilClosed(port: number): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (await isOpen(port)) {
    if (Date.now() > deadline) throw new Error(`port ${port} is still open a minute after the kill`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Command lines of all processes that name the folder. */
function processesWith(folder: string): string[] {
  return execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(folder));
}
