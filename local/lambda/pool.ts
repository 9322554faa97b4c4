import { randomUUID } from 'node:crypto';
import { AwsError } from '../cloud.ts';
import type { FunctionConfiguration } from './configuration.ts';
import { Instance, type InstanceSettings, type Outcome } from './instance.ts';

/** How many instances of one function run at a time on this machine, whatever the account would allow. */
const LOCAL_INSTANCES = 4;

/** Instances beyond the first end after this time without work, ms. */
const IDLE_LIMIT = 60_000;

interface Waiting {
  run(instance: Instance): void;
}

/**
 * The instances of one function. Invocations beyond the local number wait for their turn; those beyond the function's
 * reserved concurrency are throttled, as Lambda does.
 */
export class Pool {
  readonly configuration: FunctionConfiguration;
  readonly #settings: (instanceId: string) => InstanceSettings;
  readonly #instances = new Set<Instance>();
  readonly #idle: Instance[] = [];
  readonly #waiting: Waiting[] = [];
  readonly #retirements = new Map<Instance, NodeJS.Timeout>();
  #active = 0;
  #stopped = false;

  constructor(configuration: FunctionConfiguration, settings: (instanceId: string) => InstanceSettings) {
    this.configuration = configuration;
    this.#settings = settings;
  }

  /** Whether one more invocation would be throttled. */
  get full(): boolean {
    const reserved = this.configuration.reservedConcurrency;
    return reserved !== undefined && this.#active >= reserved;
  }

  /** Runs one invocation. Throws `AwsError` TooManyRequestsException (429) when reserved concurrency is used up. */
  async invoke(payload: string): Promise<Outcome> {
    if (this.#stopped) throw new AwsError('ServiceException', 'The local cloud is stopping.', 500);
    if (this.full) throw new AwsError('TooManyRequestsException', 'Rate Exceeded.', 429);
    this.#active += 1;
    const instance = await this.#acquire();
    try {
      return await instance.invoke(payload);
    } finally {
      this.#active -= 1;
      this.#release(instance);
    }
  }

  /** Loads the function before it is first invoked; resolves when it is loaded. */
  async warm(): Promise<void> {
    if (this.#instances.size > 0 || this.#stopped) return;
    const instance = this.#add();
    this.#release(instance);
    await instance.loaded();
  }

  /** The instance with this id, if it still lives. */
  find(instanceId: string): Instance | undefined {
    for (const instance of this.#instances) if (instance.id === instanceId) return instance;
    return undefined;
  }

  /** Ends all instances. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#retirements.values()) clearTimeout(timer);
    await Promise.all([...this.#instances].map((instance) => instance.stop()));
    this.#instances.clear();
  }

  #acquire(): Promise<Instance> | Instance {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      clearTimeout(this.#retirements.get(idle));
      this.#retirements.delete(idle);
      if (!idle.over) return idle;
      this.#instances.delete(idle);
    }
    if (this.#instances.size < LOCAL_INSTANCES) return this.#add();
    return new Promise((resolve) => this.#waiting.push({ run: resolve }));
  }

  #add(): Instance {
    const id = randomUUID();
    const instance = new Instance(this.configuration, id, this.#settings(id));
    this.#instances.add(instance);
    return instance;
  }

  #release(instance: Instance): void {
    if (instance.over) this.#instances.delete(instance);
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next.run(instance.over ? this.#add() : instance);
      return;
    }
    if (instance.over) return;
    this.#idle.push(instance);
    const timer = setTimeout(() => this.#retire(instance), IDLE_LIMIT);
    timer.unref();
    this.#retirements.set(instance, timer);
  }

  #retire(instance: Instance): void {
    this.#retirements.delete(instance);
    const position = this.#idle.indexOf(instance);
    if (position === -1 || this.#instances.size === 1) return;
    this.#idle.splice(position, 1);
    this.#instances.delete(instance);
    void instance.stop();
  }
}
