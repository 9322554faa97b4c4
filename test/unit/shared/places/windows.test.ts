import fc from 'fast-check';
import * as v from 'valibot';
import { Blackout, Freeze, WeeklyWindow, weekdays } from '../../../../shared/places/calendar.ts';
import { type Calendar, isOpen, nextOpening } from '../../../../shared/places/windows.ts';
import { firstInstantFrom, instantsOf, wallTimeOf } from '../../../../shared/places/zone.ts';

const everyDay = [...weekdays];
const window = (from: string, to: string, days = everyDay): WeeklyWindow => ({ days, from, to });
const blackout = (from: string, to: string, days = everyDay): Blackout => ({ name: 'shift change', days, from, to });
const calendar = (zone: string, more: Partial<Calendar>): Calendar => ({
  windows: [],
  blackouts: [],
  freezes: [],
  zone,
  ...more,
});
const at = (time: string) => Date.parse(time);
const opening = (of: Calendar, now: string) => {
  const span = nextOpening(of, at(now));
  return span && [new Date(span.from).toISOString(), new Date(span.to).toISOString()];
};

describe('nextOpening', () => {
  test('is in local time, whichever offset the zone has', () => {
    const night = { windows: [window('02:00', '04:00')] };
    const cases = [
      ['America/New_York', '2027-01-10T12:00:00Z', '2027-01-11T07:00:00.000Z'],
      ['America/New_York', '2027-07-10T12:00:00Z', '2027-07-11T06:00:00.000Z'],
      ['America/Phoenix', '2027-07-10T12:00:00Z', '2027-07-11T09:00:00.000Z'],
      ['Asia/Kolkata', '2027-07-10T12:00:00Z', '2027-07-10T20:30:00.000Z'],
      ['Australia/Adelaide', '2027-07-10T12:00:00Z', '2027-07-10T16:30:00.000Z'],
      ['Australia/Adelaide', '2027-01-10T12:00:00Z', '2027-01-10T15:30:00.000Z'],
      ['Pacific/Honolulu', '2027-07-10T12:00:00Z', '2027-07-10T12:00:00.000Z'],
    ] as const;
    for (const [zone, now, begins] of cases)
      expect([zone, opening(calendar(zone, night), now)?.[0]]).toEqual([zone, begins]);
  });

  test('begins now when it is open, and goes over midnight and into the next window', () => {
    const of = calendar('America/Chicago', {
      windows: [window('22:00', '24:00', ['sat']), window('00:00', '03:00', ['sun'])],
    });
    // Saturday 2027-06-05, 23:15 in Chicago.
    expect(opening(of, '2027-06-06T04:15:00Z')).toEqual(['2027-06-06T04:15:00.000Z', '2027-06-06T08:00:00.000Z']);
    const spanning = calendar('America/Chicago', { windows: [window('22:00', '03:00', ['sat'])] });
    expect(opening(spanning, '2027-06-06T07:59:59.999Z')?.[1]).toBe('2027-06-06T08:00:00.000Z');
    expect(isOpen(spanning, at('2027-06-06T08:00:00Z'))).toBe(false);
  });

  test('waits for the end of a shift change and of a freeze', () => {
    const of = calendar('America/New_York', {
      windows: [window('05:00', '09:00')],
      blackouts: [blackout('06:30', '07:30')],
      freezes: [{ name: 'Go-live', from: '2027-11-24T00:00', to: '2027-11-29T06:00' }],
    });
    expect(opening(of, '2027-11-20T11:45:00Z')).toEqual(['2027-11-20T12:30:00.000Z', '2027-11-20T14:00:00.000Z']);
    expect(opening(of, '2027-11-24T05:00:00Z')).toEqual(['2027-11-29T11:00:00.000Z', '2027-11-29T11:30:00.000Z']);
  });

  test('sees beyond a freeze of months', () => {
    const freezes = [
      { name: 'Pandemic', from: '2027-01-01T00:00', to: '2027-07-01T00:00' },
      { name: 'Move', from: '2027-06-20T00:00', to: '2027-09-01T00:00' },
    ];
    const of = calendar('America/Phoenix', { windows: [window('01:00', '02:00', ['mon'])], freezes });
    // The first Monday after 1 September 2027.
    expect(opening(of, '2027-02-01T00:00:00Z')?.[0]).toBe('2027-09-06T08:00:00.000Z');
  });

  test('is never when the windows lie in the blackouts, and always when nothing is said', () => {
    const never = calendar('Asia/Kolkata', {
      windows: [window('06:00', '07:00')],
      blackouts: [blackout('05:00', '08:00')],
    });
    expect(opening(never, '2027-02-01T00:00:00Z')).toBeUndefined();
    expect(isOpen(calendar('Asia/Kolkata', {}), at('2027-02-01T00:00:00Z'))).toBe(true);
  });
});

