import type { Calendar } from '../../../../../shared/places/windows.ts';
import { windowCall, windowCallName } from '../../../../../shared/rollouts/machines/window-call.ts';

const nights = (zone: string, from = '22:00', to = '04:00'): Calendar => ({
  zone,
  windows: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'], from, to }],
  blackouts: [],
  freezes: [],
});
const at = (text: string) => Date.parse(text);

test('the first opening, as a clock in its own zone shows it', () => {
  const calendars = [nights('America/Los_Angeles'), nights('America/New_York')];
  expect(windowCall(calendars, at('2027-03-02T20:00:00Z'))).toEqual({
    at: '2027-03-02T22:00:00',
    zone: 'America/New_York',
  });
});

test('nothing is called where it is open now, or never opens', () => {
  expect(windowCall([nights('America/New_York'), nights('Europe/Berlin')], at('2027-03-02T22:30:00Z'))).toBeUndefined();
  expect(windowCall([], at('2027-03-02T20:00:00Z'))).toBeUndefined();
  const never = {
    ...nights('UTC', '22:00', '23:00'),
    blackouts: [{ name: 'always', days: [...(nights('UTC').windows[0]?.days ?? [])], from: '21:00', to: '24:00' }],
  };
  expect(windowCall([never], at('2027-03-02T20:00:00Z'))).toBeUndefined();
});

test('on the day on which the clocks go forward it is the hour of the place', () => {
  // 14 March 2027: 02:00 does not exist in New York, the window opens at the skip.
  const call = windowCall([nights('America/New_York', '02:30', '05:00')], at('2027-03-14T05:00:00Z'));
  expect(call).toEqual({ at: '2027-03-14T03:00:00', zone: 'America/New_York' });
});

test('an hour that comes twice when the clocks go back is said in UTC, which has it once', () => {
  // 7 November 2027: 01:30 comes at 05:30 and at 06:30 UTC; a window is read as short as possible.
  const call = windowCall([nights('America/New_York', '01:30', '05:00')], at('2027-11-07T04:00:00Z'));
  expect(call).toEqual({ at: '2027-11-07T06:30:00', zone: 'UTC' });
});

test('zones of half an hour, and zones that do not change their clocks', () => {
  expect(windowCall([nights('Asia/Kolkata')], at('2027-07-01T12:00:00Z'))).toEqual({
    at: '2027-07-01T22:00:00',
    zone: 'Asia/Kolkata',
  });
  expect(windowCall([nights('America/Phoenix')], at('2027-07-01T12:00:00Z'))).toEqual({
    at: '2027-07-01T22:00:00',
    zone: 'America/Phoenix',
  });
});

test('the name of a schedule has at most 64 characters', () => {
  const ulid = '0'.repeat(26);
  expect(windowCallName(`ro-${ulid}`, `s-${ulid}`, 19).length).toBeLessThanOrEqual(64);
});
