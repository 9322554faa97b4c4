import { Readable } from 'node:stream';
import type { AedesPublishPacket, Subscription } from 'aedes';
import type { Clock } from '../cloud.ts';
import { hasWildcard, topicMatches } from './topics.ts';

/** How long a persistent session outlives its connection. */
export const SESSION_MS = 60 * 60_000;
/** Most messages that wait in one session; AWS has no number, but a laptop has an end of memory. */
const MAX_QUEUE = 10_000;

/** What the broker library calls a client here. */
export interface ClientRef {
  readonly id: string;
}

/** A packet that waits for its client, or for its acknowledgement. */
interface Queued extends AedesPublishPacket {
  messageId?: number;
}

interface Session {
  readonly subscriptions: Map<string, Subscription>;
  queue: Queued[];
  /** What a connection that is being set up must get first; what comes later reaches it directly. */
  replay: readonly Queued[] | undefined;
  cancelExpiry: (() => void) | undefined;
}

interface Subscriber {
  readonly clientId: string;
  readonly topic: string;
  readonly qos: number;
}

/** Questions that sessions ask of the broker. */
export interface SessionRules {
  /** Whether this connection was granted this filter: a refused subscription must not gather messages. */
  granted(client: ClientRef, filter: string): boolean;
  /** A client acknowledged a message (MQTT PUBACK). */
  acknowledged(clientId: string, messageId: number): void;
}

/**
 * MQTT sessions and retained messages, in the form in which the broker library keeps them (its persistence interface).
 * In memory also with `--data`: a broker that restarts says "no session present", and clients subscribe again, as they
 * must be able to.
 */
export class Sessions {
  readonly #clock: Clock;
  readonly #rules: SessionRules;
  readonly #sessions = new Map<string, Session>();
  /** Filters of persistent sessions with QoS 1: by topic where they have no wildcard, else one by one. */
  readonly #exact = new Map<string, Map<string, Subscriber>>();
  readonly #wild = new Map<string, Subscriber>();
  readonly #retained = new Map<string, AedesPublishPacket>();
  readonly #wills = new Map<string, unknown>();

  constructor(clock: Clock, rules: SessionRules) {
    this.#clock = clock;
    this.#rules = rules;
  }

  /** The library insists on an `async` function. */
  async setup(): Promise<void> {
    await Promise.resolve();
  }

  /** Whether a session of this client waits here. */
  has(clientId: string): boolean {
    return this.#sessions.has(clientId);
  }

  /** A connection that may continue this session began. */
  connected(clientId: string): void {
    const session = this.#sessions.get(clientId);
    session?.cancelExpiry?.();
    if (session !== undefined) session.cancelExpiry = undefined;
  }

  /** Its connection ended: the session ends an hour later. */
  disconnected(clientId: string): void {
    const session = this.#sessions.get(clientId);
    if (session === undefined) return;
    session.cancelExpiry?.();
    session.cancelExpiry = this.#clock.at(this.#clock.now() + SESSION_MS, () => this.forget(clientId));
  }

  /** Ends a session: subscriptions and waiting messages. */
  forget(clientId: string): void {
    const session = this.#sessions.get(clientId);
    if (session === undefined) return;
    session.cancelExpiry?.();
    for (const filter of session.subscriptions.keys()) this.#unindex(clientId, filter);
    this.#sessions.delete(clientId);
  }