describe('where daylight saving begins (New York, 2027-03-14, 02:00 is 03:00)', () => {
  const before = '2027-03-14T00:00:00-05:00';
  test.each([
    ['01:00', '04:00', '2027-03-14T06:00:00.000Z', '2027-03-14T08:00:00.000Z'],
    ['02:30', '04:00', '2027-03-14T07:00:00.000Z', '2027-03-14T08:00:00.000Z'],
    ['01:00', '02:30', '2027-03-14T06:00:00.000Z', '2027-03-14T07:00:00.000Z'],
    // What is skipped comes on the next day.
    ['02:10', '02:50', '2027-03-15T06:10:00.000Z', '2027-03-15T06:50:00.000Z'],
  ])('a window %s to %s', (from, to, begins, ends) => {
    expect(opening(calendar('America/New_York', { windows: [window(from, to)] }), before)).toEqual([begins, ends]);
  });

  test('a blackout that begins in the skipped hour begins with it', () => {
    const of = calendar('America/New_York', { blackouts: [blackout('02:30', '04:00')] });
    expect(isOpen(of, at('2027-03-14T06:59:59.999Z'))).toBe(true);
    expect(isOpen(of, at('2027-03-14T07:00:00Z'))).toBe(false);
    expect(isOpen(of, at('2027-03-14T08:00:00Z'))).toBe(true);
  });
});

describe('where daylight saving ends (New York, 2027-11-07, 02:00 is 01:00 again)', () => {
  const before = '2027-11-07T00:00:00-04:00';
  test.each([
    ['00:30', '03:00', '2027-11-07T04:30:00.000Z', '2027-11-07T08:00:00.000Z'],
    // The repeated times are read so that the window is as short as possible.
    ['01:30', '03:00', '2027-11-07T06:30:00.000Z', '2027-11-07T08:00:00.000Z'],
    ['00:30', '01:30', '2027-11-07T04:30:00.000Z', '2027-11-07T05:30:00.000Z'],
    ['01:15', '01:45', '2027-11-07T05:15:00.000Z', '2027-11-07T05:45:00.000Z'],
  ])('a window %s to %s', (from, to, begins, ends) => {
    expect(opening(calendar('America/New_York', { windows: [window(from, to)] }), before)).toEqual([begins, ends]);
  });

  test('a blackout is as long as it can be', () => {
    const of = calendar('America/New_York', { blackouts: [blackout('01:15', '01:45')] });
    expect(isOpen(of, at('2027-11-07T05:14:59Z'))).toBe(true);
    for (const time of ['05:15', '05:50', '06:10', '06:44']) {
      expect([time, isOpen(of, at(`2027-11-07T${time}:00Z`))]).toEqual([time, false]);
    }
    expect(isOpen(of, at('2027-11-07T06:45:00Z'))).toBe(true);
  });
});

const zones = [
  'America/New_York',
  'America/Phoenix',
  'Asia/Kolkata',
  'Australia/Adelaide',
  'Australia/Lord_Howe',
  'Europe/London',
  'Pacific/Honolulu',
  'Pacific/Chatham',
];
const zone = fc.constantFrom(...zones);
/** Mostly around changes of daylight saving in both hemispheres. */
const instant = fc
  .tuple(
    fc.constantFrom(
      at('2027-03-14T07:00Z'),
      at('2027-11-07T06:00Z'),
      at('2027-04-03T16:30Z'),
      at('2027-10-02T16:30Z'),
      at('2027-03-28T01:00Z'),
      at('2027-07-01T00:00Z'),
    ),
    fc.integer({ min: -2 * 1440, max: 2 * 1440 }),
  )
  .map(([around, minutes]) => around + minutes * 60_000);
const clock = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
  .map(([hours, minutes]) => `${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`);
const days = fc.uniqueArray(fc.constantFrom(...weekdays), { minLength: 1 });
const windows = fc.array(
  fc.record({ days, from: clock, to: clock }).filter(({ from, to }) => from !== to),
  { maxLength: 3 },
);
const blackouts = windows.map((list) => list.map((entry) => ({ name: 'n', ...entry })));

/** Whether the clock on the wall reads a time of the entry: the plain meaning of a window, minute by minute. */
function reads(entry: WeeklyWindow, zoneName: string, time: number): boolean {
  const wall = wallTimeOf(zoneName, time);
  const [minutes, day] = [Math.floor((wall % 86_400_000) / 60_000), Math.floor(wall / 86_400_000)];
  const weekday = (offset: number) => weekdays[(((day + 3 + offset) % 7) + 7) % 7] ?? 'mon';
  const of = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
  const [from, to] = [of(entry.from), of(entry.to)];
  if (from < to) return entry.days.includes(weekday(0)) && minutes >= from && minutes < to;
  return (entry.days.includes(weekday(0)) && minutes >= from) || (entry.days.includes(weekday(-1)) && minutes < to);
}

