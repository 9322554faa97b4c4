import { isDeepStrictEqual } from 'node:util';
import { keyWasUsed } from '../../shared/http/idempotency.ts';

/**
 * What was made before with the same key, if it is what is asked for now. Later changes of it are no other request.
 *
 * @throws ProblemError 409 when it is not
 */
export function sameAsBefore<Place extends { readonly version: number }>(
  before: Place,
  asked: Place,
  inputOf: (place: Place) => unknown,
): Place {
  if (before.version > 1 || isDeepStrictEqual(inputOf(before), inputOf(asked))) return before;
  throw keyWasUsed();
}