  /** Ends all sessions without waiting; nothing is left that a timer holds. */
  close(): void {
    for (const clientId of [...this.#sessions.keys()]) this.forget(clientId);
  }

  retained(topic: string): AedesPublishPacket | undefined {
    return this.#retained.get(topic);
  }

  async storeRetained(packet: AedesPublishPacket): Promise<void> {
    if (packet.payload.length === 0) this.#retained.delete(packet.topic);
    else this.#retained.set(packet.topic, { ...packet });
  }

  /** Retained messages are found by exact filters only, as in AWS. */
  createRetainedStreamCombi(filters: readonly string[]): Readable {
    return Readable.from(filters.flatMap((filter) => this.#retained.get(filter) ?? []));
  }

  async addSubscriptions(client: ClientRef, subscriptions: readonly Subscription[]): Promise<void> {
    const session = this.#session(client.id);
    for (const subscription of subscriptions) {
      if (!this.#rules.granted(client, subscription.topic)) continue;
      session.subscriptions.set(subscription.topic, { topic: subscription.topic, qos: subscription.qos });
      this.#unindex(client.id, subscription.topic);
      if (subscription.qos > 0) this.#index({ clientId: client.id, topic: subscription.topic, qos: subscription.qos });
    }
  }

  async removeSubscriptions(client: ClientRef, filters: readonly string[]): Promise<void> {
    for (const filter of filters) {
      this.#unindex(client.id, filter);
      this.#sessions.get(client.id)?.subscriptions.delete(filter);
    }
  }

  async subscriptionsByClient(client: ClientRef): Promise<Subscription[]> {
    return [...(this.#sessions.get(client.id)?.subscriptions.values() ?? [])].map((subscription) => ({
      ...subscription,
    }));
  }

  async subscriptionsByTopic(topic: string): Promise<Subscriber[]> {
    const found = [...(this.#exact.get(topic)?.values() ?? [])];
    const clients = new Set(found.map((subscriber) => subscriber.clientId));
    for (const subscriber of this.#wild.values()) {
      if (clients.has(subscriber.clientId) || !topicMatches(subscriber.topic, topic)) continue;
      clients.add(subscriber.clientId);
      found.push(subscriber);
    }
    return found;
  }

  /** A clean session begins: the one before is gone. */
  async cleanSubscriptions(client: ClientRef): Promise<void> {
    this.forget(client.id);
  }

  async outgoingEnqueue(subscriber: { readonly clientId: string }, packet: AedesPublishPacket): Promise<void> {
    const { queue } = this.#session(subscriber.clientId);
    if (queue.length < MAX_QUEUE) queue.push({ ...packet });
  }

  async outgoingEnqueueCombi(
    subscribers: readonly { readonly clientId: string }[],
    packet: AedesPublishPacket,
  ): Promise<void> {
    for (const subscriber of subscribers) await this.outgoingEnqueue(subscriber, packet);
  }

  /** The message is on its way under this packet identifier. */
  async outgoingUpdate(client: ClientRef, packet: Queued): Promise<void> {
    const queued = this.#sessions
      .get(client.id)
      ?.queue.find((waiting) => waiting.brokerId === packet.brokerId && waiting.brokerCounter === packet.brokerCounter);
    // A session that ended in the meantime has nothing to update; the message itself still goes out.
    if (queued !== undefined && packet.messageId !== undefined) queued.messageId = packet.messageId;
  }

  /** Takes a message out of the queue: acknowledged (a packet identifier), or not to be forwarded (the message itself). */
  async outgoingClearMessageId(
    client: ClientRef,
    packet: { readonly messageId?: number; readonly brokerId?: string; readonly brokerCounter?: number },
  ): Promise<Queued | undefined> {
    if (packet.messageId !== undefined) this.#rules.acknowledged(client.id, packet.messageId);
    const session = this.#sessions.get(client.id);
    const at = session?.queue.findIndex((waiting) =>
      packet.messageId === undefined
        ? waiting.brokerId === packet.brokerId && waiting.brokerCounter === packet.brokerCounter
        : waiting.messageId === packet.messageId,
    );
    return at === undefined || at < 0 ? undefined : session?.queue.splice(at, 1)[0];
  }

  /** The subscriptions of a kept session are live again: from here on messages reach the client directly. */
  resumed(clientId: string): void {
    const session = this.#sessions.get(clientId);
    if (session !== undefined) session.replay = [...session.queue];
  }

  /** What waits for a client that connects, in order. */
  outgoingStream(client: ClientRef): Readable {
    const session = this.#sessions.get(client.id);
    const waiting = session?.replay ?? [...(session?.queue ?? [])];
    if (session !== undefined) session.replay = undefined;
    return Readable.from(waiting);
  }

  /** QoS 2 is refused before anything is stored. */
  async incomingGetPacket(): Promise<never> {
    throw new Error('QoS 2 is not supported');
  }

  async incomingStorePacket(): Promise<never> {
    throw new Error('QoS 2 is not supported');
  }

  async incomingDelPacket(): Promise<never> {
    throw new Error('QoS 2 is not supported');
  }

  async putWill(client: ClientRef, will: unknown): Promise<void> {
    this.#wills.set(client.id, will);
  }

  async getWill(client: ClientRef): Promise<unknown> {
    return this.#wills.get(client.id);
  }

  async delWill(client: ClientRef): Promise<unknown> {
    const will = this.#wills.get(client.id);
    this.#wills.delete(client.id);
    return will;
  }

  /** Wills of brokers that died: there is only this one, and it keeps none across a restart. */
  streamWill(): Readable {
    return Readable.from([]);
  }

  #session(clientId: string): Session {
    let session = this.#sessions.get(clientId);
    if (session === undefined) {
      session = { subscriptions: new Map(), queue: [], replay: undefined, cancelExpiry: undefined };
      this.#sessions.set(clientId, session);
    }
    return session;
  }

  #index(subscriber: Subscriber): void {
    if (hasWildcard(subscriber.topic)) {
      this.#wild.set(`${subscriber.clientId} ${subscriber.topic}`, subscriber);
      return;
    }
    const subscribers = this.#exact.get(subscriber.topic) ?? new Map<string, Subscriber>();
    subscribers.set(subscriber.clientId, subscriber);
    this.#exact.set(subscriber.topic, subscribers);
  }

  #unindex(clientId: string, filter: string): void {
    this.#wild.delete(`${clientId} ${filter}`);
    const subscribers = this.#exact.get(filter);
    subscribers?.delete(clientId);
    if (subscribers?.size === 0) this.#exact.delete(filter);
  }
}
