import type { Json } from '../cloud.ts';

/** A value of a template that does not have the shape CloudFormation asks for. */
export class PropertyError extends Error {
  constructor(where: string, expected: string, found: Json | undefined) {
    super(`${where}: expected ${expected}, found ${JSON.stringify(found)}`);
    this.name = 'PropertyError';
  }
}

/** The text of a property; templates may spell it as a number or boolean. `where` is for the error. */
export function text(value: Json | undefined, where: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new PropertyError(where, 'text', value);
}

/** The text of a property that may be absent. */
export function optionalText(value: Json | undefined): string | undefined {
  return value === undefined || value === null ? undefined : text(value, 'property');
}

/** The number of a property; templates may spell it as text. */
export function optionalNumber(value: Json | undefined): number | undefined {
  if (value === undefined || value === null) return undefined;
  const number = Number(value);
  if (typeof value === 'object' || Number.isNaN(number)) throw new PropertyError('property', 'a number', value);
  return number;
}

/** Whether a property is true; templates may spell it as text. */
export function isTrue(value: Json | undefined): boolean {
  return value === true || value === 'true';
}

/** The members of a property that is an object; none when it is absent. */
export function objectOf(value: Json | undefined): Readonly<Record<string, Json>> {
  if (value === undefined || value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value;
  throw new PropertyError('property', 'an object', value);
}

/** The items of a property that is a list; none when it is absent, one when it is a single value. */
export function listOf(value: Json | undefined): readonly Json[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}
