import { type Weekday, weekdays } from '../../../../../shared/places/calendar.ts';
import type { Calendar } from '../../../../../shared/places/windows.ts';
import { bakeEnd } from '../../../../../shared/rollouts/gate/bake.ts';

const place = (zone: string, days: readonly Weekday[] = weekdays, from = '06:30', to = '07:30'): Calendar => ({
  ...{
    windows: [],
    blackouts: days.length === 0 ? [] : [{ name: 'shift change', days: [...days], from, to }],
    freezes: [],
    zone,
  },
});
const end = (begin: string, ...places: readonly Calendar[]) =>
  new Date(bakeEnd(Date.parse(begin), 24, places)).toISOString();

describe('bakeEnd', () => {
  test('is a day later when a change of shifts lies within', () => {
    expect(end('2027-06-01T12:00:00Z', place('America/New_York'))).toBe('2027-06-02T12:00:00.000Z');
    expect(end('2027-06-01T12:00:00Z')).toBe('2027-06-02T12:00:00.000Z');
    expect(end('2027-06-01T12:00:00Z', place('America/New_York', []))).toBe('2027-06-02T12:00:00.000Z');
  });

  test('waits over the weekend for the first change of shifts', () => {
    // Friday evening in Phoenix; the next change is on Monday, 06:30 to 07:30.
    expect(end('2027-06-05T01:00:00Z', place('America/Phoenix', ['mon', 'tue', 'wed', 'thu', 'fri']))).toBe(
      '2027-06-07T14:30:00.000Z',
    );
  });

  test('does not take the end of a change that runs already for one', () => {
    // 07:29 in New York; the change of the next day ends after 24 hours.
    expect(end('2027-06-01T11:29:00Z', place('America/New_York'))).toBe('2027-06-02T11:30:00.000Z');
    expect(end('2027-06-01T10:30:00Z', place('America/New_York'))).toBe('2027-06-02T10:30:00.000Z');
  });

  test('is of real hours on the days on which clocks change, and waits for each place', () => {
    expect(end('2027-03-13T20:00:00Z', place('America/New_York'))).toBe('2027-03-14T20:00:00.000Z');
    // Monday 02:00 in Kolkata; its only change is on Sunday: 2027-11-14T07:30+05:30.
    expect(end('2027-11-07T20:30:00Z', place('America/New_York'), place('Asia/Kolkata', ['sun']))).toBe(
      '2027-11-14T02:00:00.000Z',
    );
  });
});
