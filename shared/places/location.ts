import * as v from 'valibot';

/** Carries no character that HL7 gives a meaning (`^ & ~ | \\`) and no line break. */
const Part = v.pipe(
  v.string(),
  v.trim(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(40, 'must have at most 40 characters'),
  v.regex(/^[^^&~|\\]*$/, 'must not contain ^ & ~ | or \\'),
  v.check((text) => !/\p{Cc}/u.test(text), 'must not contain control characters'),
);
const part = (description: string) => v.optional(v.pipe(Part, v.description(description)));

/** Where a device stands or is bound to, in the six parts that the EHR's messages name a place by (HL7 v2 data type PL). */
export const Location = v.pipe(
  v.strictObject({
    facility: part('Hospital or clinic (PL.4)'),
    building: part('Building (PL.7)'),
    floor: part('Floor (PL.8)'),
    pointOfCare: part('Care unit as the EHR names it (PL.1)'),
    room: part('Room (PL.2)'),
    bed: part('Bed (PL.3)'),
  }),
  v.check((location) => Object.values(location).some((value) => value !== undefined), 'must name a part'),
);
export type Location = v.InferOutput<typeof Location>;

/** The parts by their number in PL; 5 and 6 (status and type) are not kept. */
const components = ['pointOfCare', 'room', 'bed', 'facility', undefined, undefined, 'building', 'floor'] as const;

/**
 * The location as a PL, `point of care^room^bed^facility^^^building^floor`: short enough for the head of a device, and
 * equal to what a message says of the same place.
 */
export function encodeLocation(location: Location): string {
  const parts = components.map((name) => (name === undefined ? '' : (location[name] ?? '')));
  return parts.join('^').replace(/\^+$/, '');
}

/** The location that a PL of `encodeLocation` names. */
export function decodeLocation(text: string): Location {
  const parts = text.split('^');
  const named = components.flatMap((name, index) => {
    const value = parts[index];
    return name === undefined || value === undefined || value === '' ? [] : [[name, value] as const];
  });
  return Object.fromEntries(named);
}
