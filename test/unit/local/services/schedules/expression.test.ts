import fc from 'fast-check';
import { InvalidSchedule } from '../../../../../local/services/schedules/cron.ts';
import { parseSchedule } from '../../../../../local/services/schedules/expression.ts';
import { timeOfWall, wallTime } from '../../../../../local/services/schedules/zone.ts';

const next = (expression: string, after: string, zone?: string): string | undefined => {
  const time = parseSchedule(expression, zone).next(Date.parse(after), 0);
  return time === undefined ? undefined : new Date(time).toISOString().replace('.000Z', 'Z');
};

const zones = fc.constantFrom(
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe',
  'Asia/Kolkata',
  'America/St_Johns',
  'Pacific/Apia',
);
const times = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2035, 0, 1) });

describe('cron', () => {
  test.each<[string, string, string | undefined, string]>([
    ['cron(0 2 * * ? *)', '2026-05-01T02:00:00Z', '2026-05-02T02:00:00Z', 'UTC'],
    ['cron(0 2 * * ? *)', '2026-05-01T01:59:59Z', '2026-05-01T02:00:00Z', 'UTC'],
    ['cron(0/15 * * * ? *)', '2026-05-01T01:46:00Z', '2026-05-01T02:00:00Z', 'UTC'],
    ['cron(15 10 ? * MON-FRI *)', '2026-05-01T12:00:00Z', '2026-05-04T10:15:00Z', 'UTC'],
    ['cron(0 0 ? * FRI-MON *)', '2026-05-04T00:00:00Z', '2026-05-08T00:00:00Z', 'UTC'],
    ['cron(0 12 L * ? *)', '2028-02-10T00:00:00Z', '2028-02-29T12:00:00Z', 'UTC'],
    ['cron(0 12 ? * 6L *)', '2026-05-01T00:00:00Z', '2026-05-29T12:00:00Z', 'UTC'],
    ['cron(0 12 ? * TUE#2 *)', '2026-05-13T00:00:00Z', '2026-06-09T12:00:00Z', 'UTC'],
    ['cron(0 12 15W * ? *)', '2026-08-01T00:00:00Z', '2026-08-14T12:00:00Z', 'UTC'],
    ['cron(0 12 1W * ? *)', '2026-08-01T00:00:00Z', '2026-08-03T12:00:00Z', 'UTC'],
    ['cron(0 0 29 2 ? *)', '2026-01-01T00:00:00Z', '2028-02-29T00:00:00Z', 'UTC'],
    ['cron(0 0 30 2 ? *)', '2026-01-01T00:00:00Z', undefined, 'UTC'],
    ['cron(0 0 1 1 ? 2020)', '2026-01-01T00:00:00Z', undefined, 'UTC'],
    // Clocks in Berlin go from 02:00 to 03:00 on 2026-03-29: 02:30 is skipped that day.
    ['cron(30 2 * * ? *)', '2026-03-28T12:00:00Z', '2026-03-30T00:30:00Z', 'Europe/Berlin'],
    // They go from 03:00 to 02:00 on 2026-10-25: 02:30 comes twice and is due once.
    ['cron(30 2 * * ? *)', '2026-10-24T12:00:00Z', '2026-10-25T00:30:00Z', 'Europe/Berlin'],
    ['cron(30 2 * * ? *)', '2026-10-25T00:30:00Z', '2026-10-26T01:30:00Z', 'Europe/Berlin'],
    ['cron(0 8 * * ? *)', '2026-07-01T00:00:00Z', '2026-07-01T12:00:00Z', 'America/New_York'],
  ])('%s after %s is %s %s', (expression, after, expected, zone) => {
    expect(next(expression, after, zone)).toBe(expected);
  });

  test.each([
    'cron(0 2 * * * *)',
    'cron(0 2 ? * ? *)',
    'cron(0 2 * * ?)',
    'cron(60 2 * * ? *)',
    'cron(0 2 32 * ? *)',
    'cron(0/0 2 * * ? *)',
    'cron(0 2 ? * MON#6 *)',
    'cron(a b c d e f)',
    'rate(0 minutes)',
    'rate(5 seconds)',
    'at(2026-02-30T00:00:00)',
    'at(2026-02-03)',
    'every day',
  ])('refuses %s', (expression) => {
    expect(() => parseSchedule(expression)).toThrow(InvalidSchedule);
  });

  test('refuses an unknown zone', () => {
    expect(() => parseSchedule('rate(1 day)', 'Mars/Olympus')).toThrow('IANA');
  });

  test('any text is a schedule or is refused as one', () => {
    const inside = fc.string({ unit: fc.constantFrom(...'0123456789*?,-/LW#MONFRI '.split('')), maxLength: 30 });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          inside.map((text) => `cron(${text})`),
          inside.map((text) => `rate(${text})`),
        ),
        (expression) => {
          try {
            const due = parseSchedule(expression).next(Date.UTC(2026, 0, 1), 0);
            if (due !== undefined) expect(due).toBeGreaterThan(Date.UTC(2026, 0, 1));
          } catch (error) {
            expect(error).toBeInstanceOf(InvalidSchedule);
          }
        },
      ),
    );
  });

  test('due times go forward and show the wanted time on the wall', () => {
    fc.assert(
      fc.property(times, zones, fc.nat(23), fc.nat(59), (after, zone, hour, minute) => {
        const due = parseSchedule(`cron(${minute} ${hour} * * ? *)`, zone).next(after, 0) ?? 0;
        expect(due).toBeGreaterThan(after);
        // At most one skipped day lies between.
        expect(due - after).toBeLessThanOrEqual(3 * 86_400_000);
        const wall = new Date(wallTime(due, zone));
        expect([wall.getUTCHours(), wall.getUTCMinutes()]).toEqual([hour, minute]);
      }),
    );
  });
});

describe('rate and at', () => {
  test('a rate counts from the start', () => {
    const start = Date.UTC(2026, 0, 1, 0, 3);
    const schedule = parseSchedule('rate(5 minutes)');
    expect(schedule.next(start, start)).toBe(start + 300_000);
    expect(schedule.next(start + 299_999, start)).toBe(start + 300_000);
    expect(schedule.next(start + 300_000, start)).toBe(start + 600_000);
    expect(schedule.next(start - 1_000_000, start)).toBe(start + 300_000);
  });

  test('at is due once, in its zone', () => {
    expect(next('at(2026-07-01T08:00:00)', '2026-01-01T00:00:00Z', 'Europe/Berlin')).toBe('2026-07-01T06:00:00Z');
    expect(next('at(2026-07-01T08:00:00)', '2026-07-01T06:00:00Z', 'Europe/Berlin')).toBeUndefined();
  });
});

test('wall time and time are inverse but for the hours in which clocks change', () => {
  fc.assert(
    fc.property(times, zones, (time, zone) => {
      const back = timeOfWall(wallTime(time, zone), zone) ?? Number.NaN;
      // A wall time that comes twice gives the first of the two.
      expect(time - back).toBeGreaterThanOrEqual(0);
      expect(time - back).toBeLessThanOrEqual(3_600_000);
      expect(wallTime(back, zone)).toBe(wallTime(time, zone));
    }),
  );
});
