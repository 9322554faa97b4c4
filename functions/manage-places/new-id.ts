import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { ulid } from 'ulid';
import { problems } from '../../shared/http/problem.ts';

/**
 * Id of a new place. With an idempotency key it follows from who asks, where, and the key: the same request again makes
 * the same place.
 *
 * @param within what the key is good for, e.g. the site of a unit
 */
export function newId(prefix: 's' | 'u', within: string, actor: string, key: string | undefined, now: Date): string {
  if (key === undefined) return `${prefix}-${ulid(now.getTime()).toLowerCase()}`;
  const digest = createHash('sha256')
    .update(JSON.stringify([within, actor, key]))
    .digest('hex');
  return `${prefix}-${digest.slice(0, 26)}`;
}

/**
 * What was made before with the same key, if it is what is asked for now.
 *
 * @throws ProblemError 409 when it is not
 */
export function sameAsBefore<Place>(before: Place, asked: Place, inputOf: (place: Place) => unknown): Place {
  if (isDeepStrictEqual(inputOf(before), inputOf(asked))) return before;
  throw problems.conflict('This Idempotency-Key was used for another request. Use a new key for a new request.');
}
