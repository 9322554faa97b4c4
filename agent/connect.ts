import type { Channel, OnWake, TlsSessions } from './channel/channel.ts';
import { httpsChannel } from './channel/https.ts';
import { mqttChannel } from './channel/mqtt.ts';
import type { HttpsIdentity } from './channel/request.ts';
import type { Credentials } from './enrollment/credentials.ts';

/** Where an enrolled device finds the service. */
export interface Endpoints {
  /** Base URL of the host that asks for client certificates: check-in over HTTPS, renewal. */
  readonly device?: string;
  /** `mqtts://host:port` */
  readonly mqtt?: string;
}

/** What opening a channel needs. */
export interface ConnectOptions {
  readonly credentials: Credentials;
  readonly endpoints: Endpoints;
  /** Which of the two to use; MQTT where there is a choice, because only it can be woken. */
  readonly prefer?: 'mqtt' | 'https';
  readonly ca?: string;
  readonly sessions?: TlsSessions;
  readonly onWake: OnWake;
  readonly signal: AbortSignal;
}

/** A channel, and the identity that it speaks for. */
export interface Connection {
  readonly channel: Channel;
  readonly identity: HttpsIdentity;
}

/** Opens a channel with the device's identity. Rejects when there is no connection. */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const { credentials, endpoints } = options;
  const { mqtt, device } = endpoints;
  const identity = credentials.take();
  const common = {
    deviceId: credentials.deviceId,
    identity,
    signal: options.signal,
    onWake: options.onWake,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.sessions === undefined ? {} : { sessions: options.sessions }),
  };
  if (mqtt !== undefined && (options.prefer !== 'https' || device === undefined)) {
    return { channel: await mqttChannel({ ...common, url: mqtt }), identity };
  }
  if (device !== undefined) return { channel: httpsChannel({ ...common, url: device }), identity };
  throw new Error('neither an MQTT endpoint nor a device host is known');
}
