import { constants } from 'node:crypto';
import type { AddressInfo, Socket } from 'node:net';
import { createServer, type Server, TLSSocket } from 'node:tls';
import { Aedes, type AedesPublishPacket, type Client, type PublishPacket, type Subscription } from 'aedes';
import type { Cloud } from '../cloud.ts';
import { Notices } from '../runtime/notices.ts';
import { certificateIdOf } from './certificate.ts';
import { Connection, type DisconnectReason } from './connection.ts';
import { iotErrors } from './errors.ts';
import { connackFrame, publishFrame } from './frames.ts';
import { Presence } from './presence.ts';
import { CertificateStatus, type Registry } from './registry.ts';
import type { IncomingMessage } from './rules.ts';
import { Sessions } from './sessions.ts';
import { basicIngest, filterProblem, MAX_PAYLOAD_BYTES, topicMatches, topicProblem } from './topics.ts';

/** AWS's limits. Keep-alive in seconds; 0 or more than the most is the most. */
const LEAST_KEEP_ALIVE = 30;
const MOST_KEEP_ALIVE = 1200;
const MAX_CLIENT_ID_BYTES = 128;
const MAX_SUBSCRIPTIONS = 50;
/** Topics that nobody receives, whatever was subscribed to: the library's own, Basic Ingest, and requests to services. */
const UNSEEN = /^(\$SYS\/|\$aws\/rules\/|\$aws\/(certificates|provisioning-templates)\/.*\/json$)/;
/** What AWS IoT Core answers where policies refuse the connection. */
const NOT_AUTHORIZED = 7;

/** Where messages of devices go besides to subscribers. */
export interface MessageSinks {
  /** Every message, for the rules engine. Resolves when it was taken over. */
  rules(message: IncomingMessage): Promise<void>;
  /** A request to an `$aws/...` service; false when nothing serves the topic. */
  request(connection: Connection, topic: string, payload: Buffer): boolean;
}

/**
 * AWS IoT Core's message broker on loopback: MQTT 3.1.1 over TLS with client certificates. A connection lives by its
 * certificate (registered, ACTIVE, in its validity) and by the policies attached to it, asked for every packet.
 */
export class Broker {
  readonly #cloud: Cloud;
  readonly #registry: Registry;
  readonly #sinks: MessageSinks;
  readonly #aedes: Aedes;
  readonly #sessions: Sessions;
  readonly #connections = new Map<string, Connection>();
  readonly #byClient = new WeakMap<object, Connection>();
  readonly #certificateOf = new WeakMap<object, string>();
  readonly #connectPackets = new WeakMap<Client, { readonly keepAlive: number; readonly hasWill: boolean }>();
  /** Direct messages that wait for their PUBACK, by `<client id> <packet identifier>`. */
  readonly #unconfirmed = new Map<string, { confirm(): void; lost(): void }>();
  readonly #unserved = new Set<string>();
  /** Refusals: the client sees no more of them than a closed connection, as with AWS. */
  readonly #notices: Notices;
  readonly #sockets = new Set<Socket>();
  readonly presence: Presence;
  #server: Server | undefined;
  #stopping = false;

