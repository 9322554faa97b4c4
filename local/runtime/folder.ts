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
    throw new FolderUnusable(explain(error, folder));
  }
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < NEEDED) throw new FolderUnusable(full(folder));
}

/** The sentence for an error of the file system; the error's own message when there is none. */
export function explain(error: unknown, folder: string): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') return full(folder);
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR' || code === 'EEXIST') {
    return `${folder} cannot be written to; make it a writable folder, or run Wardline in another one.`;
  }
  return error instanceof Error ? error.message : String(error);
}

function full(folder: string): string {
  return `The disk of ${folder} is full: free at least ${NEEDED / 1024 / 1024} MB, or run Wardline on another disk.`;
}
