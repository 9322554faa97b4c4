import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Outcome } from '../machine.ts';
import type { System } from '../report/system.ts';
import { redact } from './redact.ts';

/** Without a limit in the command. */
const DEFAULT_BYTES = 256 * 1024;
/** Whatever the command asks for: a log must not fill the disk of a device. */
const MOST_BYTES = 10 * 1024 * 1024;
/** Older collections are deleted. */
const COLLECTIONS_KEPT = 5;

/**
 * Collects the system's log into `<folder>/<command id>.log`, newest lines kept, redacted, readable by the agent's
 * user alone. It stays on the machine for whoever services it; what is reported is where it is, its size and its SHA-256.
 */
export async function collectLogs(
  system: System,
  folder: string,
  commandId: string,
  parameters: Readonly<Record<string, unknown>>,
): Promise<Outcome> {
  const { since, maxBytes } = parameters;
  const limit =
    typeof maxBytes === 'number' && maxBytes > 0 ? Math.min(Math.floor(maxBytes), MOST_BYTES) : DEFAULT_BYTES;
  const found = await read(system, typeof since === 'string' ? Date.parse(since) : Number.NaN);
  if (found === undefined) return { status: 'failed', reason: 'no-readable-log' };
  const { text, count } = redact(found.text);
  const kept = tail(text, limit);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${commandId.replace(/[^A-Za-z0-9-]/g, '_')}.log`);
  writeFileSync(file, kept, { mode: 0o600 });
  prune(folder);
  return {
    status: 'acknowledged',
    detail: {
      file,
      source: found.source,
      bytes: kept.length,
      sha256: createHash('sha256').update(kept).digest('hex'),
      redactions: count,
      truncated: kept.length < Buffer.byteLength(text),
    },
  };
}

/** Where systems without a journal write. */
const FILES = ['/var/log/syslog', '/var/log/messages', '/var/log/kern.log', '/var/log/daemon.log', '/var/log/dpkg.log'];

/** The journal; on a machine that keeps none the log files and the kernel's messages, each under its name. */
async function read(system: System, since: number): Promise<{ source: string; text: string } | undefined> {
  const from = Number.isNaN(since) ? [] : [`--since=@${Math.floor(since / 1_000)}`];
  const journal = await system.run(
    'journalctl',
    ['--no-pager', '--quiet', '--output=short-iso', '--lines=20000', ...from],
    20_000,
  );
  if (journal?.code === 0 && journal.text.trim() !== '') return { source: 'journal', text: journal.text };
  const kernel = await system.run('dmesg', ['--time-format', 'iso'], 5_000);
  const parts = [
    ...FILES.map((path) => ({ name: path, text: system.end(path) ?? '' })),
    { name: 'dmesg', text: kernel?.code === 0 ? kernel.text : '' },
  ].filter(({ text }) => text.trim() !== '');
  if (parts.length === 0) return undefined;
  return {
    source: parts.map(({ name }) => name).join(', '),
    text: parts.map(({ name, text }) => `==> ${name} <==\n${text}`).join('\n'),
  };
}

/** The last whole lines that fit. */
export function tail(text: string, bytes: number): Buffer {
  const all = Buffer.from(text);
  if (all.length <= bytes) return all;
  const end = all.subarray(all.length - bytes);
  const line = end.indexOf('\n');
  return line === -1 ? end : end.subarray(line + 1);
}

function prune(folder: string): void {
  // Command ids grow with time behind their priority digit.
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.log'))
    .sort((a, b) => (a.slice(2) < b.slice(2) ? 1 : -1));
  for (const name of files.slice(COLLECTIONS_KEPT)) rmSync(join(folder, name), { force: true });
}
