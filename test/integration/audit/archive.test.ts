import { execFile } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { nextDay } from '../../../shared/audit/archive/day.ts';
import { enroll } from '../../support/est-client.ts';
import { type LocalCloud, startLocalCloud } from '../../support/local-cloud.ts';

/**
 * The whole way of an audit record: a change through the API, the stream, the chain in the locked bucket, the closing
 * of the day by its schedule, the copy that an auditor takes, and the proof without a network.
 */
let cloud: LocalCloud;
let siteId: string;
let deviceId: string;
/** The cloud's day on which everything happens. */
let day: string;

beforeAll(async () => {
  cloud = await startLocalCloud();
  // Not over midnight: what is done here belongs to one day.
  await pastMidnight();
  day = (await cloudTime()).slice(0, 10);
  const administrator = await cloud.token('ada.admin', { mfa: true });
  const created = await cloud.api('POST', '/v1/sites', {
    token: administrator,
    body: { name: 'St. Anna', timeZone: 'Europe/Berlin' },
  });
  siteId = (created.body as { id: string }).id;
  for (const name of ['ICU', 'ED', 'OR']) {
    const body = { name, acuityTier: 'T0' };
    const unit = await cloud.api('POST', `/v1/sites/${siteId}/units`, { token: administrator, body });
    expect(unit).toMatchObject({ status: 201 });
  }
  const token = await cloud.api('POST', '/v1/enrollment-tokens', {
    token: administrator,
    body: { siteId, class: 'infusion-pump', platform: 'iomt', uses: 1 },
  });
  deviceId = (await enroll(cloud, (token.body as { token: string }).token, 'PUMP-0001')).id;
  const command = await cloud.api('POST', `/v1/devices/${deviceId}/commands`, {
    token: administrator,
    body: { type: 'inventory' },
  });
  expect(command).toMatchObject({ status: 201 });
  const refused = await cloud.api('POST', '/v1/sites', {
    token: await cloud.token('amy.auditor'),
    body: { name: 'Not mine to make', timeZone: 'Europe/Berlin' },
  });
  expect(refused.status).toBe(403);
}, 180_000);

afterAll(async () => {
  await cloud?.stop();
});

/** The cloud's time, RFC 3339; `speed` changes how fast it passes. */
async function cloudTime(speed?: number): Promise<string> {
  const answer = await fetch(`${cloud.endpoints.awsEndpoint}/_wardline/clock`, {
    ...(speed === undefined ? {} : { method: 'PUT', body: JSON.stringify({ speed }) }),
  });
  return ((await answer.json()) as { now: string }).now;
}

async function pastMidnight(): Promise<void> {
  if ((await cloudTime()).slice(11, 16) < '23:50') return;
  await until(async () => (await cloudTime(600)).slice(11, 13) === '00');
  await cloudTime(1);
}

/** Asks until it is so; the test's own time limit ends it otherwise. */
async function until(asked: () => Promise<boolean>): Promise<void> {
  while (!(await asked())) await sleep(50);
}

async function search(query: string): Promise<{ action: string; archived: { chain: string; sequence: number } }[]> {
  const found: { action: string; archived: { chain: string; sequence: number } }[] = [];
  const token = await cloud.token('amy.auditor');
  let next: string | undefined;
  do {
    const cursor = next === undefined ? '' : `&cursor=${next}`;
    const page = await cloud.api('GET', `/v1/audit?limit=3&from=${day}&to=${nextDay(day)}${query}${cursor}`, { token });
    expect(page.status).toBe(200);
    const body = page.body as { items: typeof found; next?: string };
    found.push(...body.items);
    next = body.next;
  } while (next !== undefined);
  return found;
}

/** `wardline ...` as a person would run it. */
async function wardline(...args: string[]): Promise<{ code: number; output: string }> {
  const program = resolve(import.meta.dirname, '..', '..', '..', 'cli', 'wardline.ts');
  const token = await cloud.token('amy.auditor');
  return new Promise((done) => {
    const env = { ...process.env, WARDLINE_TOKEN: token };
    execFile(process.execPath, [program, ...args], { cwd: cloud.scratch, env }, (error, stdout, stderr) => {
      done({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr });
    });
  });
}

const folder = (name: string) => join(cloud.scratch, name);

test('every change and every refusal arrives in the chain of its site, in order', async () => {
  const wanted = ['CreateSite', 'CreateUnit', 'CreateUnit', 'CreateUnit', 'CreateEnrollmentToken', 'EnrollDevice'];
  await until(async () => (await search(`&site=${siteId}`)).length >= 7);
  const found = await search(`&site=${siteId}`);
  expect(found.map(({ action }) => action).sort()).toEqual([...wanted, 'RequestInventory'].sort());
  expect(found.map(({ archived }) => archived)).toEqual(
    found.map((_, index) => ({ chain: `${day}/${siteId}`, sequence: index + 1 })),
  );
  await until(async () => (await search('&site=organization')).length >= 1);
  expect(await search('&site=organization')).toMatchObject([
    { action: 'CreateSite', outcome: 'denied', actor: 'user:amy.auditor' },
  ]);
});

