import { createHash } from 'node:crypto';

/**
 * JSON without white space, with the members of each object in order of their names (by UTF-16 code units), so that equal
 * values give equal text. For what JSON can hold this is the JSON Canonicalization Scheme (RFC 8785). Members that are
 * undefined are left out.
 */
export function canonicalJson(value: unknown): string {
  return textOf(value) ?? 'null';
}

/** Written out here, because objects of JavaScript move names that look like numbers to the front, whatever is asked for. */
function textOf(value: unknown): string | undefined {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return JSON.stringify(value);
  const members = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, part]) => {
      const text = textOf(part);
      return text === undefined ? [] : [`${JSON.stringify(name)}:${text}`];
    });
  return `{${members.join(',')}}`;
}

/** 128 bits of SHA-256 over the canonical JSON of `value`, base64url: equal for equal values. */
export function contentHash(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest().subarray(0, 16).toString('base64url');
}
