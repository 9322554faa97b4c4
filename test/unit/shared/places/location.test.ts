import fc from 'fast-check';
import * as v from 'valibot';
import { decodeLocation, encodeLocation, Location } from '../../../../shared/places/location.ts';

describe('Location', () => {
  test('is written in the order of HL7 PL', () => {
    const location = {
      facility: 'Linden Park',
      building: 'East Tower',
      floor: '5',
      pointOfCare: 'Surgical',
      room: '512',
      bed: 'B',
    };
    expect(encodeLocation(location)).toBe('Surgical^512^B^Linden Park^^^East Tower^5');
    expect(encodeLocation({ pointOfCare: 'ICU' })).toBe('ICU');
    expect(encodeLocation({ floor: '2' })).toBe('^^^^^^^2');
  });

  test('comes back as it was', () => {
    const part = fc.option(
      fc
        .string({ minLength: 1, maxLength: 40 })
        .filter((text) => v.is(Location, { room: text }) && text === text.trim()),
      { nil: undefined },
    );
    const location = fc.record({
      facility: part,
      building: part,
      floor: part,
      pointOfCare: part,
      room: part,
      bed: part,
    });
    fc.assert(
      fc.property(location, (value) => {
        fc.pre(v.is(Location, value));
        expect(decodeLocation(encodeLocation(value))).toEqual(
          Object.fromEntries(Object.entries(value).filter(([, text]) => text !== undefined)),
        );
      }),
    );
  });

  test('refuses what HL7 gives a meaning, and nothing at all', () => {
    for (const room of ['a^b', 'a&b', 'a~b', 'a|b', 'a\\b', 'a\nb', '', ' ', 'x'.repeat(41)]) {
      expect([room, v.is(Location, { room })]).toEqual([room, false]);
    }
    expect(v.is(Location, {})).toBe(false);
    expect(v.is(Location, { ward: 'x' })).toBe(false);
  });
});
