import type { HttpsIdentity } from '../../agent/channel/request.ts';
import { Journal } from '../../agent/commands/journal.ts';
import { connect, type Endpoints } from '../../agent/connect.ts';
import { Credentials } from '../../agent/enrollment/credentials.ts';
import { Loop } from '../../agent/loop.ts';
import type { Time } from '../../agent/time.ts';
import type { DeviceProfile } from './profile.ts';
import { reachabilityAt } from './reachability.ts';
import { seeded } from './seeded.ts';
import { SimulatedMachine } from './simulated-machine.ts';
import type { DeviceMemory, MemoryStore } from './state.ts';

/** What a simulated device needs to live. */
export interface SimulatedDeviceOptions {
  readonly profile: DeviceProfile;
  readonly seed: number;
  readonly time: Time;
  readonly store: MemoryStore;
  /** Base URL of the enrolment host. */
  readonly enroll: string;
  readonly endpoints: Endpoints;
  /** PEM. */
  readonly ca: string;
  /** Told when the server accepted a check-in, and when the connection is gone. */
  readonly onConnected?: (connected: boolean) => void;
  readonly log?: (message: string) => void;
}

/** Somebody holds a new device in their hands for a while: it does not sleep or get lost at once. */
const UNBOXING_MS = 10 * 60_000;

/**
 * One simulated device: it enrols like a real one, then lives the loop of the reference agent with a machine that is
 * simulated. It knows the service only by the public protocol.
 */
export class SimulatedDevice {
  readonly #options: SimulatedDeviceOptions;
  readonly #machine: SimulatedMachine;
  readonly #loop: Loop;
  readonly #off = new AbortController();
  #memory: DeviceMemory;
  #credentials: Credentials | undefined;
  #identity: HttpsIdentity | undefined;
  #session: Buffer | undefined;
  #offlineUntil = 0;
  #awakeUntil = 0;
  #leaving = false;

  constructor(options: SimulatedDeviceOptions) {
    this.#options = options;
    this.#memory = options.store.load();
    const { profile, seed, time } = options;
    this.#credentials = Credentials.load(this.#enrolment());
    if (this.#memory.bootedAt === undefined) {
      const days = 30 * seeded(seed, profile.serial, 'booted')();
      this.#remember({ bootedAt: time.now() - days * 86_400_000 });
    }
    this.#machine = new SimulatedMachine({
      seed,
      profile,
      time,
      memory: () => this.#memory,
      remember: (change) => this.#remember(change),
      changed: () => this.#loop.nudge(),
      reportAll: () => this.#loop.reportAll(),
      offline: async (milliseconds, signal) => {
        this.#offlineUntil = time.now() + milliseconds;
        await this.#loop.disconnect();
        await time.wait(milliseconds, signal);
      },
      rotateCertificate: async (signal) => {
        await this.#renew(signal);
        await this.#loop.disconnect();
      },
      wiped: () => {
        this.#leaving = true;
      },
    });
    const draw = seeded(seed, profile.serial, 'loop', time.now());
    this.#loop = new Loop({
      machine: this.#machine,
      journal: new Journal(this.#memory.journal ?? [], (journal) => this.#remember({ journal })),
      connect: async (onWake, signal) => {
        await this.#reachable(signal);
        const connection = await connect({
          credentials: this.#enrolled(),
          endpoints: options.endpoints,
          prefer: profile.channel,
          ca: options.ca,
          sessions: {
            get: () => this.#session,
            set: (session) => {
              this.#session = session;
            },
          },
          onWake,
          signal,
        });
        this.#identity = connection.identity;
        void connection.channel.closed.then(() => options.onConnected?.(false));
        return connection.channel;
      },
      accepted: () => {
        if (this.#identity !== undefined) this.#credentials?.accepted(this.#identity);
        options.onConnected?.(true);
        if (this.#leaving && this.#unreported() === 0) this.#erase();
      },
      renew: async (signal) => {
        if (time.now() < this.#enrolled().renewalTime) return false;
        try {
          await this.#renew(signal);
          return true;
        } catch (error) {
          options.log?.(`${profile.serial}: ${error instanceof Error ? error.message : String(error)}`);
          return false;
        }
      },
      time,
      log: (message) => options.log?.(`${profile.serial}: ${message}`),
      random: draw,
    });
  }

  /** Whether it has an identity. */
  get isEnrolled(): boolean {
    return this.#credentials !== undefined;
  }

  /** Whether it was erased by command. */
  get isWiped(): boolean {
    return this.#memory.wiped === true;
  }

  /** Enrols with a token; throws `EstError` when refused. */
  async enrol(token: string, signal: AbortSignal): Promise<void> {
    this.#credentials = await Credentials.enrol({ ...this.#enrolment(), url: this.#options.enroll, token, signal });
    this.#awakeUntil = this.#options.time.now() + UNBOXING_MS;
  }

  /** Lives until the signal aborts or the device is erased. */
  async run(stop: AbortSignal): Promise<void> {
    if (this.isWiped) return;
    const signal = AbortSignal.any([stop, this.#off.signal]);
    await Promise.all([this.#loop.run(signal), this.#live(signal)]);
  }

  /** Says what changes by itself: clinical use begins and ends, the network goes and comes back. */
  async #live(signal: AbortSignal): Promise<void> {
    const { time } = this.#options;
    while (!signal.aborted) {
      const { until } = this.#machine.usage();
      const reach = this.#reach();
      await time.wait(Math.max(1_000, Math.min(until, reach.until) - time.now()), signal);
      if (signal.aborted) return;
      if (this.#reach().state !== 'online') await this.#loop.disconnect();
      else if (time.now() >= until) this.#loop.nudge();
    }
  }

  #reach(): { state: string; until: number } {
    const { seed, profile, time } = this.#options;
    const now = time.now();
    if (now < this.#offlineUntil) return { state: 'restarting', until: this.#offlineUntil };
    if (now < this.#awakeUntil) return { state: 'online', until: this.#awakeUntil };
    return reachabilityAt(seed, profile, now);
  }

  async #reachable(signal: AbortSignal): Promise<void> {
    const { time } = this.#options;
    for (let reach = this.#reach(); reach.state !== 'online' && !signal.aborted; reach = this.#reach()) {
      await time.wait(Math.max(100, reach.until - time.now()), signal);
    }
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const { device } = this.#options.endpoints;
    if (device === undefined) throw new Error('no device host is known');
    await this.#enrolled().renew(device, signal);
    // A resumed TLS session would present the old certificate.
    this.#session = undefined;
  }

  #unreported(): number {
    return (this.#memory.journal ?? []).filter(({ result, reported }) => result !== undefined && !reported).length;
  }

  #erase(): void {
    this.#memory = { wiped: true };
    this.#options.store.save(this.#memory);
    this.#off.abort();
  }

  #enrolled(): Credentials {
    if (this.#credentials === undefined) throw new Error(`${this.#options.profile.serial} is not enrolled`);
    return this.#credentials;
  }

  #enrolment() {
    return {
      store: {
        load: () => this.#memory.identity,
        save: (identity: NonNullable<DeviceMemory['identity']>) => this.#remember({ identity }),
      },
      serial: this.#options.profile.serial,
      ca: this.#options.ca,
    };
  }

  #remember(change: Partial<DeviceMemory>): void {
    this.#memory = { ...this.#memory, ...change };
    this.#options.store.save(this.#memory);
  }
}
