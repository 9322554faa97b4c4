/**
 * How many of each function of rollouts work at the same time. A rollout's counts are one partition of the Directory
 * table, and its devices at a site one of the index `byRollout`: `npm run bench:rollout` fails when these could be written
 * to more than 1,000 times a second.
 */
export const rolloutConcurrency = {
  /** `rollout-progress`, by its queue. */
  progress: 5,
  tick: 3,
  step: 20,
} as const;
