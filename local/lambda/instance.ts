import { randomUUID } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type {
  FunctionConfiguration,
  LambdaError,
  WorkerInvocation,
  WorkerMessage,
  WorkerStart,
} from './configuration.ts';

/** How long a function may take to load, ms. Lambda gives 10 s; a laptop that starts everything at once is slower. */
const INIT_LIMIT = 30_000;

/** How an invocation ended. */
export type Outcome = { readonly payload: string } | { readonly error: LambdaError };

/** What a worker needs apart from its function's configuration. */
export interface InstanceSettings {
  /** Environment of the process: the template's variables and those of the Lambda runtime. */
  readonly environment: Readonly<Record<string, string>>;
  readonly time: WorkerStart['time'];
  /** Takes what the function prints. */
  print(chunk: string): void;
}

/**
 * One execution environment of a function: a worker thread that has loaded the bundle and answers one invocation at a
 * time. It is used up when an invocation times out, when it is killed, or when the function ends its process.
 */
export class Instance {
  /** The session token of the function's credentials: tells the AWS endpoint which instance is calling. */
  readonly id: string;
  readonly #function: FunctionConfiguration;
  readonly #worker: Worker;
  readonly #ready: Promise<LambdaError | undefined>;
  readonly #print: (chunk: string) => void;
  #finish: ((outcome: Outcome) => void) | undefined;
  #over = false;

  constructor(configuration: FunctionConfiguration, id: string, settings: InstanceSettings) {
    this.id = id;
    this.#function = configuration;
    const start: WorkerStart = { folder: configuration.folder, handler: configuration.handler, time: settings.time };
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: start,
      env: settings.environment,
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdout: true,
      stderr: true,
      // A small young generation: dozens of functions share the memory of one machine.
      resourceLimits: { maxOldGenerationSizeMb: configuration.memoryMegabytes, maxYoungGenerationSizeMb: 8 },
    });
    this.#worker.stdout.on('data', (chunk: Buffer) => settings.print(chunk.toString()));
    this.#worker.stderr.on('data', (chunk: Buffer) => settings.print(chunk.toString()));
    this.#print = settings.print;
    this.#ready = this.#load();
  }

  /** Whether it can take no more invocations. */
  get over(): boolean {
    return this.#over;
  }

  /** Resolves when the function has been loaded, or has failed to. */
  async loaded(): Promise<void> {
    await this.#ready;
  }

  /** Runs one invocation; never rejects. `payload` is JSON text. */
  async invoke(payload: string, requestId: string = randomUUID()): Promise<Outcome> {
    const failure = await this.#ready;
    if (failure !== undefined) {
      this.kill();
      this.#print(`${JSON.stringify({ level: 'ERROR', message: 'Init Error', requestId, ...failure })}\n`);
      return { error: failure };
    }
    if (this.#over) return { error: exited(requestId) };
    const { timeoutSeconds } = this.#function;
    return await new Promise<Outcome>((resolve) => {
      const timer = setTimeout(() => {
        const errorMessage = `RequestId: ${requestId} Error: Task timed out after ${timeoutSeconds.toFixed(2)} seconds`;
        this.#end({ error: { errorType: 'Sandbox.Timedout', errorMessage } });
        this.kill();
      }, timeoutSeconds * 1000);
      this.#finish = (outcome) => {
        clearTimeout(timer);
        // Lambda's runtime logs what a handler throws; so a failure can be found here too.
        if ('error' in outcome) {
          this.#print(`${JSON.stringify({ level: 'ERROR', message: 'Invoke Error', requestId, ...outcome.error })}\n`);
        }
        resolve(outcome);
      };
      const invocation: WorkerInvocation = {
        requestId,
        payload,
        deadline: Date.now() + timeoutSeconds * 1000,
        functionName: this.#function.name,
        functionArn: this.#function.arn,
        memoryMegabytes: this.#function.memoryMegabytes,
      };
      this.#worker.postMessage(invocation);
    });
  }

  /** Ends the thread at once, in the middle of whatever it does, as when a Lambda host dies. */
  kill(): void {
    this.#over = true;
    void this.#worker.terminate();
    this.#end({ error: exited('') });
  }

  /** Ends the thread and waits until it is gone. */
  async stop(): Promise<void> {
    this.#over = true;
    await this.#worker.terminate();
  }

  #end(outcome: Outcome): void {
    const finish = this.#finish;
    this.#finish = undefined;
    finish?.(outcome);
  }

  #load(): Promise<LambdaError | undefined> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        resolve({ errorType: 'Sandbox.Timedout', errorMessage: 'Error: Init phase timed out' });
      }, INIT_LIMIT);
      const settle = (error?: LambdaError) => {
        clearTimeout(timer);
        resolve(error);
      };
      this.#worker.on('message', (message: WorkerMessage) => {
        if (message.kind === 'ready') settle();
        else if (message.kind === 'failed') settle(message.error);
        else this.#end(message.kind === 'result' ? { payload: message.payload } : { error: message.error });
      });
      this.#worker.on('error', (error: Error & { code?: string }) => {
        this.#over = true;
        const errorType = error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'Runtime.OutOfMemory' : 'Runtime.ExitError';
        settle({ errorType, errorMessage: error.message });
        this.#end({ error: { errorType, errorMessage: error.message } });
      });
      this.#worker.on('exit', () => {
        this.#over = true;
        settle(exited(''));
        this.#end({ error: exited('') });
      });
    });
  }
}

function exited(requestId: string): LambdaError {
  const prefix = requestId === '' ? '' : `RequestId: ${requestId} `;
  return { errorType: 'Runtime.ExitError', errorMessage: `${prefix}Error: Runtime exited without providing a reason` };
}
