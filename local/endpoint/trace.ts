import { createWriteStream, openSync, type WriteStream } from 'node:fs';
import type { Log } from '../cloud.ts';
import { FolderUnusable } from '../runtime/folder.ts';

/** One AWS call, as `--trace` writes it: a JSON object a line. */
export interface TraceEntry {
  /** Wall clock, RFC 3339. */
  readonly time: string;
  /** The function that called; absent for calls of tools. */
  readonly function?: string;
  /** SigV4 signing name, e.g. `dynamodb`. */
  readonly service: string;
  readonly operation: string;
  /** DynamoDB capacity units that the call consumed. */
  readonly units?: number;
  readonly ms: number;
  readonly status: number;
  /** AWS's error code, e.g. `AccessDenied`, or `timeout` and `kill` of the fault plan. */
  readonly error?: string;
  /** Set when the fault plan made the error. */
  readonly injected?: true;
}

/** Takes trace entries. */
export interface Trace {
  record(entry: TraceEntry): void;
  close(): Promise<void>;
}

/**
 * Appends to `file`; writes nothing when there is none. `listener` sees every entry as well. Throws `FolderUnusable` when
 * the file cannot be opened.
 */
export function openTrace(file: string | undefined, log: Log, listener?: (entry: TraceEntry) => void): Trace {
  const stream = file === undefined ? undefined : open(file, log);
  return {
    record: (entry) => {
      listener?.(entry);
      stream?.write(`${JSON.stringify(entry)}\n`);
    },
    close: async () => {
      if (stream !== undefined) await new Promise<void>((resolve) => stream.end(() => resolve()));
    },
  };
}

function open(file: string, log: Log): WriteStream {
  try {
    const stream = createWriteStream(file, { flags: 'a', fd: openSync(file, 'a') });
    stream.on('error', (error) => log.warn(`${file} cannot be written any more: ${error.message}`));
    return stream;
  } catch {
    throw new FolderUnusable(`${file} cannot be written; choose another file with --trace FILE.`);
  }
}
