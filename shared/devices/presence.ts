import * as v from 'valibot';
import { Channel, type Device, Lifecycle, type Presence } from './device.ts';
import { checkInSeconds, heartbeatMilliseconds } from './intervals.ts';

/**
 * A lifecycle event of AWS IoT Core, from `$aws/events/presence/connected|disconnected/<clientId>`
 * (https://docs.aws.amazon.com/iot/latest/developerguide/life-cycle-events.html).
 */
export const PresenceEvent = v.object({
  clientId: v.string(),
  /** Milliseconds since the epoch; right to about two minutes. */
  timestamp: v.number(),
  eventType: v.picklist(['connected', 'disconnected']),
  sessionIdentifier: v.optional(v.string(), ''),
  /** Grows with each connect and disconnect; starts again after about an hour without a connection. */
  versionNumber: v.optional(v.number(), 0),
  disconnectReason: v.optional(v.string()),
});
export type PresenceEvent = v.InferOutput<typeof PresenceEvent>;

/** The broker's times are right to about this, milliseconds: closer together, its counter tells the order. */
const timeTolerance = 120_000;

/**
 * The presence after an event; undefined when the event says nothing new: it came twice, or an event that is later was
 * known already. The result is the same in whatever order the events of a device come.
 */
export function presenceAfter(known: Presence | undefined, event: PresenceEvent): Presence | undefined {
  // The broker ended this session because the device opened another one: the device is connected all the same, and
  // the event of the other session says so.
  if (event.disconnectReason === 'DUPLICATE_CLIENTID') return undefined;
  const next: Presence = {
    connected: event.eventType === 'connected',
    at: new Date(event.timestamp).toISOString(),
    sessionId: event.sessionIdentifier,
    version: event.versionNumber,
  };
  return known === undefined || isLater(next, known) ? next : undefined;
}

function isLater(event: Presence, known: Presence): boolean {
  // A session connects once and ends once: of one session, the end is the later event.
  if (event.sessionId === known.sessionId) return known.connected && !event.connected;
  const difference = Date.parse(event.at) - Date.parse(known.at);
  if (Math.abs(difference) > timeTolerance) return difference > 0;
  if (event.version !== known.version) return event.version > known.version;
  return difference > 0;
}

/** A device is missed, in milliseconds after it was seen: an hour for the coarse `lastSeenAt`, and check-ins that failed. */
const tolerance = {
  [Channel.Https]: heartbeatMilliseconds + 3 * checkInSeconds.https * 1_000,
  // A device that is connected and does not say anything for this long is only a connection.
  [Channel.Mqtt]: heartbeatMilliseconds + 2 * checkInSeconds.mqtt * 1_000,
} as const;

/**
 * Since when a device is missing: since it was seen last, for one that polls; since it disconnected, for one that is
 * connected by MQTT. Undefined when it is there, or is not enrolled and therefore not expected.
 *
 * @param now milliseconds, our clock
 * @returns RFC 3339
 */
export function missingSince(
  device: Pick<Device, 'lifecycle' | 'channel' | 'presence' | 'lastSeenAt' | 'enrolledAt'>,
  now: number,
): string | undefined {
  if (device.lifecycle !== Lifecycle.Enrolled) return undefined;
  const seen = device.lastSeenAt ?? device.enrolledAt;
  if (device.channel === Channel.Mqtt && device.presence?.connected === false) return device.presence.at;
  const patience = tolerance[device.channel ?? Channel.Https];
  return seen !== undefined && now - Date.parse(seen) > patience ? seen : undefined;
}
