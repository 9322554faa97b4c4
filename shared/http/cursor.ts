import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { problems } from './problem.ts';

/**
 * Cursors of paginated lists. A cursor is opaque to the client, but not secret and not trusted: it holds only a
 * position inside the list, never a partition key, so that a forged one cannot reach anything that the query itself
 * does not reach. It is bound to the list and its filters; used with others it is refused instead of giving a list
 * with holes.
 */
const Envelope = v.strictObject({ v: v.literal(1), s: v.string(), p: v.unknown() });

/**
 * @param list what is listed and how it is filtered; the same words must be given to `decodeCursor`
 * @param position where to go on, any JSON value
 */
export function encodeCursor(list: readonly unknown[], position: unknown): string {
  return Buffer.from(JSON.stringify({ v: 1, s: fingerprint(list), p: position }), 'utf8').toString('base64url');
}

/**
 * The position in a cursor.
 *
 * @throws ProblemError 400 when the cursor is not one of this list with these filters
 */
export function decodeCursor<Schema extends v.GenericSchema>(
  list: readonly unknown[],
  cursor: string,
  position: Schema,
): v.InferOutput<Schema> {
  const refusal = () =>
    problems.invalid('The cursor does not belong to this list and these filters. Start again without a cursor.', [
      { pointer: 'query/cursor', detail: 'does not belong to this list' },
    ]);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    throw refusal();
  }
  const envelope = v.safeParse(Envelope, value);
  if (!envelope.success || envelope.output.s !== fingerprint(list)) throw refusal();
  const parsed = v.safeParse(position, envelope.output.p);
  if (!parsed.success) throw refusal();
  return parsed.output;
}

function fingerprint(list: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(list)).digest('base64url').slice(0, 16);
}
