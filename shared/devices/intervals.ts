import { Channel } from './device.ts';

/**
 * How long a device waits for its next check-in when nothing else calls for one, in seconds. A device that polls learns
 * of commands no other way. A connected one is woken for them, checks in when it connects and when something changes,
 * and its presence says that it is there: twice a day is a safety net, and what it may cost (docs/cost.md).
 */
export const checkInSeconds: Readonly<Record<Channel, number>> = { [Channel.Mqtt]: 43_200, [Channel.Https]: 900 };

/** `lastSeenAt` is written when it is older than this, in milliseconds: what brings nothing new writes nothing. */
export const heartbeatMilliseconds = 3_600_000;
