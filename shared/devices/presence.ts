import * as v from 'valibot';
import { Channel, type Device, Lifecycle, type Presence } from './device.ts';

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

/** A device that polls is missed after this long: an hour for the coarse `lastSeenAt`, and three polls that failed. */
const pollingTolerance = 3_600_000 + 3 * 900_000;
/** A connected device checks in each hour; after three that did not come its connection proves nothing. */
const connectedTolerance = 3_600_000 + 3 * 3_600_000;

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
  const connected = device.presence?.connected === true;
  if (device.channel === Channel.Mqtt && device.presence?.connected === false) return device.presence.at;
  const tolerance = connected && device.channel === Channel.Mqtt ? connectedTolerance : pollingTolerance;
  return seen !== undefined && now - Date.parse(seen) > tolerance ? seen : undefined;
}
