import { setTimeout as sleep } from 'node:timers/promises';

/** Seconds before each further try, half a minute in all. */
const pauses = [1, 2, 4, 8, 16];

/**
 * Runs `attempt` again while AWS denies it: what a role may do is known everywhere only some seconds after CloudFormation
 * has made it, and the first call of a new deployment comes sooner. A denial that lasts is thrown as it is.
 *
 * @param pause waits for so many seconds
 */
export async function onceRoleIsKnown<T>(
  attempt: () => Promise<T>,
  pause: (seconds: number) => Promise<unknown> = (seconds) => sleep(seconds * 1_000),
): Promise<T> {
  for (const seconds of pauses) {
    try {
      return await attempt();
    } catch (error) {
      if (!isDenied(error)) throw error;
      await pause(seconds);
    }
  }
  return await attempt();
}

/** KMS and most services say `AccessDeniedException`, S3 says `AccessDenied`. */
function isDenied(error: unknown): boolean {
  return error instanceof Error && /^AccessDenied(Exception)?$/.test(error.name);
}