describe('isOpen and nextOpening', () => {
  test('open means: the clock reads a time of a window and of no blackout', () => {
    fc.assert(
      fc.property(zone, windows, blackouts, instant, (zoneName, open, closed, now) => {
        if (!isOpen(calendar(zoneName, { windows: open, blackouts: closed }), now)) return;
        expect(open.length === 0 || open.some((entry) => reads(entry, zoneName, now))).toBe(true);
        expect(closed.some((entry) => reads(entry, zoneName, now))).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

  test('where no clock changes, it is open exactly then', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('America/Phoenix', 'Asia/Kolkata', 'UTC'),
        windows,
        blackouts,
        instant,
        (zoneName, open, closed, now) => {
          const expected =
            (open.length === 0 || open.some((entry) => reads(entry, zoneName, now))) &&
            !closed.some((entry) => reads(entry, zoneName, now));
          expect(isOpen(calendar(zoneName, { windows: open, blackouts: closed }), now)).toBe(expected);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('the next opening is open, not before now, closed before it and at its end', () => {
    fc.assert(
      fc.property(zone, windows, blackouts, instant, (zoneName, open, closed, now) => {
        const of = calendar(zoneName, { windows: open, blackouts: closed });
        const span = nextOpening(of, now);
        if (span === undefined) return;
        expect(span.from).toBeGreaterThanOrEqual(now);
        expect(span.to).toBeGreaterThan(span.from);
        expect(isOpen(of, span.from)).toBe(true);
        expect(isOpen(of, span.to - 1)).toBe(true);
        if (span.from > now) expect(isOpen(of, span.from - 1)).toBe(false);
        expect(span.from === now).toBe(isOpen(of, now));
      }),
      { numRuns: 500 },
    );
  });

  test('a blackout or freeze more never opens', () => {
    const freeze = fc.tuple(instant, fc.integer({ min: 1, max: 4_000 })).map(([from, minutes]) => ({
      name: 'f',
      from: new Date(from).toISOString().slice(0, 16),
      to: new Date(from + minutes * 60_000).toISOString().slice(0, 16),
    }));
    fc.assert(
      fc.property(zone, windows, blackouts, freeze, instant, (zoneName, open, closed, frozen, now) => {
        const more = isOpen(calendar(zoneName, { windows: open, blackouts: closed, freezes: [frozen] }), now);
        if (more) expect(isOpen(calendar(zoneName, { windows: open }), now)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('local time', () => {
  test('an instant is among those that its local time can mean, and they are at most two', () => {
    fc.assert(
      fc.property(zone, instant, (zoneName, now) => {
        const found = instantsOf(zoneName, wallTimeOf(zoneName, now));
        expect(found).toContain(now);
        expect(found.length).toBeLessThanOrEqual(2);
        expect([...found].sort((a, b) => a - b)).toEqual(found);
      }),
      { numRuns: 1_000 },
    );
  });

  test('a skipped local time means the moment of the skip, also in a zone that skipped a day', () => {
    expect(instantsOf('America/New_York', at('2027-03-14T02:30Z'))).toEqual([]);
    expect(firstInstantFrom('America/New_York', at('2027-03-14T02:30Z'))).toBe(at('2027-03-14T07:00Z'));
    expect(firstInstantFrom('Pacific/Apia', at('2011-12-30T12:00Z'))).toBe(at('2011-12-30T10:00Z'));
    expect(instantsOf('America/New_York', at('2027-11-07T01:30Z'))).toEqual([
      at('2027-11-07T05:30Z'),
      at('2027-11-07T06:30Z'),
    ]);
    expect(instantsOf('Australia/Lord_Howe', at('2027-04-04T01:45Z'))).toHaveLength(2);
  });
});

describe('WeeklyWindow, Blackout and Freeze', () => {
  test('refuse what means nothing', () => {
    const good = { days: ['mon'], from: '22:00', to: '24:00' };
    expect(v.is(WeeklyWindow, good)).toBe(true);
    for (const change of [
      { days: [] },
      { days: ['mon', 'mon'] },
      { days: ['Monday'] },
      { from: '24:00' },
      { from: '7:00' },
      { to: '22:00' },
      { zone: 'UTC' },
    ]) {
      expect([change, v.is(WeeklyWindow, { ...good, ...change })]).toEqual([change, false]);
    }
    expect(v.is(Blackout, good)).toBe(false);
    expect(v.is(Blackout, { name: 'Shift', ...good })).toBe(true);
    const freeze = { name: 'Go-live', from: '2027-02-28T00:00', to: '2027-03-01T00:00' };
    expect(v.is(Freeze, freeze)).toBe(true);
    for (const change of [
      { to: '2027-02-28T00:00' },
      { to: '2027-02-30T00:00' },
      { to: '2027-13-01T00:00' },
      { from: '2027-02-28' },
      { name: ' ' },
    ]) {
      expect([change, v.is(Freeze, { ...freeze, ...change })]).toEqual([change, false]);
    }
  });
});
