import fc from 'fast-check';
import { type Blackout, type Freeze, type WeeklyWindow, weekdays } from '../../../../shared/places/calendar.ts';
import type { PlaceFacts } from '../../../../shared/places/facts.ts';
import { loosenedBy } from '../../../../shared/places/loosening.ts';
import { isOpen } from '../../../../shared/places/windows.ts';

const now = Date.parse('2027-03-17T12:00:00Z');
const hour = 3_600_000;
const clock = fc.integer({ min: 0, max: 23 }).map((value) => `${String(value).padStart(2, '0')}:00`);
const days = fc.subarray([...weekdays], { minLength: 1 });
const hours = fc.record({ days, from: clock, to: clock }).filter(({ from, to }) => from !== to);
const windows: fc.Arbitrary<WeeklyWindow[]> = fc.array(hours, { maxLength: 3 });
const blackouts: fc.Arbitrary<Blackout[]> = fc.array(
  hours.map((entry) => ({ name: 'shift', ...entry })),
  { maxLength: 2 },
);
const wall = (value: number) => new Date(now + value * hour).toISOString().slice(0, 16);
const freezes: fc.Arbitrary<Freeze[]> = fc.array(
  fc
    .tuple(fc.integer({ min: -60, max: 200 }), fc.integer({ min: 1, max: 90 }))
    .map(([from, length]) => ({ name: 'freeze', from: wall(from), to: wall(from + length) })),
  { maxLength: 3 },
);
// A zone without daylight saving: there an hour of the week is the same every week.
const facts: fc.Arbitrary<PlaceFacts> = fc.record({
  tier: fc.constantFrom('T0' as const, 'T1' as const, 'T2' as const, 'T3' as const),
  spares: fc.record({ 'infusion-pump': fc.nat(3), tablet: fc.nat(3) }, { requiredKeys: [] }),
  calendar: fc.record({ zone: fc.constant('UTC'), windows, blackouts, freezes }),
});

const calm: PlaceFacts = {
  tier: 'T0',
  spares: { 'infusion-pump': 2 },
  calendar: { zone: 'America/New_York', windows: [], blackouts: [], freezes: [] },
};
const withCalendar = (more: Partial<PlaceFacts['calendar']>): PlaceFacts => ({
  ...calm,
  calendar: { ...calm.calendar, ...more },
});

describe('loosenedBy', () => {
  test('what it does not name is not open at any time at which it was closed', () => {
    const span = Array.from({ length: 15 * 24 }, (_, n) => now + n * hour);
    fc.assert(
      fc.property(facts, facts, (before, after) => {
        const loosened = loosenedBy(before, after, now);
        const opened = span.some((time) => isOpen(after.calendar, time) && !isOpen(before.calendar, time));
        if (opened) expect(loosened.some((what) => what === 'hours' || what === 'freezes')).toBe(true);
        expect(loosened.includes('acuityTier')).toBe((after.tier ?? '') > (before.tier ?? ''));
        const fewer = (['infusion-pump', 'tablet'] as const).some(
          (name) => (after.spares?.[name] ?? 0) < (before.spares?.[name] ?? 0),
        );
        expect(loosened.includes('spares')).toBe(fewer);
      }),
    );
  });

  test('what changes nothing, and what only restricts, loosens nothing', () => {
    fc.assert(
      fc.property(facts, blackouts, freezes, (before, more, longer) => {
        expect(loosenedBy(before, before, now)).toEqual([]);
        const { calendar } = before;
        const stricter = {
          ...before,
          tier: 'T0' as const,
          calendar: {
            ...calendar,
            blackouts: [...calendar.blackouts, ...more],
            freezes: [...calendar.freezes, ...longer],
          },
        };
        expect(loosenedBy(before, stricter, now)).toEqual([]);
      }),
    );
  });

  test.each<[string, PlaceFacts, PlaceFacts, readonly string[]]>([
    ['a laxer tier', calm, { ...calm, tier: 'T2' }, ['acuityTier']],
    ['fewer spares', calm, { ...calm, spares: { 'infusion-pump': 1 } }, ['spares']],
    ['no word of spares', calm, { calendar: calm.calendar, tier: 'T0' }, ['spares']],
    ['more spares, of more classes', calm, { ...calm, spares: { 'infusion-pump': 3, tablet: 1 } }, []],
    ['a first window', calm, withCalendar({ windows: [{ days: ['mon'], from: '22:00', to: '04:00' }] }), []],
    ['no window any more', withCalendar({ windows: [{ days: ['mon'], from: '22:00', to: '04:00' }] }), calm, ['hours']],
    [
      'a window past midnight on Sunday, by an hour longer',
      withCalendar({ windows: [{ days: ['sun'], from: '22:00', to: '04:00' }] }),
      withCalendar({ windows: [{ days: ['sun'], from: '22:00', to: '05:00' }] }),
      ['hours'],
    ],
    [
      'a freeze that ends early',
      withCalendar({ freezes: [{ name: 'f', from: wall(-48), to: wall(48) }] }),
      withCalendar({ freezes: [{ name: 'f', from: wall(-48), to: wall(47) }] }),
      ['freezes'],
    ],
    [
      'a freeze that is over, taken away',
      withCalendar({ freezes: [{ name: 'f', from: wall(-48), to: wall(-24) }] }),
      calm,
      [],
    ],
    [
      'a freeze in two parts that touch',
      withCalendar({ freezes: [{ name: 'f', from: wall(-4), to: wall(48) }] }),
      withCalendar({
        freezes: [
          { name: 'b', from: wall(20), to: wall(50) },
          { name: 'a', from: wall(-9), to: wall(20) },
        ],
      }),
      [],
    ],
    ['another zone where no hours are', calm, withCalendar({ zone: 'Asia/Kolkata' }), []],
    [
      'another zone where hours are',
      withCalendar({ windows: [{ days: ['mon'], from: '01:00', to: '02:00' }] }),
      withCalendar({ zone: 'Asia/Kolkata', windows: [{ days: ['mon'], from: '01:00', to: '02:00' }] }),
      ['timeZone'],
    ],
  ])('%s', (_name, before, after, expected) => {
    expect(loosenedBy(before, after, now)).toEqual(expected);
  });
});
