import { setTimeout as sleep } from 'node:timers/promises';
import { isContention } from './errors.ts';

/**
 * Runs `attempt` again, after a random pause that grows, while it fails because of another write to the same items.
 * The SDK retries throttling of whole requests by itself, but not these.
 *
 * @param attempt one try; it reads what it needs anew, so that each try decides on fresh state
 * @param tries how many in all; the error of the last one is thrown
 */
export async function retryContention<T>(attempt: () => Promise<T>, tries = 8): Promise<T> {
  for (let failed = 0; ; failed += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (failed + 1 >= tries || !isContention(error)) throw error;
      await sleep(Math.random() * Math.min(400, 10 * 2 ** failed));
    }
  }
}
