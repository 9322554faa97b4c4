import type { CheckIn, CheckInReply } from './messages.ts';
import type { HttpsIdentity } from './request.ts';

/** A way to check in. Both kinds carry the same messages. */
export interface Channel {
  readonly kind: 'mqtt' | 'https';
  /** Rejects with `CheckInRefused` when the server says no, with another error when no answer came. */
  checkIn(message: CheckIn): Promise<CheckInReply>;
  /** Resolves when the channel can no longer be used. */
  readonly closed: Promise<void>;
  close(): Promise<void>;
}

/** Told of a wake-up; `n` is repeated in the check-in that it causes. */
export type OnWake = (n: number | undefined) => void;

/** What it takes to open a channel. */
export interface ChannelOptions {
  /** `mqtts://host:port`, or the base URL of the device host. */
  readonly url: string;
  readonly deviceId: string;
  readonly identity: HttpsIdentity;
  /** PEM of the authority that the server's certificate ends in; the public ones that Node.js knows when left out. */
  readonly ca?: string;
  /** Called when the server says that there is something to fetch, with the number of the wake-up. Never over HTTPS. */
  readonly onWake?: OnWake;
  /** Where TLS sessions are kept between connections to the same server, so that the next handshake is shorter. */
  readonly sessions?: TlsSessions;
  /** Without an answer for this long a check-in has failed. 30,000 when left out. */
  readonly replyTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The last TLS session with the server of one device. */
export interface TlsSessions {
  get(): Buffer | undefined;
  set(session: Buffer | undefined): void;
}
