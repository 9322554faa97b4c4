import { type FieldError, problems } from './problem.ts';
import { mostErrors, type ValuePlace } from './validate.ts';

/** Deeper than anything that has a meaning here, and shallow enough for whatever walks through it. */
const deepest = 32;

/**
 * Makes sure that all text in a request can be shown anywhere: without control characters other than line breaks and
 * tabs (a terminal would obey them), without characters that turn the direction of writing (a name could read as
 * another), and without halves of characters (which cannot be stored).
 *
 * @throws ProblemError 400 that points at what is wrong, in 20 places at most; also when the value is nested more than 32 levels deep
 */
export function assertReadable(value: unknown, place: ValuePlace): void {
  const errors: FieldError[] = [];
  const waiting: { readonly value: unknown; readonly path: readonly string[] }[] = [{ value, path: [] }];
  for (let next = waiting.pop(); next !== undefined && errors.length < mostErrors; next = waiting.pop()) {
    const { value: part, path } = next;
    if (path.length > deepest) throw problems.invalid(`The body is nested more than ${deepest} levels deep.`);
    if (typeof part === 'string' && !isReadable(part)) errors.push(error(place, path));
    if (typeof part !== 'object' || part === null) continue;
    for (const [key, inner] of Object.entries(part)) {
      if (isReadable(key)) waiting.push({ value: inner, path: [...path, key] });
      else errors.push(error(place, path));
    }
  }
  if (errors.length === 0) return;
  throw problems.invalid('The request holds characters that cannot be shown.', errors.slice(0, mostErrors));
}

/** Whether the text holds no character that hides, reorders or breaks what stands around it. */
export function isReadable(text: string): boolean {
  return !unreadable.test(text);
}

/** `Cs` are surrogates without their other half. */
const unreadable = /[^\P{Cc}\t\n\r]|[\p{Cs}\u202a-\u202e\u2066-\u2069]/u;

function error(place: ValuePlace, path: readonly string[]): FieldError {
  const pointer =
    place === 'query'
      ? ['query', ...path].join('/')
      : path.map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  return { pointer, detail: 'holds control characters, or characters that turn the direction of writing' };
}
