import { type BodySource, header } from './body.ts';
import { ProblemError, problems } from './problem.ts';

/** The entity tag of a version: strong, because two equal versions are the same bytes. */
export function etagOf(version: number): string {
  return `"${version}"`;
}

/**
 * The version that a client says it has seen, from `If-Match` (RFC 9110, 13.1.1). `any` for `*`: the client knowingly
 * overwrites. A weak tag never matches.
 *
 * @throws ProblemError 428 when the header is missing: two people who edit the same thing must not overwrite each other
 *   unseen; 412 when the tag cannot be one of ours
 */
export function requireIfMatch(headers: BodySource['headers']): number | 'any' {
  const value = header(headers, 'if-match')?.trim();
  if (value === undefined || value === '') {
    throw new ProblemError({
      type: '/problems/precondition-required',
      title: 'If-Match is required',
      status: 428,
      detail: 'Read the resource first and send its ETag as If-Match, or If-Match: * to overwrite whatever is there.',
    });
  }
  if (value === '*') return 'any';
  const version = /^"(\d{1,15})"$/.exec(value)?.[1];
  if (version === undefined) throw problems.preconditionFailed('The If-Match header is not an ETag of this resource.');
  return Number(version);
}

/** Throws 412 unless the client has seen the current version. */
export function assertVersion(seen: number | 'any', current: number): void {
  if (seen === 'any' || seen === current) return;
  throw problems.preconditionFailed(
    'The resource was changed after you read it. Read it again, look at the change, then decide.',
  );
}
