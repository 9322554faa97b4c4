/**
 * When a device says something happened, on our clock. Device clocks run years off and jump; messages come late, twice
 * and in the wrong order. A device's time is used for one thing only: to order the device's own reports.
 */

/** A message can lie this long in the network or in a device's buffer. What seems older has a wrong clock. */
export const longestDelay = 3_600_000;

/** A state is believed to have lasted this long. What seems older was noted before the clock was set. */
export const longestState = 24 * 3_600_000;

/** A clock that is ahead of ours by more than this is wrong. */
export const clockTolerance = 60_000;

/**
 * When a message was made, in milliseconds on our clock, where that decides how old its word is; undefined when it cannot be
 * told: the message lay somewhere for more than `longestDelay`, or the device's clock is wrong. From the message alone the
 * two look the same.
 */
export function believedTime(at: string, receivedAt: number): number | undefined {
  const time = Date.parse(at);
  const believed = time <= receivedAt + clockTolerance && time >= receivedAt - longestDelay;
  return believed ? Math.min(time, receivedAt) : undefined;
}

/**
 * The time of a message, in milliseconds on our clock. A plausible device time is kept, since it orders messages that
 * overtook each other. Any other (in the future, or long past) is replaced by the time of receipt: a clock that is
 * years off, or set back, neither freezes the device's state nor lets an old report win.
 */
export function effectiveTime(at: string, receivedAt: number): number {
  const time = Date.parse(at);
  return time <= receivedAt && time >= receivedAt - longestDelay ? time : receivedAt;
}

/**
 * The time of an observation inside a message: as long before the message as the device's own clock says, which is
 * right however wrong that clock is.
 */
export function observationTime(observedAt: string, messageAt: string, receivedAt: number): number {
  const age = Date.parse(messageAt) - Date.parse(observedAt);
  const message = effectiveTime(messageAt, receivedAt);
  return age >= 0 && age <= longestState ? message - age : message;
}

/** How far the device's clock is ahead of ours, in milliseconds (behind: negative), as far as the message's way allows to tell. */
export const clockAhead = (messageAt: string, receivedAt: number): number => Date.parse(messageAt) - receivedAt;
