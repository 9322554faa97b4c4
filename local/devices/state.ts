import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JournalEntry } from '../../agent/commands/journal.ts';
import type { StoredIdentity } from '../../agent/enrollment/credentials.ts';

/** What a simulated device remembers, like the flash of a real one. */
export interface DeviceMemory {
  readonly identity?: StoredIdentity;
  readonly journal?: readonly JournalEntry[];
  readonly osVersion?: string;
  /** What was installed over the factory's, apart from the operating system, by `thingOf`. */
  readonly installed?: Readonly<Record<string, string>>;
  /** What was downloaded and not activated yet: the SHA-256 of each by `thingOf` and version. */
  readonly staged?: Readonly<Record<string, string>>;
  /** What ran before the last update of each thing; null = what the factory installed. */
  readonly before?: Readonly<Record<string, string | null>>;
  /** Milliseconds since the epoch. */
  readonly bootedAt?: number;
  readonly lockedAt?: number;
  readonly desiredVersion?: number;
  /** Erased by command: it stays in its box until somebody enrols it anew. */
  readonly wiped?: true;
}

/** Keeps the memory of one device. */
export interface MemoryStore {
  load(): DeviceMemory;
  save(memory: DeviceMemory): void;
}

/** Forgets everything when the program ends. */
export function volatileMemory(): MemoryStore {
  let kept: DeviceMemory = {};
  return {
    load: () => kept,
    save: (memory) => {
      kept = memory;
    },
  };
}

/** One file a device, `<folder>/<serial>.json`, replaced whole. It holds the private key, so only its owner may read it. */
export function fileMemory(folder: string, serial: string): MemoryStore {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${serial.replace(/[^A-Za-z0-9.-]/g, '_')}.json`);
  return {
    load: () => (existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as DeviceMemory) : {}),
    save: (memory) => {
      writeFileSync(`${file}.new`, JSON.stringify(memory), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    },
  };
}
