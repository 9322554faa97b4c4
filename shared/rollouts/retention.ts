/** How long what ended in a rollout is kept beside the devices, days: as long as their commands. */
export const keptDays = 400;

/** DynamoDB's time to live, seconds since the epoch. @param from milliseconds since the epoch */
export const keptUntil = (from: number): number => Math.floor(from / 1_000) + keptDays * 86_400;
