import { randomUUID } from 'node:crypto';
import type { Cloud, Json } from '../cloud.ts';
import type { Connection, DisconnectReason } from './connection.ts';

/** What is remembered of a client's last connection. Times are milliseconds since the epoch. */
export interface LastConnection {
  readonly connected: boolean;
  readonly sessionIdentifier: string;
  readonly principalIdentifier: string;
  readonly versionNumber: number;
  readonly connectedSince: number;
  readonly disconnectedSince?: number;
  readonly disconnectReason?: DisconnectReason;
  readonly thingName?: string;
  readonly cleanSession: boolean;
  /** Seconds. */
  readonly keepAlive: number;
}

const SPACE = 'iot.presence';
/** A client that was away this long starts again with version 0. */
const VERSION_MS = 60 * 60_000;

/**
 * Lifecycle events `$aws/events/presence/{connected,disconnected}/<clientId>`. Connections are kept in the store: a
 * cloud that died tells at its next start who was disconnected by that.
 * https://docs.aws.amazon.com/iot/latest/developerguide/life-cycle-events.html
 */
export class Presence {
  readonly #cloud: Cloud;
  readonly #emit: (topic: string, payload: Buffer) => void;

  constructor(cloud: Cloud, emit: (topic: string, payload: Buffer) => void) {
    this.#cloud = cloud;
    this.#emit = emit;
  }

  last(clientId: string): LastConnection | undefined {
    return this.#cloud.store.get<LastConnection>(SPACE, clientId);
  }

  connected(connection: Connection): void {
    const now = Math.floor(this.#cloud.clock.now());
    const before = this.last(connection.clientId);
    const expired = before?.disconnectedSince !== undefined && before.disconnectedSince + VERSION_MS < now;
    const thingName = connection.exclusiveThingName();
    const entry: LastConnection = {
      connected: true,
      sessionIdentifier: randomUUID(),
      principalIdentifier: connection.certificateId,
      versionNumber: before === undefined || expired ? 0 : before.versionNumber + 1,
      connectedSince: now,
      ...(thingName === undefined ? {} : { thingName }),
      cleanSession: connection.clean,
      keepAlive: connection.keepAlive,
    };
    this.#cloud.store.put(SPACE, connection.clientId, entry);
    this.#send(connection.clientId, 'connected', entry, now, { ipAddress: connection.ipAddress });
  }

  disconnected(clientId: string, reason: DisconnectReason): void {
    const before = this.last(clientId);
    if (before?.connected !== true) return;
    const now = Math.floor(this.#cloud.clock.now());
    const entry: LastConnection = { ...before, connected: false, disconnectedSince: now, disconnectReason: reason };
    this.#cloud.store.put(SPACE, clientId, entry);
    this.#send(clientId, 'disconnected', entry, now, {
      clientInitiatedDisconnect: reason === 'CLIENT_INITIATED_DISCONNECT',
      disconnectReason: reason,
    });
  }

  /** At the start: whoever was connected when the cloud stopped is so no longer. */
  recover(): void {
    for (const { key, value } of this.#cloud.store.list<LastConnection>(SPACE)) {
      if (value.connected) this.disconnected(key, 'SERVER_INITIATED_DISCONNECT');
    }
  }

  #send(
    clientId: string,
    eventType: 'connected' | 'disconnected',
    entry: LastConnection,
    now: number,
    more: Record<string, Json>,
  ): void {
    const { versionNumber, sessionIdentifier, principalIdentifier, thingName } = entry;
    const event: Json = {
      clientId,
      ...(thingName === undefined ? {} : { thingName }),
      timestamp: now,
      eventType,
      sessionIdentifier,
      principalIdentifier,
      ...more,
      versionNumber,
    };
    this.#emit(`$aws/events/presence/${eventType}/${clientId}`, Buffer.from(JSON.stringify(event)));
  }
}
