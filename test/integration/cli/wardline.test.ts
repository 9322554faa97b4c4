import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { append } from '../../../shared/audit/archive/append.ts';
import { closeDays } from '../../../shared/audit/archive/close.ts';
import { entry, memoryArchive } from '../../support/memory-archive.ts';

const folder = mkdtempSync(join(tmpdir(), 'wardline-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function wardline(args: string[], env: Record<string, string> = {}): Promise<{ code: number; output: string }> {
  const program = resolve(import.meta.dirname, '..', '..', '..', 'cli', 'wardline.ts');
  return new Promise((done) => {
    execFile(
      process.execPath,
      [program, ...args],
      { cwd: folder, env: { PATH: process.env['PATH'], ...env } },
      (error, stdout, stderr) =>
        done({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr }),
    );
  });
}

/** A management API that answers these pages, one after another. */
async function api(
  pages: { status?: number; body: unknown }[],
): Promise<{ server: Server; url: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization}`);
    const page = pages.shift() ?? { status: 500, body: {} };
    if (page.status === 0) {
      // The connection breaks.
      response.destroy();
      return;
    }
    response.writeHead(page.status ?? 200, { 'content-type': 'application/json', 'retry-after': '0' });
    response.end(JSON.stringify(page.body));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/`, asked };
}

const exported = (url: string, out: string) =>
  wardline(['audit', 'export', '--from', '2027-03-01', '--to', '2027-03-02', '--out', out, '--api', url], {
    WARDLINE_TOKEN: 'secret',
  });

describe('wardline', () => {
  test.each([
    [[], 0, 'audit verify'],
    [['--help'], 0, 'audit export'],
    [['audit', 'verify', '--help'], 0, 'Exit code: 0 if the archive is sound'],
    [['audit', 'export', '--help'], 0, 'WARDLINE_TOKEN'],
    [['audit', 'burn'], 2, 'There is no command "audit burn"'],
    [['audit', 'verify'], 2, 'Name one folder'],
    [['audit', 'verify', '--form', 'x'], 2, '--form'],
    [['audit', 'verify', 'x', '--from', '2027-02-30'], 2, '"2027-02-30" is not a day'],
    [['audit', 'verify', 'nowhere'], 1, 'nowhere'],
    [['audit', 'export', '--from', 'yesterday', '--out', 'x'], 2, 'must be days'],
    [['audit', 'export', '--from', '2027-03-01', '--out', 'x'], 2, 'Where is the API?'],
    [['audit', 'export', '--from', '2027-03-01', '--out', 'x', '--api', 'https://x'], 2, 'WARDLINE_TOKEN is not set'],
    [['rollout', 'watch', '--help'], 0, 'Exit code: 0 if the rollout completed'],
    [['rollout', 'watch'], 2, 'Name one rollout'],
    [['rollout', 'watch', '../devices'], 2, 'Name one rollout'],
    [['rollout', 'watch', 'ro-1', '--interval', '0'], 2, '--interval must be 1 to 3600'],
    [['rollout', 'watch', 'ro-1'], 2, 'Where is the API?'],
    [['rollout', 'watch', 'ro-1', '--api', 'https://x'], 2, 'WARDLINE_TOKEN is not set'],
    [['rollout', 'watch', 'ro-1', '--api', 'http://x'], 2, 'http://x is not https'],
  ])('%j: exit code %i', async (args, code, text) => {
    const result = await wardline(args);
    expect(result.code).toBe(code);
    expect(result.output).toContain(text);
    expect(result.output).not.toContain('    at ');
  });
});

describe('audit export', () => {
  test('writes all pages, waits when the API is busy, and signs in', async () => {
    const key = 'chains/2027-03-01/s-1/00000001.jsonl';
    const { server, url, asked } = await api([
      { status: 503, body: { title: 'Unavailable' } },
      { body: { items: [{ key, content: 'one\n' }], next: 'abc' } },
      { body: { items: [{ key: 'digests/2027-03-01.json', content: '{}\n' }] } },
    ]);
    const result = await exported(url, 'pages');
    server.close();
    expect(result).toMatchObject({ code: 0, output: expect.stringContaining('2 files') });
    expect(readFileSync(join(folder, 'pages', key), 'utf8')).toBe('one\n');
    expect(asked.at(-1)).toBe('/v1/audit/archive?from=2027-03-01&to=2027-03-02&cursor=abc Bearer secret');
  });

  test.each(['../outside.txt', '/tmp/outside.txt', 'chains/2027-03-01/../../../outside/00000001.jsonl', 'keys/x.pem'])(
    'a server does not choose where it writes: %s',
    async (key) => {
      const { server, url } = await api([{ body: { items: [{ key, content: 'gotcha' }] } }]);
      const result = await exported(url, 'hostile');
      server.close();
      expect(result).toMatchObject({ code: 1, output: expect.stringContaining('unknown name') });
      expect(existsSync(join(folder, 'outside.txt'))).toBe(false);
      expect(existsSync(join(folder, 'hostile'))).toBe(false);
    },
  );

  test('a connection that breaks in the middle is no end; an address where nobody answers is, at once and in words', async () => {
    const { server, url } = await api([
      { body: { items: [{ key: 'digests/2027-03-01.json', content: '{}\n' }], next: 'abc' } },
      { status: 0, body: {} },
      { body: { items: [{ key: 'digests/2027-03-02.json', content: '{}\n' }] } },
    ]);
    expect(await exported(url, 'broken')).toMatchObject({ code: 0, output: expect.stringContaining('2 files') });
    await new Promise((closed) => server.close(closed));
    const { origin } = new URL(url);
    expect(await exported(url, 'nobody')).toEqual({
      code: 1,
      output: `${origin} does not answer (ECONNREFUSED). Is the address right, and is the API running?\n`,
    });
    expect(await exported('ftp://x', 'ftp')).toMatchObject({
      code: 2,
      output: expect.stringContaining('ftp://x is not https'),
    });
  });

  test('what is no management API is said so', async () => {
    const server = createServer((_request, response) => response.end('<html>'));
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const result = await exported(url, 'html');
    server.close();
    expect(result).toMatchObject({
      code: 1,
      output: expect.stringContaining(`${url} answers, but not as the management API does`),
    });
  });

  test('a refusal is told in the words of the API', async () => {
    const { server, url } = await api([
      { status: 403, body: { title: 'Not permitted', detail: 'No policy permits ReadAudit.' } },
    ]);
    const result = await exported(url, 'refused');
    server.close();
    expect(result).toMatchObject({ code: 1, output: 'The API answered 403: No policy permits ReadAudit.\n' });
  });
});

