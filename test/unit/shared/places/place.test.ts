import fc from 'fast-check';
import * as v from 'valibot';
import { isTimeZone, SiteInput, UnitInput } from '../../../../shared/places/place.ts';

describe('isTimeZone', () => {
  test('accepts every zone of the IANA database that the runtime knows', () => {
    for (const zone of Intl.supportedValuesOf('timeZone')) expect([zone, isTimeZone(zone)]).toEqual([zone, true]);
    expect(isTimeZone('UTC')).toBe(true);
  });

  test('refuses offsets and anything else', () => {
    for (const zone of [
      '',
      '+02:00',
      '-0500',
      'Mars/Olympus',
      'America/',
      '../etc',
      'Europe/Berlin ',
      'america/chicago',
    ]) {
      expect([zone, isTimeZone(zone)]).toEqual([zone, false]);
    }
    fc.assert(fc.property(fc.string(), (text) => typeof isTimeZone(text) === 'boolean'));
  });
});

describe('SiteInput and UnitInput', () => {
  test('trim names and refuse what they do not know', () => {
    expect(v.parse(SiteInput, { name: '  Linden Park ', timeZone: 'America/Chicago' }).name).toBe('Linden Park');
    expect(v.is(SiteInput, { name: ' ', timeZone: 'America/Chicago' })).toBe(false);
    expect(v.is(SiteInput, { name: 'x', timeZone: 'America/Chicago', id: 's-1' })).toBe(false);
    expect(v.is(UnitInput, { name: 'ICU', acuityTier: 'T4' })).toBe(false);
    expect(v.is(UnitInput, { name: 'ICU', acuityTier: 'T0' })).toBe(true);
  });

  test('refuse a freeze that is no time, or no day of the calendar, and say so once', () => {
    const problems = (from: string) => {
      const freezes = [{ name: 'Go-live', from, to: '2027-12-01T00:00' }];
      const { issues = [] } = v.safeParse(SiteInput, { name: 'x', timeZone: 'America/Chicago', freezes });
      return issues.map(({ message }) => message);
    };
    expect(problems('2027-11-24T18:00')).toEqual([]);
    expect(problems('22:00')).toContain('must be like 2027-11-24T18:00');
    expect(problems('2027-02-30T18:00')).toEqual(['must be a day of the calendar']);
  });
});
