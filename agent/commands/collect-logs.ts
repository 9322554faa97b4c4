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
  const source = await read(system, typeof since === 'string' ? Date.parse(since) : Number.NaN);
  if (source === undefined) return { status: 'failed', reason: 'no-readable-log' };
  const { text, count } = redact(source.text);
  const kept = tail(text, limit);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${commandId.replace(/[^A-Za-z0-9-]/g, '_')}.log`);
  writeFileSync(file, kept, { mode: 0o600 });
  prune(folder);
  return {
    status: 'acknowledged',
    detail: {
      file,
      source: source.name,
      bytes: kept.length,
      sha256: createHash('sha256').update(kept).digest('hex'),
      redactions: count,
      truncated: kept.length < Buffer.byteLength(text),
    },
  };
}

async function read(system: System, since: number): Promise<{ name: string; text: string } | undefined> {
  const from = Number.isNaN(since) ? [] : [`--since=@${Math.floor(since / 1_000)}`];
  const journal = await system.run(
    'journalctl',
    ['--no-pager', '--quiet', '--output=short-iso', '--lines=20000', ...from],
    20_000,
  );
  if (journal?.code === 0 && journal.text.trim() !== '') return { name: 'journal', text: journal.text };
  for (const path of ['/var/log/syslog', '/var/log/messages']) {
    const text = system.text(path);
    if (text !== undefined && text !== '') return { name: path, text };
  }
  return undefined;
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
