import { createHash, randomUUID } from 'node:crypto';
import { AwsError, type Clock, type Store } from '../../cloud.ts';
import { Heap } from './heap.ts';
import type { Message, OutgoingMessage } from './message.ts';

/** The attributes of a queue that have an effect; times in seconds. */
export interface QueueSettings {
  readonly name: string;
  readonly arn: string;
  readonly url: string;
  readonly fifo: boolean;
  readonly contentBasedDeduplication: boolean;
  readonly delaySeconds: number;
  readonly visibilityTimeout: number;
  readonly retentionSeconds: number;
  readonly waitSeconds: number;
  /** bytes */
  readonly maximumSize: number;
  readonly redrive?: { readonly targetArn: string; readonly maximumReceives: number };
  /** As the template says it: id, ARN or alias. */
  readonly keyName?: string;
}

/** How long a FIFO queue remembers a deduplication id, ms. */
const DEDUPLICATION_WINDOW = 5 * 60_000;

/** A deduplication id that was seen. */
interface Seen {
  readonly until: number;
  readonly messageId: string;
  readonly sequence: number;
}

/** A receive's or a redrive's view of a queue's messages. */
export interface Received {
  readonly message: Message;
  readonly receiptHandle: string;
}

const paddedSequence = (sequence: number): string => String(sequence).padStart(20, '0');

/**
 * One queue: its messages in memory in the order in which they can be received, each also in the store. Sending, receiving
 * and deleting are in the store when they return.
 */
export class Queue {
  settings: QueueSettings;
  readonly #clock: Clock;
  readonly #store: Store;
  readonly #space: string;
  readonly #seenSpace: string;
  readonly #messages = new Map<number, Message>();
  /** Standard queue: what can be received, in order; entries may be stale, `#messages` decides. */
  #ready: number[] = [];
  #readyAt = 0;
  /** Standard queue: what can be received later, by time. */
  readonly #later = new Heap<number>();
  /** FIFO queue: the sequences of each group, oldest first. */
  readonly #groups = new Map<string, number[]>();
  #lastSequence = 0;
  #nextForgetting = 0;
  readonly #waiting = new Set<() => void>();
  #cancelWake: (() => void) | undefined;
  readonly #findQueue: (arn: string) => Queue | undefined;

