import { Agent } from 'node:https';
import type { Channel, ChannelOptions } from './channel.ts';
import { CheckInRefused, parseRefusal, parseReply } from './messages.ts';
import { httpsRequest } from './request.ts';

/** Checks in with `POST /v1/checkin`, identified by the client certificate alone. Nothing is sent before the first check-in. */
export function httpsChannel(options: ChannelOptions): Channel {
  // A device that polls every few minutes gains nothing from an idle connection in between.
  const agent = new Agent({ keepAlive: true, maxSockets: 1, timeout: 20_000 });
  const ended = Promise.withResolvers<void>();
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  return {
    kind: 'https',
    closed: ended.promise,
    async checkIn(message) {
      const answer = await httpsRequest({
        url: `${options.url.replace(/\/+$/, '')}/v1/checkin`,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(message),
        identity: options.identity,
        agent,
        signal,
        timeoutMs: options.replyTimeoutMs ?? 30_000,
        ...(options.ca === undefined ? {} : { ca: options.ca }),
      });
      if (answer.status === 200) return parseReply(answer.body);
      const refused = parseRefusal(answer.body, answer.status);
      const wait = Number(answer.headers['retry-after']);
      throw new CheckInRefused(answer.status, refused.message, Number.isFinite(wait) && wait > 0 ? wait : undefined);
    },
    async close() {
      stop.abort();
      agent.destroy();
      ended.resolve();
    },
  };
}
