import { randomUUID } from 'node:crypto';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import type { Channel, ChannelOptions } from './channel.ts';
import { type CheckInReply, isRecord, parseRefusal, parseReply, parseWakeUp } from './messages.ts';

/** A check-in that waits for its reply. */
interface Waiting {
  readonly resolve: (reply: CheckInReply) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Connects over MQTT 3.1.1 and subscribes to the device's replies and wake-ups; resolves when the server granted the
 * subscriptions. One connection is one channel: reconnecting, with its back-off, is the caller's.
 */
export async function mqttChannel(options: ChannelOptions): Promise<Channel> {
  const topics = topicsOf(options.deviceId);
  const client = await connect(options);
  const waiting = new Map<string, Waiting>();
  const ended = Promise.withResolvers<void>();

  const end = (): void => {
    for (const { reject } of waiting.values()) reject(new Error('the connection was closed'));
    waiting.clear();
    ended.resolve();
  };
  client.on('close', end);
  client.on('message', (topic, payload) => {
    const text = payload.toString('utf8');
    if (topic === topics.wake) options.onWake?.(parseWakeUp(text));
    else if (topic === topics.accepted) answer(waiting, text, (one) => one.resolve(parseReply(text)));
    else if (topic === topics.rejected) answer(waiting, text, (one) => one.reject(parseRefusal(text, 400)));
  });

  try {
    const granted = await client.subscribeAsync([topics.accepted, topics.rejected, topics.wake], { qos: 1 });
    const refused = granted.filter(({ qos }) => qos >= 128).map(({ topic }) => topic);
    if (refused.length > 0) throw new Error(`the server does not grant ${refused.join(', ')}`);
  } catch (error) {
    await client.endAsync(true);
    throw error;
  }

  return {
    kind: 'mqtt',
    closed: ended.promise,
    async checkIn(message) {
      if (!client.connected) throw new Error('the connection was closed');
      const clientToken = message.clientToken ?? randomUUID();
      const { promise, resolve, reject } = Promise.withResolvers<CheckInReply>();
      waiting.set(clientToken, { resolve, reject });
      const timer = setTimeout(
        () => reject(new Error('the server did not answer the check-in')),
        options.replyTimeoutMs ?? 30_000,
      );
      try {
        client.publish(topics.checkIn, JSON.stringify({ ...message, clientToken }), { qos: 1 }, (error) => {
          if (error) reject(error);
        });
        return await promise;
      } finally {
        clearTimeout(timer);
        waiting.delete(clientToken);
      }
    },
    async close() {
      await client.endAsync(true);
      end();
    },
  };
}

/**
 * The topics of one device. Check-ins go by Basic Ingest, which AWS IoT does not charge as a message:
 * https://docs.aws.amazon.com/iot/latest/developerguide/iot-basic-ingest.html
 */
export function topicsOf(deviceId: string): { checkIn: string; accepted: string; rejected: string; wake: string } {
  return {
    checkIn: `$aws/rules/wardline_checkin/wardline/${deviceId}/checkin`,
    accepted: `wardline/${deviceId}/checkin/accepted`,
    rejected: `wardline/${deviceId}/checkin/rejected`,
    wake: `wardline/${deviceId}/wake`,
  };
}

/** Gives a message to the check-in that it answers: by its token, else (a refusal of malformed JSON) to the oldest. */
function answer(waiting: ReadonlyMap<string, Waiting>, text: string, give: (one: Waiting) => void): void {
  const token = clientTokenOf(text);
  const one = token === undefined ? waiting.values().next().value : waiting.get(token);
  if (one === undefined) return;
  try {
    give(one);
  } catch (error) {
    one.reject(error instanceof Error ? error : new Error(String(error)));
  }
}

function clientTokenOf(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) && typeof value['clientToken'] === 'string' ? value['clientToken'] : undefined;
  } catch {
    return undefined;
  }
}

async function connect(options: ChannelOptions): Promise<MqttClient> {
  const url = new URL(options.url);
  const session = options.sessions?.get();
  const settings: IClientOptions & { session?: Buffer } = {
    clientId: options.deviceId,
    protocolVersion: 4,
    clean: true,
    keepalive: 60,
    connectTimeout: 20_000,
    reconnectPeriod: 0,
    resubscribe: false,
    manualConnect: true,
    cert: options.identity.certificatePem,
    key: options.identity.privateKeyPem,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(session === undefined ? {} : { session }),
    // AWS IoT tells MQTT from HTTPS on port 443 by this name.
    ...(url.port === '443' ? { ALPNProtocols: ['x-amzn-mqtt-ca'] } : {}),
  };
  const client = mqtt.connect(options.url, settings);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stopped = (): void => reject(new Error('stopped'));
  options.signal?.addEventListener('abort', stopped, { once: true });
  client.once('connect', () => resolve());
  // Stays for the life of the client: an error without a listener would end the process, and `close` follows it.
  client.on('error', reject);
  client.once('close', () => reject(new Error(`no connection to ${options.url}`)));
  client.connect();
  client.stream.on('session', (ticket: Buffer) => options.sessions?.set(ticket));
  try {
    await promise;
    return client;
  } catch (error) {
    options.sessions?.set(undefined);
    await client.endAsync(true);
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', stopped);
  }
}