  constructor(settings: QueueSettings, clock: Clock, store: Store, findQueue: (arn: string) => Queue | undefined) {
    this.settings = settings;
    this.#clock = clock;
    this.#store = store;
    this.#findQueue = findQueue;
    this.#space = `sqs/message/${settings.name}`;
    this.#seenSpace = `sqs/seen/${settings.name}`;
    for (const { value } of store.list<Message>(this.#space)) {
      this.#lastSequence = Math.max(this.#lastSequence, value.sequence);
      // Whoever held a message before the restart is gone.
      const { receipt, ...free } = value;
      this.#add(receipt === undefined ? value : { ...free, visibleAt: clock.now() });
    }
  }

  /** Sends; the same deduplication id within five minutes gives the first message's ids and sends nothing. */
  send(outgoing: OutgoingMessage): { readonly messageId: string; readonly sequence: number } {
    const { settings } = this;
    const now = this.#clock.now();
    const size = Buffer.byteLength(outgoing.body);
    if (size < 1) throw new AwsError('InvalidParameterValue', 'The message body must not be empty');
    if (size > settings.maximumSize) {
      throw new AwsError(
        'InvalidParameterValue',
        `The message has ${size} bytes, the queue takes at most ${settings.maximumSize}`,
      );
    }
    const deduplicationId = this.#deduplicationId(outgoing);
    if (deduplicationId !== undefined) {
      const seen = this.#store.get<Seen>(this.#seenSpace, deduplicationId);
      if (seen !== undefined && seen.until > now) return { messageId: seen.messageId, sequence: seen.sequence };
    }
    const delay = outgoing.delaySeconds ?? settings.delaySeconds;
    const message: Message = {
      id: randomUUID(),
      sequence: this.#nextSequence(),
      body: outgoing.body,
      attributes: outgoing.attributes ?? {},
      senderId: outgoing.senderId,
      sentAt: now,
      visibleAt: now + delay * 1000,
      receiveCount: 0,
      ...(outgoing.group === undefined ? {} : { group: outgoing.group }),
      ...(deduplicationId === undefined ? {} : { deduplicationId }),
    };
    this.#store.transaction(() => {
      this.#save(message);
      if (deduplicationId !== undefined) {
        const seen: Seen = { until: now + DEDUPLICATION_WINDOW, messageId: message.id, sequence: message.sequence };
        this.#store.put(this.#seenSpace, deduplicationId, seen);
        this.#forgetSeen(now);
      }
    });
    this.#add(message);
    this.#wake();
    return { messageId: message.id, sequence: message.sequence };
  }

  /** Takes up to `limit` messages and hides them for `visibilitySeconds` (undefined: the queue's). Never waits. */
  receive(limit: number, visibilitySeconds?: number): Received[] {
    const now = this.#clock.now();
    const hiddenUntil = now + (visibilitySeconds ?? this.settings.visibilityTimeout) * 1000;
    const received: Received[] = [];
    const taken: Message[] = [];
    this.#store.transaction(() => {
      for (const message of this.settings.fifo ? this.#fifoCandidates(now) : this.#standardCandidates(now)) {
        if (received.length >= limit) break;
        if (message.sentAt + this.settings.retentionSeconds * 1000 <= now) {
          this.#remove(message);
          continue;
        }
        if (message.receiveCount >= (this.settings.redrive?.maximumReceives ?? Number.POSITIVE_INFINITY)) {
          this.#toDeadLetterQueue(message);
          continue;
        }
        message.receiveCount += 1;
        message.firstReceivedAt ??= now;
        message.receipt = randomUUID();
        message.visibleAt = hiddenUntil;
        this.#save(message);
        taken.push(message);
        received.push({ message: { ...message }, receiptHandle: this.#handle(message, message.receipt) });
      }
    });
    for (const message of taken) this.#place(message);
    this.#scheduleWake();
    return received;
  }

  /** Deletes the message of a receipt handle; an outdated handle deletes nothing. */
  delete(receiptHandle: string): void {
    const message = this.#held(receiptHandle);
    if (message !== undefined) {
      this.#remove(message);
      this.#wake();
    }
  }

  /** Hides a received message for `seconds` from now on (0 shows it at once). */
  changeVisibility(receiptHandle: string, seconds: number): void {
    const message = this.#held(receiptHandle);
    const now = this.#clock.now();
    if (message === undefined || message.visibleAt <= now) {
      throw new AwsError('MessageNotInflight', 'The message referred to is not in flight');
    }
    message.visibleAt = now + seconds * 1000;
    if (seconds === 0) delete message.receipt;
    this.#save(message);
    this.#place(message);
    this.#wake();
  }

  /** Resolves when there may be something to receive, at cloud time `until`, or when `signal` aborts. */
  wait(until: number, signal?: AbortSignal): Promise<void> {
    if (this.#available(this.#clock.now()) || signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal?.removeEventListener('abort', done);
        cancel();
        resolve();
      };
      const cancel = Number.isFinite(until) ? this.#clock.at(until, done) : () => undefined;
      this.#waiting.add(done);
      signal?.addEventListener('abort', done, { once: true });
      this.#scheduleWake();
    });
  }

  /** The counts that `GetQueueAttributes` gives. */
  counts(): { readonly visible: number; readonly inFlight: number; readonly delayed: number } {
    const now = this.#clock.now();
    let [visible, inFlight, delayed] = [0, 0, 0];
    for (const message of this.#messages.values()) {
      if (message.visibleAt <= now) visible += 1;
      else if (message.receipt === undefined) delayed += 1;
      else inFlight += 1;
    }
    return { visible, inFlight, delayed };
  }

  /** Ends waiting and timers. */
  close(): void {
    this.#cancelWake?.();
    for (const done of [...this.#waiting]) done();
  }

  #deduplicationId(outgoing: OutgoingMessage): string | undefined {
    const { settings } = this;
    if (!settings.fifo) {
      if (outgoing.deduplicationId !== undefined) {
        throw new AwsError('InvalidParameterValue', 'MessageDeduplicationId is for FIFO queues only');
      }
      return undefined;
    }
    if (outgoing.group === undefined) {
      throw new AwsError('MissingParameter', 'The request must contain the parameter MessageGroupId.');
    }
    if (outgoing.delaySeconds !== undefined && outgoing.delaySeconds !== settings.delaySeconds) {
      throw new AwsError('InvalidParameterValue', 'DelaySeconds of a message is not valid for a FIFO queue');
    }
    if (outgoing.deduplicationId !== undefined) return outgoing.deduplicationId;
    if (!settings.contentBasedDeduplication) {
      throw new AwsError(
        'InvalidParameterValue',
        'The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly',
      );
    }
    return createHash('sha256').update(outgoing.body).digest('hex');
  }

  #nextSequence(): number {
    // Time first, so that a sequence is never used again after a restart with an empty queue.
    this.#lastSequence = Math.max(this.#lastSequence + 1, Math.floor(this.#clock.now() * 1000));
    return this.#lastSequence;
  }

  #forgetSeen(now: number): void {
    if (now < this.#nextForgetting) return;
    this.#nextForgetting = now + DEDUPLICATION_WINDOW;
    for (const { key, value } of this.#store.list<Seen>(this.#seenSpace)) {
      if (value.until <= now) this.#store.delete(this.#seenSpace, key);
    }
  }

  #save(message: Message): void {
    this.#store.put(this.#space, paddedSequence(message.sequence), message);
  }

  #add(message: Message): void {
    this.#messages.set(message.sequence, message);
    if (this.settings.fifo) {
      const group = message.group ?? '';
      const sequences = this.#groups.get(group) ?? [];
      sequences.push(message.sequence);
      this.#groups.set(group, sequences);
    } else {
      this.#place(message);
    }
  }

  /** Puts a message of a standard queue where `receive` finds it when its time has come. */
  #place(message: Message): void {
    if (this.settings.fifo) return;
    if (message.visibleAt <= this.#clock.now()) this.#ready.push(message.sequence);
    else this.#later.push(message.visibleAt, message.sequence);
  }

  #remove(message: Message): void {
    this.#messages.delete(message.sequence);
    this.#store.delete(this.#space, paddedSequence(message.sequence));
    if (!this.settings.fifo) return;
    const group = message.group ?? '';
    const left = (this.#groups.get(group) ?? []).filter((sequence) => sequence !== message.sequence);
    if (left.length === 0) this.#groups.delete(group);
    else this.#groups.set(group, left);
  }

  #promote(now: number): void {
    while ((this.#later.next ?? Number.POSITIVE_INFINITY) <= now) {
      const sequence = this.#later.pop();
      if (sequence !== undefined) this.#ready.push(sequence);
    }
  }

  *#standardCandidates(now: number): Generator<Message> {
    this.#promote(now);
    while (this.#readyAt < this.#ready.length) {
      const message = this.#messages.get(this.#ready[this.#readyAt] ?? -1);
      // A message may be listed more than once, or may have been hidden again since. When the caller breaks off at the
      // yield, the message stays the first.
      if (message !== undefined && message.visibleAt <= now) yield message;
      this.#readyAt += 1;
      this.#compact();
    }
  }

  #compact(): void {
    if (this.#readyAt < 1024 || this.#readyAt * 2 < this.#ready.length) return;
    this.#ready = this.#ready.slice(this.#readyAt);
    this.#readyAt = 0;
  }

  *#fifoCandidates(now: number): Generator<Message> {
    for (const sequences of [...this.#groups.values()]) {
      const messages = sequences.flatMap((sequence) => this.#messages.get(sequence) ?? []);
      // While somebody holds a message of the group, nobody else gets a later one.
      if (messages.some((message) => message.visibleAt > now)) continue;
      yield* messages;
    }
  }

  #available(now: number): boolean {
    if (this.settings.fifo) return !this.#fifoCandidates(now).next().done;
    this.#promote(now);
    while (this.#readyAt < this.#ready.length) {
      const message = this.#messages.get(this.#ready[this.#readyAt] ?? -1);
      if (message !== undefined && message.visibleAt <= now) return true;
      this.#readyAt += 1;
    }
    this.#compact();
    return false;
  }

  #wake(): void {
    if (this.#waiting.size === 0) return;
    if (this.#available(this.#clock.now())) for (const done of [...this.#waiting]) done();
    else this.#scheduleWake();
  }

  /** Plans the next look at the queue for when a hidden message appears, as long as somebody waits. */
  #scheduleWake(): void {
    this.#cancelWake?.();
    this.#cancelWake = undefined;
    if (this.#waiting.size === 0) return;
    const now = this.#clock.now();
    let next = Number.POSITIVE_INFINITY;
    if (this.settings.fifo) {
      for (const message of this.#messages.values())
        if (message.visibleAt > now) next = Math.min(next, message.visibleAt);
    } else next = this.#later.next ?? next;
    if (Number.isFinite(next)) this.#cancelWake = this.#clock.at(next, () => this.#wake());
  }

  #handle(message: Message, receipt: string): string {
    return Buffer.from(`${this.settings.name}\n${message.sequence}\n${receipt}`).toString('base64');
  }

  /** The message of a receipt handle if the handle is the newest one. AwsError when it is none of this queue. */
  #held(receiptHandle: string): Message | undefined {
    const [name, sequence, receipt] = Buffer.from(receiptHandle, 'base64').toString().split('\n');
    if (name !== this.settings.name || sequence === undefined || receipt === undefined) {
      throw new AwsError('ReceiptHandleIsInvalid', 'The input receipt handle is not a valid receipt handle.');
    }
    const message = this.#messages.get(Number(sequence));
    return message?.receipt === receipt ? message : undefined;
  }

  #toDeadLetterQueue(message: Message): void {
    const target = this.#findQueue(this.settings.redrive?.targetArn ?? '');
    if (target === undefined)
      throw new AwsError('QueueDoesNotExist', `The dead-letter queue of ${this.settings.name} does not exist`);
    this.#store.transaction(() => {
      target.#adopt(message);
      this.#remove(message);
    });
  }

  /** Takes over a message with its id, body, age and attributes. */
  #adopt(message: Message): void {
    const { receipt: _receipt, firstReceivedAt: _first, ...kept } = message;
    const adopted: Message = { ...kept, sequence: this.#nextSequence(), visibleAt: this.#clock.now() };
    this.#save(adopted);
    this.#add(adopted);
    this.#wake();
  }
}
