import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collectLogs, tail } from '../../../../agent/commands/collect-logs.ts';
import { imagine } from '../report/machine.ts';

const id = '5-01J00000000000000000000000';
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wardline-logs-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('keeps the journal, redacted, for its owner alone, and says size and digest', async () => {
  const system = imagine({ programs: { journalctl: { text: 'a password=hunter2\nb\n' } } });
  const outcome = await collectLogs(system, join(folder, 'logs'), id, { since: '2026-01-01T00:00:00Z' });
  const file = join(folder, 'logs', `${id}.log`);
  const kept = readFileSync(file);
  expect(kept.toString()).toBe('a password=[redacted]\nb\n');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(outcome).toEqual({
    status: 'acknowledged',
    detail: {
      file,
      source: 'journal',
      bytes: kept.length,
      sha256: createHash('sha256').update(kept).digest('hex'),
      redactions: 1,
      truncated: false,
    },
  });
  expect(system.ran[0]).toContain('--since=@1767225600');
});

test('without a journal the log files and the kernel are collected under their names', async () => {
  const system = imagine({
    files: { '/var/log/messages': 'm\n' },
    programs: { journalctl: {}, dmesg: { text: 'k\n' } },
  });
  await collectLogs(system, folder, id, {});
  expect(readFileSync(join(folder, `${id}.log`), 'utf8')).toBe('==> /var/log/messages <==\nm\n\n==> dmesg <==\nk\n');
});

test('without a journal the system log is read; without both the command fails', async () => {
  const outcome = await collectLogs(imagine({ files: { '/var/log/syslog': 'x\n' } }), folder, id, {});
  expect(outcome).toMatchObject({
    status: 'acknowledged',
    detail: { source: '/var/log/syslog', bytes: '==> /var/log/syslog <==\nx\n'.length },
  });
  expect(await collectLogs(imagine({}), folder, id, {})).toEqual({ status: 'failed', reason: 'no-readable-log' });
});

test('is bounded, keeps the newest lines, and only the last five collections', async () => {
  const system = imagine({ files: { '/var/log/messages': `${'old line\n'.repeat(1_000)}new\n` } });
  for (let n = 0; n < 7; n += 1)
    await collectLogs(system, folder, `${9 - n}-01J0000000000000000000000${n}`, { maxBytes: 1_024 });
  expect(readdirSync(folder)).toHaveLength(5);
  const newest = readFileSync(join(folder, '3-01J00000000000000000000006.log'), 'utf8');
  expect(newest.length).toBeLessThanOrEqual(1_024);
  expect(newest.startsWith('old line\n')).toBe(true);
  expect(newest.endsWith('new\n')).toBe(true);
});

test('a command id never leads out of the folder', async () => {
  await collectLogs(imagine({ files: { '/var/log/syslog': 'x' } }), join(folder, 'a'), '../../b', {});
  expect(readdirSync(folder)).toEqual(['a']);
});

test('tail cuts at a line, or anywhere in a line that is too long', () => {
  expect(tail('aaa\nbbb\nccc\n', 8).toString()).toBe('ccc\n');
  expect(tail('aaaaaaaaaa', 4).toString()).toBe('aaaa');
  expect(tail('a\n', 10).toString()).toBe('a\n');
});