  constructor(cloud: Cloud, registry: Registry, sinks: MessageSinks) {
    this.#cloud = cloud;
    this.#registry = registry;
    this.#sinks = sinks;
    this.#notices = new Notices(cloud.log);
    this.presence = new Presence(cloud, (topic, payload) => this.publish({ topic, payload }, 0));
    this.#sessions = new Sessions(cloud.clock, {
      granted: (client, filter) => this.#byClient.get(client)?.filters.has(filter) ?? false,
      acknowledged: (clientId, messageId) => this.#unconfirmed.get(`${clientId} ${messageId}`)?.confirm(),
    });
    this.#aedes = new Aedes({
      persistence: this.#sessions,
      // Many devices connect at once after a restart; none of them writes before CONNACK.
      queueLimit: 100,
      preConnect: (client, packet, done) => {
        // AWS takes any keep-alive and bounds it.
        const asked = packet.keepalive ?? 0;
        packet.keepalive = asked === 0 || asked > MOST_KEEP_ALIVE ? MOST_KEEP_ALIVE : Math.max(asked, LEAST_KEEP_ALIVE);
        this.#connectPackets.set(client, { keepAlive: packet.keepalive, hasWill: packet.will !== undefined });
        done(null, true);
      },
      authenticate: (client, _username, _password, done) => {
        const connection = this.#admit(client);
        if (connection === undefined) {
          // Not through `done`: it could only answer the codes of the MQTT standard.
          client.conn.end(connackFrame(NOT_AUTHORIZED), () => client.close());
          return;
        }
        this.#byClient.set(client, connection);
        const older = this.#connections.get(connection.clientId);
        if (older !== undefined) older.disconnectReason ??= 'DUPLICATE_CLIENTID';
        done(null, true);
      },
      authorizePublish: (client, packet, done) => {
        const problem = this.#takePublish(client, packet);
        done(problem === undefined ? null : new Error(problem));
      },
      authorizeSubscribe: (client, subscription, done) => done(null, this.#grant(client, subscription)),
      authorizeForward: (client, packet) => this.#forward(client, packet),
    });
    this.#aedes.on('client', (client) => this.#opened(client));
    this.#aedes.on('clientDisconnect', (client) => this.#closed(client));
    this.#aedes.on('keepaliveTimeout', (client) => this.#because(client, 'MQTT_KEEP_ALIVE_TIMEOUT'));
    this.#aedes.on('connectionError', (_client, error) => {
      if (/protocol version/i.test(error.message))
        this.#notices.tell('MQTT: a client was refused: the local broker speaks MQTT 3.1.1, not MQTT 5');
    });
    this.#aedes.on('unsubscribe', (filters, client) => {
      const connection = this.#byClient.get(client);
      for (const filter of filters) connection?.filters.delete(filter);
    });
    registry.onChange((certificateId) => this.#certificateChanged(certificateId));
  }

  /** Begins to listen on loopback; port 0 takes a free one. Returns the port. */
  async start(port: number): Promise<number> {
    await this.#aedes.listen();
    const { certificatePem, privateKeyPem } = this.#cloud.authority.serverCertificate(['localhost']);
    const server = createServer({
      cert: certificatePem,
      key: privateKeyPem,
      requestCert: true,
      // Any issuer: the certificate itself must be registered, which is checked below. TLS proves that the client holds its key.
      rejectUnauthorized: false,
      ALPNProtocols: ['x-amzn-mqtt-ca', 'mqtt'],
      minVersion: 'TLSv1.2',
      // Each connection presents its certificate; a ticket would stand in for it.
      secureOptions: constants.SSL_OP_NO_TICKET,
    });
    server.on('secureConnection', (socket) => this.#accept(socket));
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    // Broken handshakes are everyday: port scans, health checks, clients without a certificate.
    server.on('tlsClientError', (error, socket) => {
      if (/alert (unknown ca|bad certificate)/i.test(error.message))
        this.#notices.tell(
          'MQTT: a client does not trust this server: give it the CA certificate that local.json names',
        );
      socket.destroy();
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => resolve());
    });
    this.#server = server;
    this.presence.recover();
    return (server.address() as AddressInfo).port;
  }

  /** Closes all connections. They are told as disconnected at the next start, when rules run again. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const server = this.#server;
    const closed = new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
    this.#sessions.close();
    // Those that were still shaking hands.
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  connection(clientId: string): Connection | undefined {
    return this.#connections.get(clientId);
  }

  hasSession(clientId: string): boolean {
    return this.#sessions.has(clientId);
  }

  retained(topic: string): AedesPublishPacket | undefined {
    return this.#sessions.retained(topic);
  }

  /** Publishes as AWS itself or its HTTP API does: to subscribers and to the rules. */
  publish(message: IncomingMessage, qos: 0 | 1, retain = false): void {
    void this.#sinks.rules(message);
    if (basicIngest(message.topic) !== undefined) return;
    const packet: PublishPacket = {
      cmd: 'publish',
      topic: message.topic,
      payload: message.payload,
      qos,
      retain,
      dup: false,
    };
    this.#aedes.publish(packet, (error) => {
      if (error) this.#cloud.log.warn(`Publish to ${message.topic} failed: ${error.message}`);
    });
  }

  /** Answers one client on a topic that it subscribed to and may receive; dropped otherwise, as in AWS. */
  reply(connection: Connection, topic: string, payload: Buffer): void {
    if (!connection.allows('iot:Receive', this.#topicArn(topic))) return;
    let qos: number | undefined;
    for (const [filter, granted] of connection.filters) {
      if (topicMatches(filter, topic)) qos = Math.max(qos ?? 0, granted);
    }
    if (qos === undefined) return;
    const packet: PublishPacket = { cmd: 'publish', topic, payload, qos: qos === 0 ? 0 : 1, retain: false, dup: false };
    connection.client.publish(packet, (error) => {
      if (error) this.#cloud.log.warn(`Reply on ${topic} to ${connection.clientId} failed: ${error.message}`);
    });
  }

  /**
   * `SendDirectMessage`: to one connected client, whatever it subscribed to. Without `confirmation` at QoS 0; with it at
   * QoS 1, and resolves at the client's PUBACK.
   */
  async sendDirect(
    clientId: string,
    topic: string,
    payload: Buffer,
    confirmation: { readonly timeoutMs: number } | undefined,
  ): Promise<void> {
    const connection = this.#connections.get(clientId);
    if (connection === undefined || !connection.client.connected) {
      throw iotErrors.notFound(
        this.#sessions.has(clientId)
          ? 'The target client ID is not connected, but it has an active persistent session'
          : 'The target client ID is not connected',
      );
    }
    if (!connection.allows('iot:Receive', this.#topicArn(topic))) {
      throw iotErrors.forbidden(
        `The target client ID ${clientId} is not authorized to receive messages on topic ${topic}`,
      );
    }
    if (confirmation === undefined) {
      await new Promise<void>((resolve) => {
        connection.client.publish({ cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false }, () =>
          resolve(),
        );
      });
      return;
    }
    await this.#sendConfirmed(connection, topic, payload, confirmation.timeoutMs);
  }

  /** `DeleteConnection`: ends a connection from outside; with `endSession` its session as well. */
  disconnect(clientId: string, options: { readonly endSession: boolean; readonly preventWill: boolean }): boolean {
    const connection = this.#connections.get(clientId);
    const known = connection !== undefined || this.#sessions.has(clientId);
    if (connection !== undefined) {
      connection.disconnectReason ??= 'API_INITIATED_DISCONNECT';
      connection.suppressWill = options.preventWill;
      connection.client.close();
    }
    if (options.endSession) this.#sessions.forget(clientId);
    return known;
  }

  #accept(socket: TLSSocket): void {
    const certificate = socket.getPeerCertificate();
    const certificateId = certificate.raw === undefined ? undefined : certificateIdOf(certificate.raw);
    const problem = certificateId === undefined ? 'it sent no certificate' : this.#certificateProblem(certificateId);
    if (certificateId === undefined || problem !== undefined) {
      this.#notices.tell(`MQTT: a client was cut off: ${problem}`);
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    this.#certificateOf.set(socket, certificateId);
    this.#aedes.handle(socket);
  }

  #usable(certificateId: string): boolean {
    return this.#certificateProblem(certificateId) === undefined;
  }

  /** Why nobody may connect with this certificate; undefined when one may. */
  #certificateProblem(certificateId: string): string | undefined {
    const status = this.#registry.certificate(certificateId)?.status;
    const named = `its certificate ${certificateId.slice(0, 8)}…`;
    if (status === undefined) return `${named} is not registered`;
    if (status !== CertificateStatus.Active) return `${named} is ${status}`;
    const now = this.#cloud.clock.now();
    const { notBefore, notAfter } = this.#registry.parsedCertificate(certificateId);
    return notBefore <= now && now <= notAfter ? undefined : `${named} is not valid at this time`;
  }

  #admit(client: Client): Connection | undefined {
    const certificateId = this.#certificateOf.get(client.conn);
    const packet = this.#connectPackets.get(client);
    if (certificateId === undefined || packet === undefined) return undefined;
    const refuse = (why: string): undefined => {
      this.#notices.tell(`MQTT: CONNECT of ${quoted(client.id)} refused: ${why}`);
    };
    const problem = this.#certificateProblem(certificateId);
    if (problem !== undefined) return refuse(problem);
    if (client.id.startsWith('$') || Buffer.byteLength(client.id) > MAX_CLIENT_ID_BYTES)
      return refuse(`a client id has at most ${MAX_CLIENT_ID_BYTES} bytes and does not begin with $`);
    const socket: Socket | undefined = client.conn instanceof TLSSocket ? client.conn : undefined;
    const connection = new Connection(this.#registry, {
      client,
      clientId: client.id,
      certificateId,
      clean: client.clean,
      hasWill: packet.hasWill,
      keepAlive: packet.keepAlive,
      ipAddress: socket?.remoteAddress ?? '127.0.0.1',
      port: socket?.remotePort ?? 0,
    });
    if (connection.allows('iot:Connect', this.#cloud.arn('iot', `client/${client.id}`))) return connection;
    const thing = connection.exclusiveThingName();
    return refuse(
      `no policy of its certificate allows it${thing === undefined || thing === client.id ? '' : `; the certificate is that of ${thing}`}`,
    );
  }

  /** Checks a PUBLISH of a client and gives it to rules and services. Returns why it is refused, which disconnects. */
  #takePublish(client: Client | null, packet: PublishPacket): string | undefined {
    // Only wills come without a client, and this broker keeps none beyond its own life.
    const connection = client === null ? undefined : this.#byClient.get(client);
    if (connection === undefined) return 'No connection';
    if (connection.suppressWill) return 'The will is suppressed';
    const refuse = (reason: DisconnectReason, problem: string): string => {
      connection.disconnectReason ??= reason;
      this.#notices.tell(`MQTT: ${quoted(connection.clientId)} was disconnected: ${problem}`);
      return problem;
    };
    const payload = Buffer.isBuffer(packet.payload) ? packet.payload : Buffer.from(packet.payload);
    const problem = topicProblem(packet.topic);
    if (problem !== undefined) return refuse('CLIENT_ERROR', problem);
    if (packet.qos === 2) return refuse('CLIENT_ERROR', 'QoS 2 is not supported');
    if (payload.length > MAX_PAYLOAD_BYTES)
      return refuse('CLIENT_ERROR', `A message has at most ${MAX_PAYLOAD_BYTES} bytes`);
    const resource = this.#topicArn(packet.topic);
    if (
      !connection.allows('iot:Publish', resource) ||
      (packet.retain && !connection.allows('iot:RetainPublish', resource))
    ) {
      const retained = packet.retain ? ' with retain' : '';
      return refuse('FORBIDDEN_ACCESS', `it may not publish to ${quoted(packet.topic)}${retained}`);
    }
    // Nothing is retained on reserved topics.
    if (packet.topic.startsWith('$aws/')) packet.retain = false;
    if (packet.topic.startsWith('$aws/') && basicIngest(packet.topic) === undefined) {
      if (!this.#sinks.request(connection, packet.topic, payload)) this.#unservedTopic(packet.topic);
      return undefined;
    }
    void this.#sinks.rules({
      topic: packet.topic,
      payload,
      clientId: connection.clientId,
      principal: connection.certificateId,
    });
    return undefined;
  }

  /** The subscription as it is granted; null is SUBACK 0x80. */
  #grant(client: Client, subscription: Subscription): Subscription | null {
    const connection = this.#byClient.get(client);
    if (connection === undefined) return null;
    const problem = this.#subscriptionProblem(connection, subscription);
    if (problem !== undefined) {
      this.#notices.tell(
        `MQTT: SUBSCRIBE of ${quoted(connection.clientId)} to ${quoted(subscription.topic)} refused: ${problem}`,
      );
      return null;
    }
    connection.filters.set(subscription.topic, subscription.qos);
    // Before the connection is open only kept subscriptions come here.
    if (this.#connections.get(connection.clientId) !== connection) this.#sessions.resumed(connection.clientId);
    return subscription;
  }

  #subscriptionProblem(connection: Connection, { topic, qos }: Subscription): string | undefined {
    const problem = filterProblem(topic);
    if (problem !== undefined) return problem;
    // AWS never answers a subscription at QoS 2; a refusal is what a person notices sooner.
    if (qos === 2) return 'QoS 2 is not supported';
    if (!connection.filters.has(topic) && connection.filters.size >= MAX_SUBSCRIPTIONS)
      return `a connection has at most ${MAX_SUBSCRIPTIONS} subscriptions`;
    const allowed = connection.allows('iot:Subscribe', this.#cloud.arn('iot', `topicfilter/${topic}`));
    return allowed ? undefined : 'no policy of its certificate allows it';
  }

  #forward(client: Client, packet: AedesPublishPacket): AedesPublishPacket | null {
    if (UNSEEN.test(packet.topic)) return null;
    const connection = this.#byClient.get(client);
    return connection?.allows('iot:Receive', this.#topicArn(packet.topic)) === true ? packet : null;
  }

  #opened(client: Client): void {
    const connection = this.#byClient.get(client);
    if (connection === undefined || client.closed || this.#stopping) return;
    this.#connections.set(connection.clientId, connection);
    this.#sessions.connected(connection.clientId);
    this.presence.connected(connection);
    // It may have been revoked between the check and now.
    if (!this.#usable(connection.certificateId)) this.#certificateChanged(connection.certificateId);
  }

  #closed(client: Client): void {
    const connection = this.#byClient.get(client);
    if (connection === undefined) return;
    if (this.#connections.get(connection.clientId) === connection) this.#connections.delete(connection.clientId);
    for (const [key, waiting] of this.#unconfirmed) if (key.startsWith(`${connection.clientId} `)) waiting.lost();
    if (this.#stopping) return;
    if (!connection.clean) this.#sessions.disconnected(connection.clientId);
    const reason =
      connection.disconnectReason ?? (saidGoodbye(client) ? 'CLIENT_INITIATED_DISCONNECT' : 'CONNECTION_LOST');
    this.presence.disconnected(connection.clientId, reason);
  }

  #because(client: Client, reason: DisconnectReason): void {
    const connection = this.#byClient.get(client);
    if (connection !== undefined) connection.disconnectReason ??= reason;
  }

  /** A certificate that may no longer connect is cut off at once; otherwise what it may do is worked out anew. */
  #certificateChanged(certificateId: string): void {
    const usable = this.#registry.certificate(certificateId)?.status === CertificateStatus.Active;
    for (const connection of this.#connections.values()) {
      if (connection.certificateId !== certificateId) continue;
      connection.refresh();
      if (usable) continue;
      connection.disconnectReason ??= 'AUTH_ERROR';
      connection.client.close();
    }
  }

  #sendConfirmed(connection: Connection, topic: string, payload: Buffer, timeoutMs: number): Promise<void> {
    const messageId = reserveMessageId(connection.client);
    const key = `${connection.clientId} ${messageId}`;
    return new Promise((resolve, reject) => {
      const done = (finish: () => void): void => {
        clearTimeout(timer);
        this.#unconfirmed.delete(key);
        finish();
      };
      // Wall time: the one who waits and the device are real.
      const timer = setTimeout(
        () => done(() => reject(iotErrors.timeout(`No PUBACK from ${connection.clientId} within ${timeoutMs} ms`))),
        timeoutMs,
      );
      this.#unconfirmed.set(key, {
        confirm: () => done(resolve),
        lost: () => done(() => reject(iotErrors.notFound('The target client ID disconnected before it confirmed'))),
      });
      connection.client.conn.write(publishFrame(topic, payload, messageId));
    });
  }

  #unservedTopic(topic: string): void {
    if (this.#unserved.has(topic) || this.#unserved.size > 100) return;
    this.#unserved.add(topic);
    this.#cloud.log.warn(`Nothing in the local cloud serves ${topic} (jobs, shadows and CBOR are not emulated)`);
  }

  #topicArn(topic: string): string {
    return this.#cloud.arn('iot', `topic/${topic}`);
  }
}

/** What a client sent, as a sentence can hold it. */
function quoted(sent: string): string {
  return JSON.stringify(sent.length > 100 ? `${sent.slice(0, 100)}…` : sent);
}

/** Whether the client sent DISCONNECT. The broker library notes it on the client without declaring it. */
function saidGoodbye(client: Client): boolean {
  const said: unknown = Reflect.get(client, '_disconnected');
  return said === true;
}

/** Takes the next packet identifier of this client, so that the broker library does not use it too. */
function reserveMessageId(client: Client): number {
  const next: unknown = Reflect.get(client, '_nextId');
  if (typeof next !== 'number') throw new Error('The broker library no longer counts packet identifiers in _nextId');
  Reflect.set(client, '_nextId', next >= 65_535 ? 1 : next + 1);
  return next;
}
