/** Where an archive lies: objects that are written once and never change. S3 with Object Lock, or memory in tests. */
export interface Archive {
  /** Writes an object unless there is one of this key. Returns whether it did: of several callers one is told true. */
  create(key: string, content: string): Promise<boolean>;
  /** The content, undefined when there is no such object. */
  read(key: string): Promise<string | undefined>;
  /** Keys that begin with `prefix` and sort after `after`, in order, `limit` at most (up to 1000). */
  list(prefix: string, after: string | undefined, limit: number): Promise<readonly ArchivedObject[]>;
}

/** An object of an archive. */
export interface ArchivedObject {
  readonly key: string;
  /** bytes */
  readonly size: number;
}

/** The archive contradicts itself: something that cannot happen unless somebody else writes to it. */
export class ArchiveContradiction extends Error {
  constructor(key: string, what: string) {
    super(`${key}: ${what}`);
    this.name = 'ArchiveContradiction';
  }
}
