import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Free space that a local cloud needs to begin with, bytes: the cloud assembly with the bundles, and logs. */
const NEEDED = 100 * 1024 * 1024;

/** A folder that the local cloud cannot work in. The message is a sentence that says what to do. */
export class FolderUnusable extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FolderUnusable';
  }
}

/** Makes the folder and throws `FolderUnusable` unless it can be written to and its disk has room. */
export function checkFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    const probe = join(folder, `.probe-${process.pid}`);
    writeFileSync(probe, 'x');
    rmSync(probe);
  } catch (error) {
    throw new FolderUnusable(explain(error, folder) ?? String(error));
  }
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < NEEDED) throw new FolderUnusable(full(folder));
}

/** SQLite's result codes: the disk is full, or could not be written (which is how a file system without room ends, too). */
const SQLITE_FULL = 13;
const SQLITE_IOERR = 10;

/** The sentence for an error of the file system or of the store on it; undefined for any other error. */
export function explain(error: unknown, folder: string): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  const { code } = error;
  if (code === 'ERR_SQLITE_ERROR') {
    const result = 'errcode' in error ? Number(error.errcode) & 0xff : undefined;
    return result === SQLITE_FULL || result === SQLITE_IOERR ? full(folder) : undefined;
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') return full(folder);
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR' || code === 'EEXIST') {
    return `${folder} cannot be written to; make it a writable folder, or run Wardline in another one.`;
  }
  return 'message' in error ? String(error.message) : String(code);
}

function full(folder: string): string {
  return `The disk of ${folder} is full: free at least ${NEEDED / 1024 / 1024} MB, or run Wardline on another disk.`;
}
