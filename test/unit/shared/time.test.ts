import fc from 'fast-check';
import * as v from 'valibot';
import { Time } from '../../../shared/time.ts';

describe('Time', () => {
  test('takes any moment, with any offset', () => {
    const date = fc.date({ noInvalidDate: true, min: new Date('0001-01-02'), max: new Date('9999-12-30') });
    const offset = fc.constantFrom('Z', '+00:00', '-05:30', '+14:00', '+0100');
    fc.assert(
      fc.property(date, offset, (moment, zone) => {
        const text = moment.toISOString().replace('Z', zone);
        expect([text, v.is(Time, text)]).toEqual([text, true]);
        expect(Number.isNaN(Date.parse(text))).toBe(false);
      }),
    );
  });

  test.each([
    '2026-02-30T00:00:00Z',
    '2026-04-31T00:00:00+02:00',
    // Of the right form, but JavaScript reads no offset without minutes.
    '2026-01-01T10:00:00+01',
    '2026-01-01',
    '22:00',
    '+275760-09-13T00:00:00.001Z',
    '',
  ])('refuses %s, and says so once', (text) => {
    const { success, issues = [] } = v.safeParse(Time, text);
    expect([success, issues.length]).toEqual([false, 1]);
  });

  test('what it takes can be reckoned with, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(v.ISO_TIMESTAMP_REGEX)), (text) => {
        if (v.is(Time, text)) expect(new Date(text).toISOString()).toBeDefined();
      }),
    );
  });
});
