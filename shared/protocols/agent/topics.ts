/** MQTT topics of the agent protocol. `thing` is the device id. */

/** A device publishes its check-ins here, or to `$aws/rules/wardline_checkin/` followed by the same. */
export const checkInTopic = (thing: string): string => `wardline/${thing}/checkin`;

/** The reply to a check-in. */
export const acceptedTopic = (thing: string): string => `${checkInTopic(thing)}/accepted`;

/** Why a check-in was refused. */
export const rejectedTopic = (thing: string): string => `${checkInTopic(thing)}/rejected`;

/** The wake-up: check in now. */
export const wakeTopic = (thing: string): string => `wardline/${thing}/wake`;