test('audit verify: sound, then not, with the place', async () => {
  const memory = memoryArchive('2027-03-01T10:00:00.000Z');
  await append(memory.means, 's-1', [entry(1, 's-1'), entry(2, 's-1')]);
  memory.at('2027-03-02T00:20:00.000Z');
  await closeDays(memory.means);
  for (const [key, content] of memory.objects) {
    const file = join(folder, 'archive', key);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  writeFileSync(join(folder, 'key.pem'), memory.means.key.publicKeyPem);
  const args = ['audit', 'verify', 'archive', '--key', 'key.pem', '--from', '2027-03-01', '--to', '2027-03-01'];
  expect(await wardline(args)).toEqual({
    code: 0,
    output:
      'Sound: 2 records in 1 chains.\n' +
      `Proved from 2027-03-01 to 2027-03-01, signed with the key SHA-256 ${memory.means.key.fingerprint}, yours.\n`,
  });

  const file = join(folder, 'archive', 'chains/2027-03-01/s-1/00000001.jsonl');
  writeFileSync(file, readFileSync(file, 'utf8').replace('record-2', 'record-3'));
  const tampered = await wardline(args);
  expect(tampered.code).toBe(1);
  expect(tampered.output).toMatch(
    /^changed: chains\/2027-03-01\/s-1\/00000001\.jsonl:2 its content does not have its hash$/m,
  );
  expect(tampered.output).toContain('NOT SOUND');
});

describe('rollout watch', () => {
  const rollout = (state: string, succeeded: number) => ({
    ...{ id: 'ro-1', state, since: '2027-03-01T03:00:00.000Z', words: `It is ${state}.` },
    definition: { name: 'Pumps', artifact: { kind: 'firmware', name: 'LV-8', version: '9.5.0' } },
    waves: [
      {
        ...{ name: 'Lab', devices: 4, state: 'admitting', words: 'Let in.', waiting: {} },
        states: { succeeded, queued: 4 - succeeded },
      },
    ],
    counts: { states: { succeeded, queued: 4 - succeeded }, waiting: {} },
  });
  const watch = async (pages: Parameters<typeof api>[0], ...more: string[]) => {
    const { server, url, asked } = await api(pages);
    const result = await wardline(['rollout', 'watch', 'ro-1', '--api', url, ...more], { WARDLINE_TOKEN: 'secret' });
    server.close();
    return { ...result, asked };
  };
  // The three reads of a look are made at the same time, so that each page fits each of them.
  const look = (state: string, succeeded: number) =>
    Array.from({ length: 3 }, () => ({ body: { ...rollout(state, succeeded), items: [] } }));

  test('looks again until the rollout is completed, and says only what is new', async () => {
    const pages = [...look('running', 1), ...look('running', 1), ...look('completed', 4)];
    const { code, output, asked } = await watch(pages, '--interval', '1');
    expect(code).toBe(0);
    expect(output.match(/It is running/g)).toHaveLength(1);
    expect(output).toContain('[######~~~~~~~~~~~~~~~~~~] 1/4 admitting');
    expect(output).toContain('[########################] 4/4 admitting');
    expect(output).not.toContain('secret');
    expect(asked.slice(0, 3).sort()).toEqual([
      '/v1/rollouts/ro-1 Bearer secret',
      '/v1/rollouts/ro-1/devices?state=deferred&limit=100 Bearer secret',
      '/v1/rollouts/ro-1/timeline?limit=8 Bearer secret',
    ]);
  });

  test('says by its exit code that a rollout ended otherwise; --once never waits', async () => {
    expect((await watch(look('rolled-back', 0))).code).toBe(1);
    expect(await watch(look('running', 0), '--once')).toMatchObject({ code: 0 });
    expect(await watch([{ status: 404, body: { detail: 'There is no rollout with this id.' } }])).toMatchObject({
      code: 1,
      output: expect.stringContaining('There is no rollout with this id.'),
    });
  });
});
