import { createHash } from 'node:crypto';
import { backoff } from './backoff.ts';
import type { Channel, OnWake } from './channel/channel.ts';
import {
  type CheckIn,
  CheckInRefused,
  type CheckInReply,
  type CommandResult,
  type DeliveredCommand,
} from './channel/messages.ts';
import type { Journal } from './commands/journal.ts';
import type { Facts, Machine, Outcome } from './machine.ts';
import { Bell, type Time } from './time.ts';

/** What the loop is made of. */
export interface LoopParts {
  readonly machine: Machine;
  readonly journal: Journal;
  /** Opens a channel; `onWake` is to be called when the server says that there is something to fetch. */
  readonly connect: (onWake: OnWake, signal: AbortSignal) => Promise<Channel>;
  /** Called between check-ins; says whether the identity was renewed, so that the loop connects with the new one. */
  readonly renew?: (signal: AbortSignal) => Promise<boolean>;
  /** Called after each check-in that the server accepted. */
  readonly accepted?: () => void;
  readonly time: Time;
  readonly log: (message: string) => void;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** Inventory is sent again after this time even when nothing changed. */
const INVENTORY_EVERY_MS = 24 * 3_600_000;

/** More results than this wait for the next check-in, so that a message stays small. */
const RESULTS_PER_CHECK_IN = 10;

/**
 * The life of an enrolled device: check in, take commands, carry them out one after the other, report, wait until the
 * next check-in is due, the server wakes it, or something changed. Nothing is lost when a reply, the network or the
 * machine goes away in between: results stay in the journal until the server has taken them.
 */
export class Loop {
  readonly #parts: LoopParts;
  readonly #bell = new Bell();
  #channel: Channel | undefined;
  #sent: { inventory?: string; inventoryAt: number; posture?: string } = { inventoryAt: 0 };
  #fullReport = true;
  /** The newest wake-up that no accepted check-in has named yet. */
  #wake: number | undefined;
  #queue: Promise<void> = Promise.resolve();
  readonly #running = new Set<string>();
  /** Replies in a row that asked for commands which are done: the server may see its own news late, so do not rush it. */
  #askedAgain = 0;
  /** Server's clock minus ours. */
  #clockOffset = 0;

  constructor(parts: LoopParts) {
    this.#parts = parts;
  }

  /** Check in soon: something on the machine has changed. */
  nudge(): void {
    this.#bell.ring();
  }

  /** Include inventory and posture in the next check-in even if they did not change. */
  reportAll(): void {
    this.#fullReport = true;
  }

  /** Drops the connection, e.g. because the identity changed; the loop connects again at once. */
  async disconnect(): Promise<void> {
    await this.#channel?.close();
  }

  /** One check-in on a fresh channel, the commands that it brought, and a second one if these have results. */
  async once(signal: AbortSignal): Promise<void> {
    this.#resume();
    const channel = await this.#parts.connect(() => undefined, signal);
    try {
      await this.#checkIn(channel, signal);
      await this.#queue;
      while (this.#parts.journal.unreported().length > 0 && !signal.aborted) await this.#checkIn(channel, signal);
    } finally {
      await channel.close();
    }
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { time, log, random } = this.#parts;
    this.#resume();
    let failures = 0;
    while (!signal.aborted) {
      try {
        const channel = await this.#parts.connect((n) => this.#woken(n), signal);
        this.#channel = channel;
        try {
          await this.#serve(channel, signal, () => {
            failures = 0;
          });
        } finally {
          this.#channel = undefined;
          await channel.close();
        }
      } catch (error) {
        if (signal.aborted) break;
        failures += 1;
        const pause = pauseAfter(error, failures, random());
        log(`${error instanceof Error ? error.message : String(error)}; trying again in ${Math.ceil(pause / 1_000)} s`);
        await time.wait(pause, signal);
      }
    }
    await this.#queue;
  }

