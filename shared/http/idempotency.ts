import { createHash } from 'node:crypto';
import { ulid } from 'ulid';
import { type ProblemError, problems } from './problem.ts';

/** Who asks for something new. */
export interface NewThing {
  /** `user:<sub>` */
  readonly actor: string;
  /** The `Idempotency-Key` of the request. */
  readonly key: string | undefined;
  /** What the key is good for where that is not everywhere, e.g. the site of a unit. */
  readonly within?: string;
}

/**
 * Id of something new: the prefix, `-`, and 26 letters and digits. With an idempotency key it follows from who asks,
 * where, and the key: the same request again makes the same thing.
 *
 * @param now milliseconds since the epoch
 */
export function newId(prefix: string, { actor, key, within = '' }: NewThing, now: number): string {
  if (key === undefined) return `${prefix}-${ulid(now).toLowerCase()}`;
  const digest = createHash('sha256')
    .update(JSON.stringify([within, actor, key]))
    .digest('hex');
  return `${prefix}-${digest.slice(0, 26)}`;
}

/** The answer to a key that came with another request before. */
export const keyWasUsed = (): ProblemError =>
  problems.conflict('This Idempotency-Key was used for another request. Use a new key for a new request.');
