import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const repository = resolve(import.meta.dirname, '..', '..');

/** What `npm start` writes to `local.json`. */
export interface Endpoints {
  readonly api: string;
  readonly device: string;
  readonly enroll: string;
  readonly mqtt: string;
  readonly issuer: string;
  readonly awsEndpoint: string;
  /** Path of the CA certificate that all local TLS ends in. */
  readonly ca: string;
}

/** A local cloud in a process of its own, started as a newcomer would start it. */
export interface LocalCloud {
  readonly endpoints: Endpoints;
  /** The state folder; give it to another start to go on where this one ended. */
  readonly data: string;
  /** A folder for the test's own files (keys, certificates). */
  readonly scratch: string;
  /** An access token of a demo user. */
  token(user: string, options?: { mfa?: boolean }): Promise<string>;
  /** Calls the management API; `body` is sent as JSON. */
  api(
    method: string,
    path: string,
    options?: { token?: string; body?: unknown; headers?: Record<string, string> },
  ): Promise<{ status: number; headers: Headers; body: unknown }>;
  /** Everything printed so far. */
  output(): string;
  /** `SIGTERM` by default; resolves when the process is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts `local/main.ts` on free ports and resolves when it prints that it is ready. Rejects with its output when it ends before. */
export async function startLocalCloud(options: { args?: readonly string[]; data?: string } = {}): Promise<LocalCloud> {
  const scratch = mkdtempSync(join(tmpdir(), 'wardline-test-'));
  const data = options.data ?? join(scratch, 'data');
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      join(repository, 'local', 'main.ts'),
      '--port',
      '0',
      '--data',
      data,
      ...(options.args ?? ['--empty']),
    ],
    { cwd: scratch, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  await ready(child, () => printed);
  const endpoints = JSON.parse(readFileSync(join(scratch, '.wardline', 'local.json'), 'utf8')) as Endpoints;
  return {
    endpoints,
    data,
    scratch,
    output: () => printed,
    async token(user, { mfa = false } = {}) {
      const response = await fetch(`${endpoints.issuer}/local/token`, {
        method: 'POST',
        body: new URLSearchParams(mfa ? { user, mfa: 'yes' } : { user }),
      });
      const { access_token: token } = (await response.json()) as { access_token?: string };
      if (token === undefined) throw new Error(`no token for ${user}: ${response.status}`);
      return token;
    },
    async api(method, path, { token, body, headers = {} } = {}) {
      const response = await fetch(`${endpoints.api}${path}`, {
        method,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, headers: response.headers, body: text === '' ? undefined : parse(text) };
    },
    async stop(signal = 'SIGTERM') {
      const gone = new Promise<void>((done) => {
        if (child.exitCode !== null || child.signalCode !== null) done();
        else child.once('exit', () => done());
      });
      child.kill(signal);
      await gone;
      if (options.data === undefined && signal === 'SIGTERM') rmSync(scratch, { recursive: true, force: true });
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function ready(child: ChildProcess, output: () => string): Promise<void> {
  return new Promise((done, fail) => {
    const check = () => {
      if (output().includes('Wardline is ready: ')) {
        child.stdout?.off('data', check);
        child.off('exit', ended);
        done();
      }
    };
    const ended = () => fail(new Error(`The local cloud ended before it was ready:\n${output()}`));
    child.stdout?.on('data', check);
    child.once('exit', ended);
  });
}
