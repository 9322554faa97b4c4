import { randomUUID, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import mqtt, { type MqttClient } from 'mqtt';
import { httpsRequest } from '../../agent/channel/request.ts';
import { simpleEnroll } from '../../agent/enrollment/est.ts';
import type { Endpoints } from './local-cloud.ts';
import { deviceKeys, requestFor } from './pki.ts';

/** An answer to a check-in: the reply, or the problem. */
export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** A reply's commands, as far as tests look at them. */
export const commandsOf = (body: Record<string, unknown>): { id: string; type: string }[] =>
  body['commands'] as { id: string; type: string }[];

/** The id that a certificate of a device gives it. */
function idOf(certificatePem: string): string {
  const id = /^CN=(.+)$/m.exec(new X509Certificate(certificatePem).subject)?.[1];
  if (id === undefined) throw new Error('The certificate has no CN.');
  return id;
}

/**
 * A device that does exactly what a test says, over real sockets: it enrols over EST and checks in over HTTPS or MQTT.
 * Made without other programs, so that hundreds are made in seconds.
 */
export class LoopDevice implements AsyncDisposable {
  readonly id: string;
  readonly #endpoints: Endpoints;
  readonly #ca: string;
  readonly #identity: { readonly certificatePem: string; readonly privateKeyPem: string };
  readonly #agent: Agent;
  readonly #wakes: { readonly n: number; readonly at: number }[] = [];
  #onWake: (() => void) | undefined;
  #client: MqttClient | undefined;
  readonly #waiting = new Map<string, PromiseWithResolvers<Answer>>();

  private constructor(endpoints: Endpoints, certificatePem: string, privateKeyPem: string) {
    this.id = idOf(certificatePem);
    this.#endpoints = endpoints;
    this.#ca = readFileSync(endpoints.ca, 'utf8');
    this.#identity = { certificatePem, privateKeyPem };
    this.#agent = new Agent({ keepAlive: true, maxSockets: 50 });
  }

  /** Enrols with an enrolment token. */
  static async enrol(endpoints: Endpoints, token: string, serial: string): Promise<LoopDevice> {
    const keys = deviceKeys();
    const certificate = await simpleEnroll({
      url: endpoints.enroll,
      request: Buffer.from(requestFor(serial, keys), 'base64'),
      ca: readFileSync(endpoints.ca, 'utf8'),
      token,
    });
    return new LoopDevice(endpoints, certificate, keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  }

  /** `POST /v1/checkin`; rejects when the connection fails. */
  async post(message: Readonly<Record<string, unknown>>): Promise<Answer> {
    const answer = await httpsRequest({
      url: `${this.#endpoints.device}/v1/checkin`,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ at: new Date().toISOString(), ...message }),
      ca: this.#ca,
      identity: this.#identity,
      agent: this.#agent,
    });
    return { status: answer.status, body: answer.body === '' ? {} : JSON.parse(answer.body) };
  }

  /** Connects over MQTT; resolves when the subscriptions are granted. */
  async connect(): Promise<void> {
    const client = mqtt.connect(this.#endpoints.mqtt, {
      clientId: this.id,
      protocolVersion: 4,
      clean: true,
      reconnectPeriod: 0,
      ca: this.#ca,
      cert: this.#identity.certificatePem,
      key: this.#identity.privateKeyPem,
    });
    // A connection that the broker ends is what some tests are about; `closed` tells.
    client.on('error', () => undefined);
    client.on('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('The broker closed the connection.'));
      this.#waiting.clear();
    });
    client.on('message', (topic, payload) => this.#receive(topic, JSON.parse(payload.toString())));
    await new Promise<void>((done, fail) => {
      client.once('connect', () => done());
      client.once('close', () => fail(new Error('The broker closed the connection.')));
    });
    const topics = ['checkin/accepted', 'checkin/rejected', 'wake'].map((name) => `wardline/${this.id}/${name}`);
    await client.subscribeAsync(topics, { qos: 1 });
    this.#client = client;
  }

  /** Publishes a check-in and waits for the answer. Rejects when the connection ends before. */
  async publish(message: Readonly<Record<string, unknown>>): Promise<Answer> {
    const client = this.#client;
    if (client === undefined) throw new Error('The device is not connected.');
    const clientToken = randomUUID();
    const waiting = Promise.withResolvers<Answer>();
    this.#waiting.set(clientToken, waiting);
    const body = JSON.stringify({ clientToken, at: new Date().toISOString(), ...message });
    client.publish(`$aws/rules/wardline_checkin/wardline/${this.id}/checkin`, body, { qos: 1 });
    return await waiting.promise;
  }

  /** The next wake-up that was not asked for yet: its number, and when it came (wall clock, ms). */
  async wake(): Promise<{ readonly n: number; readonly at: number }> {
    for (;;) {
      const next = this.#wakes.shift();
      if (next !== undefined) return next;
      await new Promise<void>((done) => {
        this.#onWake = done;
      });
    }
  }

  /** How many wake-ups came that were not asked for. */
  get wakesWaiting(): number {
    return this.#wakes.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
    await this.#client?.endAsync(true);
  }

  #receive(topic: string, message: Record<string, unknown>): void {
    if (topic.endsWith('/wake')) {
      this.#wakes.push({ n: Number(message['n']), at: performance.timeOrigin + performance.now() });
      this.#onWake?.();
      return;
    }
    const token = String(message['clientToken']);
    const status = topic.endsWith('/accepted') ? 200 : Number(message['status']);
    this.#waiting.get(token)?.resolve({ status, body: message });
    this.#waiting.delete(token);
  }
}