test('is found by device, actor, action and outcome', async () => {
  expect((await search(`&device=${deviceId}`)).map(({ action }) => action).sort()).toEqual([
    'EnrollDevice',
    'RequestInventory',
  ]);
  expect(await search('&actor=user:ada.admin&action=CreateUnit')).toHaveLength(3);
  expect(await search(`&actor=device:${deviceId}`)).toHaveLength(1);
  expect(await search('&outcome=denied')).toHaveLength(1);
});

test('whoever may not read the audit trail may not search or copy it', async () => {
  const token = await cloud.token('hal.helpdesk');
  for (const path of ['/v1/audit', `/v1/audit?site=${siteId}`, `/v1/audit/archive?from=${day}&to=${day}`]) {
    expect((await cloud.api('GET', path, { token })).status).toBe(403);
  }
});

test('a copy of the day that is not over is sound, and says what is not proved yet', async () => {
  const copied = await wardline('audit', 'export', '--from', day, '--out', folder('open'));
  expect(copied).toMatchObject({ code: 0, output: expect.stringContaining('files of the audit archive') });
  const verified = await wardline('audit', 'verify', folder('open'));
  expect(verified).toMatchObject({ code: 0, output: expect.stringContaining('Sound: ') });
  expect(verified.output).toContain('No day has a signed digest yet');
  expect(verified.output).toContain(`${day}/${siteId}`);
});

describe('when the day is over', () => {
  let key: string;

  beforeAll(async () => {
    const tomorrow = nextDay(day);
    const closed = async () => {
      const token = await cloud.token('amy.auditor');
      const page = await cloud.api('GET', `/v1/audit/archive?from=${day}&to=${day}`, { token });
      const items = (page.body as { items?: { key: string }[] }).items ?? [];
      return items.some((file) => file.key === `digests/${day}.json`);
    };
    await until(async () => (await cloudTime(5_000)) > `${tomorrow}T00:20:30`);
    await cloudTime(1);
    await until(closed);
    const copied = await wardline('audit', 'export', '--from', day, '--to', day, '--out', folder('closed'));
    expect(copied).toMatchObject({ code: 0 });
    const [name = ''] = readdirSync(join(folder('closed'), 'keys'));
    key = join(folder('closed'), 'keys', name);
    cpSync(key, folder('trusted.pem'));
  }, 120_000);

  const verify = (name: string) =>
    wardline('audit', 'verify', folder(name), '--key', folder('trusted.pem'), '--from', day, '--to', day);

  test('its digest is signed and proves the copy', async () => {
    const verified = await verify('closed');
    expect(verified).toMatchObject({ code: 0, output: expect.stringContaining(`Proved from ${day} to ${day}`) });
    expect(verified.output).toContain('yours');
    expect(verified.output).not.toContain('Not closed');
  });

  test('one site of it by itself', async () => {
    const only = ['--site', siteId];
    await wardline('audit', 'export', '--from', day, '--to', day, '--out', folder('site'), ...only);
    const verified = await wardline('audit', 'verify', folder('site'), '--from', day, '--to', day, ...only);
    expect(verified).toMatchObject({ code: 0, output: expect.stringContaining(' in 1 chains.') });
  });

  /** A copy in which `change` has been at the chain of the site. */
  const tampered = (name: string, change: (chain: string, files: string[]) => void) => {
    cpSync(folder('closed'), folder(name), { recursive: true });
    const chain = join(folder(name), 'chains', day, siteId);
    change(chain, readdirSync(chain).sort());
  };

  test.each<[string, string, (chain: string, files: string[]) => void]>([
    [
      'changed',
      'an actor exchanged',
      (chain, [first = '']) => {
        const file = join(chain, first);
        writeFileSync(file, readFileSync(file, 'utf8').replace('user:ada.admin', 'user:eve.admin'));
      },
    ],
    ['missing', 'a file taken away', (chain, [first = '']) => rmSync(join(chain, first))],
    ['truncated', 'the last file taken away', (chain, files) => rmSync(join(chain, files.at(-1) ?? ''))],
  ])('%s: %s is found and named', async (fault, name, change) => {
    tampered(name, change);
    const verified = await verify(name);
    expect(verified.code).toBe(1);
    expect(verified.output).toMatch(new RegExp(`^${fault}: chains/${day}/${siteId}/\\d{8}\\.jsonl:1 `, 'm'));
    expect(verified.output).toContain('NOT SOUND');
  });

  test('that a copy was taken is in the trail itself', async () => {
    await until(async () => (await search('&action=ReadAudit&actor=user:amy.auditor')).length > 0);
    expect((await search('&action=ReadAudit&actor=user:amy.auditor'))[0]).toMatchObject({
      outcome: 'allowed',
      after: { copied: { from: day } },
    });
  });
});