  #woken(n: number | undefined): void {
    if (n !== undefined) this.#wake = Math.max(n, this.#wake ?? 0);
    this.#bell.ring();
  }

  async #serve(channel: Channel, signal: AbortSignal, succeeded: () => void): Promise<void> {
    const gone = new AbortController();
    const either = AbortSignal.any([signal, gone.signal]);
    void channel.closed.then(() => gone.abort());
    while (!either.aborted) {
      const seconds = await this.#checkIn(channel, signal);
      succeeded();
      if (await this.#parts.renew?.(signal)) return;
      const { random, journal } = this.#parts;
      const owed = journal.unreported().length > 0;
      if (owed && this.#askedAgain === 0) continue;
      // A tenth earlier or later, so that devices which started together drift apart.
      const regular = seconds * 1_000 * (0.9 + 0.2 * random());
      const pause = owed ? backoff(this.#askedAgain, random()) : Math.min(regular, this.#untilDeferred());
      const enough = new AbortController();
      const until = AbortSignal.any([either, enough.signal]);
      await Promise.race([this.#parts.time.wait(pause, until), this.#bell.heard(until)]);
      enough.abort();
    }
  }

  /** Milliseconds until the first deferred command may be asked for again. */
  #untilDeferred(): number {
    const { journal, time } = this.#parts;
    const now = time.now();
    const times = journal.deferredUntil().filter((until) => until > now);
    return Math.min(...times) - now + 1_000;
  }

  /** Returns the seconds until the next check-in. */
  async #checkIn(channel: Channel, signal: AbortSignal): Promise<number> {
    const { message, commit } = await this.#message();
    let reply: CheckInReply;
    try {
      reply = await channel.checkIn(message);
    } catch (error) {
      // A report that is too large must not hold back results and commands; it is sent again when it has changed.
      const large = message.inventory !== undefined || message.posture !== undefined;
      if (large && error instanceof CheckInRefused && error.status === 413) {
        this.#parts.log(error.message);
        commit({ resultsTaken: false });
        return 1;
      }
      throw error;
    }
    commit({ resultsTaken: true });
    this.#clockOffset = reply.serverTime - this.#parts.time.now();
    this.#parts.accepted?.();
    if (reply.desiredVersion !== undefined && reply.desired !== undefined) {
      this.#parts.machine.desire?.(reply.desiredVersion, reply.desired);
    }
    const again = reply.commands.filter((command) => this.#take(command, signal) === 'done');
    this.#askedAgain = again.length === 0 ? 0 : this.#askedAgain + 1;
    return reply.nextCheckInSeconds;
  }

  async #message(): Promise<{ message: CheckIn; commit: (taken: { resultsTaken: boolean }) => void }> {
    const { machine, journal, time } = this.#parts;
    const now = time.now();
    const [inventory, posture] = await Promise.all([machine.inventory(), machine.posture()]);
    const inventoryHash = hash(inventory);
    const postureHash = hash(posture);
    const full = this.#fullReport;
    const withInventory =
      full || inventoryHash !== this.#sent.inventory || now - this.#sent.inventoryAt > INVENTORY_EVERY_MS;
    const withPosture = full || postureHash !== this.#sent.posture;
    const clinical = machine.clinical?.();
    const desiredVersion = machine.desiredVersion?.();
    const wake = this.#wake;
    const results = journal.unreported().slice(0, RESULTS_PER_CHECK_IN);
    this.#fullReport = false;
    return {
      message: {
        at: new Date(now).toISOString(),
        ...(withInventory ? { inventory } : {}),
        ...(withPosture ? { posture } : {}),
        ...(clinical === undefined
          ? {}
          : { clinical: { state: clinical.state, at: new Date(clinical.at).toISOString() } }),
        ...(desiredVersion === undefined ? {} : { desiredVersion }),
        ...(results.length === 0 ? {} : { results: [...results] }),
        ...(wake === undefined ? {} : { wake }),
      },
      commit: ({ resultsTaken }) => {
        if (withInventory) {
          this.#sent.inventory = inventoryHash;
          this.#sent.inventoryAt = now;
        }
        if (withPosture) this.#sent.posture = postureHash;
        if (wake === this.#wake) this.#wake = undefined;
        if (resultsTaken) journal.reported(results);
      },
    };
  }

  #take(command: DeliveredCommand, signal: AbortSignal): 'taken' | 'left' | 'done' {
    const { journal, time } = this.#parts;
    const now = time.now() + this.#clockOffset;
    if (this.#running.has(command.id)) return 'left';
    const entry = journal.get(command.id);
    if (entry?.result !== undefined && entry.result.status !== 'deferred') {
      journal.askedAgain(command.id);
      return 'done';
    }
    // By our own clock, because it was we who named the time.
    if (entry?.result?.until !== undefined && Date.parse(entry.result.until) > time.now()) return 'left';
    // The server says `expired` by itself; a device whose clock or network lagged must not act on an old order.
    if (command.expiresAt <= now) return 'left';
    journal.begin(command, now);
    this.#enqueue(command, signal);
    return 'taken';
  }

  #enqueue(command: DeliveredCommand, signal: AbortSignal): void {
    this.#running.add(command.id);
    this.#queue = this.#queue.then(async () => {
      if (signal.aborted) return;
      const { machine, journal, log } = this.#parts;
      log(`${command.type} ${command.id}`);
      let outcome: Outcome;
      try {
        outcome = await machine.carryOut(command, signal);
      } catch (error) {
        if (signal.aborted) return;
        outcome = { status: 'failed', reason: 'error', detail: { message: String(error).slice(0, 500) } };
      }
      journal.finish(resultOf(command.id, outcome));
      this.#running.delete(command.id);
      log(`${command.type} ${command.id}: ${outcome.status}${'reason' in outcome ? ` (${outcome.reason})` : ''}`);
      this.#bell.ring();
    });
  }

  /** What the last run left half done: taken on anew where that does no harm, else reported as it is. */
  #resume(): void {
    const { machine, journal } = this.#parts;
    for (const { id, type } of journal.unfinished()) {
      if (machine.repeatable(type)) journal.drop(id);
      else journal.finish(resultOf(id, { status: 'failed', reason: 'interrupted' }));
    }
  }
}

/** A device that the server does not accept asks seldom; somebody has to enrol or repair it first. */
function pauseAfter(error: unknown, failures: number, random: number): number {
  if (!(error instanceof CheckInRefused)) return backoff(failures, random);
  const unwelcome = error.status === 401 || error.status === 403;
  return (error.retryAfterSeconds ?? 0) * 1_000 + backoff(failures, random, unwelcome ? { longestMs: 3_600_000 } : {});
}

function resultOf(commandId: string, outcome: Outcome): CommandResult {
  if (outcome.status === 'deferred') {
    return { commandId, status: 'deferred', reason: outcome.reason, until: new Date(outcome.until).toISOString() };
  }
  return {
    commandId,
    status: outcome.status,
    ...(outcome.status === 'failed' ? { reason: outcome.reason } : {}),
    ...(outcome.detail === undefined ? {} : { detail: outcome.detail }),
  };
}

/** Equal for equal facts, whatever the order of their members. */
function hash(facts: Facts): string {
  return createHash('sha256').update(canonical(facts)).digest('base64url');
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`)
      .join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}
