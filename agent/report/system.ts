import { execFile } from 'node:child_process';
import { closeSync, fstatSync, openSync, readdirSync, readlinkSync, readSync, realpathSync, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

/** What a program printed. */
export interface ProgramOutput {
  readonly code: number;
  readonly text: string;
}

/**
 * The machine as the reports see it. Everything that reads files or runs programs passes here, so that the reports
 * can be tested against machines that do not exist. What is missing or forbidden is undefined, never an exception.
 */
export interface System {
  /** A file's text, at most the first megabyte. */
  text(path: string): string | undefined;
  /** The end of a file's text, at most the last megabyte. */
  end(path: string): string | undefined;
  bytes(path: string): Buffer | undefined;
  /** Names in a folder. */
  list(path: string): string[] | undefined;
  /** The path with all links followed. */
  real(path: string): string | undefined;
  /** Where a link points, as written. */
  link(path: string): string | undefined;
  /** When a file was last changed, milliseconds since the epoch. */
  changed(path: string): number | undefined;
  /** Runs a program without a shell, in the C locale; undefined when it is not there or takes too long. */
  run(program: string, args: readonly string[], timeoutMs: number, input?: string): Promise<ProgramOutput | undefined>;
  addresses(): ReturnType<typeof networkInterfaces>;
}

const LONGEST_TEXT = 1024 * 1024;
const CHUNK = 16 * 1024;

/** The machine that this program runs on. */
export const thisSystem: System = {
  text: (path) => attempt(() => readPart(path, 'begin').toString('utf8')),
  end: (path) => attempt(() => readPart(path, 'end').toString('utf8')),
  bytes: (path) => attempt(() => readPart(path, 'begin')),
  list: (path) => attempt(() => readdirSync(path).sort()),
  real: (path) => attempt(() => realpathSync(path)),
  link: (path) => attempt(() => readlinkSync(path)),
  changed: (path) => attempt(() => statSync(path).mtimeMs),
  run: (program, args, timeoutMs, input) =>
    new Promise((resolve) => {
      const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', HOME: '/nonexistent' };
      const child = execFile(
        program,
        [...args],
        { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 8 * LONGEST_TEXT, env: environment },
        (error, stdout) => {
          if (error === null) resolve({ code: 0, text: stdout });
          else if (typeof error.code === 'number') resolve({ code: error.code, text: stdout });
          else resolve(undefined);
        },
      );
      // A program that is not there, or that does not read, closes the pipe; its exit says the rest.
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input ?? '');
    }),
  addresses: networkInterfaces,
};

/** Reads until the end of the file, because those of the kernel do not say how long they are. */
function readPart(path: string, part: 'begin' | 'end'): Buffer {
  const descriptor = openSync(path, 'r');
  try {
    const start = part === 'end' ? Math.max(0, fstatSync(descriptor).size - LONGEST_TEXT) : 0;
    const chunks: Buffer[] = [];
    for (let length = 0; length < LONGEST_TEXT; ) {
      const chunk = Buffer.alloc(Math.min(CHUNK, LONGEST_TEXT - length));
      const read = readSync(descriptor, chunk, 0, chunk.length, start === 0 ? null : start + length);
      if (read === 0) break;
      chunks.push(chunk.subarray(0, read));
      length += read;
    }
    return Buffer.concat(chunks);
  } finally {
    closeSync(descriptor);
  }
}

/** What a file system refuses is something that the agent does not know. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
