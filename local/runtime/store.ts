import { createRequire } from 'node:module';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Store } from '../cloud.ts';

/** The data folder is held by another local cloud that is running. */
export class StoreInUse extends Error {
  constructor(file: string) {
    super(`${file} is in use by another local cloud; stop it, or choose another folder with --data DIR.`);
    this.name = 'StoreInUse';
  }
}

/** A `Store` that can be closed. */
export interface ClosableStore extends Store {
  close(): void;
}

/**
 * Opens the store in `file`, or in memory when there is none. The file is locked for this process; the operating system
 * gives the lock back when the process ends, however it ends. Throws `StoreInUse`.
 */
export function openStore(file?: string): ClosableStore {
  const database = openDatabase(file ?? ':memory:');
  try {
    // The write-ahead log survives the death of the process at any moment; only a power cut could take the last entries.
    database.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      CREATE TABLE IF NOT EXISTS entry (space TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (space, key)) WITHOUT ROWID;
      BEGIN EXCLUSIVE; COMMIT;
    `);
  } catch (error) {
    database.close();
    if (/locked|busy/i.test(String(error))) throw new StoreInUse(file ?? ':memory:');
    throw error;
  }
  return new SqliteStore(database);
}

class SqliteStore implements ClosableStore {
  readonly #database: DatabaseSync;
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #list: StatementSync;
  #depth = 0;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#get = database.prepare('SELECT value FROM entry WHERE space = ? AND key = ?');
    this.#put = database.prepare(
      'INSERT INTO entry (space, key, value) VALUES (?, ?, ?) ON CONFLICT (space, key) DO UPDATE SET value = excluded.value',
    );
    this.#delete = database.prepare('DELETE FROM entry WHERE space = ? AND key = ?');
    this.#list = database.prepare('SELECT key, value FROM entry WHERE space = ? AND key >= ? AND key < ? ORDER BY key');
  }

  get<T>(space: string, key: string): T | undefined {
    const row = this.#get.get(space, key);
    return row === undefined ? undefined : (JSON.parse(String(row['value'])) as T);
  }

  put(space: string, key: string, value: unknown): void {
    this.#put.run(space, key, JSON.stringify(value));
  }

  delete(space: string, key: string): void {
    this.#delete.run(space, key);
  }

  list<T>(space: string, prefix = ''): { key: string; value: T }[] {
    // U+10FFFF sorts after every other character in UTF-8, so this is the end of the prefix.
    const rows = this.#list.all(space, prefix, `${prefix}\u{10FFFF}`);
    return rows.map((row) => ({ key: String(row['key']), value: JSON.parse(String(row['value'])) as T }));
  }

  transaction<T>(run: () => T): T {
    const savepoint = `level${this.#depth}`;
    this.#database.exec(`SAVEPOINT ${savepoint}`);
    this.#depth += 1;
    try {
      const result = run();
      this.#database.exec(`RELEASE ${savepoint}`);
      return result;
    } catch (error) {
      this.#database.exec(`ROLLBACK TO ${savepoint}`);
      this.#database.exec(`RELEASE ${savepoint}`);
      throw error;
    } finally {
      this.#depth -= 1;
    }
  }

  close(): void {
    this.#database.close();
  }
}

/** Loads `node:sqlite` without its "experimental" warning: the version of Node.js is pinned, so its interface does not move. */
function openDatabase(path: string): DatabaseSync {
  const warn = process.emitWarning;
  process.emitWarning = () => undefined;
  try {
    const sqlite = createRequire(import.meta.url)('node:sqlite') as typeof import('node:sqlite');
    return new sqlite.DatabaseSync(path);
  } finally {
    process.emitWarning = warn;
  }
}
