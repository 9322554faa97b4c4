import * as v from 'valibot';
import { type FieldError, problems } from './problem.ts';

/** Where the value stood in the request: decides how its errors are addressed. */
export type ValuePlace = 'body' | 'query';

/** How many wrong places an answer names: it must stay far below what MQTT carries, whatever was sent. */
export const mostErrors = 20;

/**
 * Checks `value` against `schema` and returns its output.
 *
 * @throws ProblemError 400 with one entry in `errors` for each place that is wrong, the first 20 of them: a JSON Pointer
 *   (RFC 6901) into the body, or `query/<name>`. What was sent is not repeated, so that no secret or patient name ends
 *   up in a log.
 */
export function validate<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  place: ValuePlace = 'body',
): v.InferOutput<Schema> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const errors = fieldErrors(result.issues, place);
  const first = errors[0];
  const where = first === undefined ? '' : ` ${first.pointer === '' ? 'The body' : first.pointer} ${first.detail}.`;
  throw problems.invalid(
    `${errors.length === 1 ? 'One value is' : `${errors.length} values are`} not valid.${where}`,
    errors.slice(0, mostErrors),
  );
}

/** Validation issues as entries of a problem's `errors`. */
export function fieldErrors(issues: readonly v.BaseIssue<unknown>[], place: ValuePlace): FieldError[] {
  const errors = new Map<string, FieldError>();
  for (const issue of issues) {
    const error = { pointer: pointerOf(issue, place), detail: detailOf(issue) };
    // Two checks of a schema may say the same of one value.
    errors.set(`${error.pointer} ${error.detail}`, error);
  }
  return [...errors.values()];
}

function pointerOf(issue: v.BaseIssue<unknown>, place: ValuePlace): string {
  const keys = (issue.path ?? []).map((item) => ('key' in item ? String(item.key) : ''));
  if (place === 'query') return ['query', ...keys].join('/');
  return keys.map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** Says what would be right. Valibot's own messages repeat the received value; a schema's own message does not. */
function detailOf(issue: v.BaseIssue<unknown>): string {
  if (!issue.message.startsWith('Invalid ')) return issue.message;
  if (issue.expected === 'never') return 'is not a known member';
  if (issue.received === 'undefined') return 'is required';
  if (issue.expected === null) return 'has a form that is not accepted';
  return `must be ${issue.expected}`;
}
