import fc from 'fast-check';
import {
  limiterDecision,
  recent,
  type Use,
  type Window,
  windowMilliseconds,
  withUse,
} from '../../../../../shared/commands/gates/limiter.ts';
import { defaultLimits, enoughDevices, limitOf } from '../../../../../shared/limits/limits.ts';

const start = Date.parse('2026-03-02T08:00:00.000Z');
const limit = fc.integer({ min: 1, max: 6 });
const request = fc.record({
  deviceId: fc.integer({ min: 0, max: 15 }).map((n) => `d-${n}`),
  wait: fc.nat(20 * 60_000),
});

describe('limiterDecision', () => {
  test('lets at most the limit of different devices through in any hour, whatever is asked when', () => {
    fc.assert(
      fc.property(
        fc.array(limit, { minLength: 1, maxLength: 3 }),
        fc.array(request, { maxLength: 60 }),
        (limits, asked) => {
          let windows: Window[] = limits.map((most, index) => ({
            key: `${index}`,
            place: `place ${index}`,
            limit: most,
            uses: [],
            version: 0,
          }));
          let time = start;
          const touched: Use[] = [];
          for (const { deviceId, wait } of asked) {
            time += wait;
            const decision = limiterDecision('wipe', windows, deviceId, new Date(time));
            if (decision.effect === 'deny') {
              // It says when to come back, and then it is true.
              const until = new Date(decision.until ?? '');
              expect(until.getTime()).toBeGreaterThan(time);
              expect(limiterDecision('wipe', windows, deviceId, until).effect).toBe('allow');
              continue;
            }
            const use = { deviceId, at: time, by: 'user:a' };
            windows = windows.map((window) => withUse(window, use));
            touched.push(use);
          }
          const smallest = Math.min(...limits);
          for (const { at } of touched) {
            const within = touched.filter((use) => use.at > at - windowMilliseconds && use.at <= at);
            expect(new Set(within.map(({ deviceId }) => deviceId)).size).toBeLessThanOrEqual(smallest);
          }
        },
      ),
    );
  });

  test('counts a device once an hour, and forgets what is older', () => {
    const use = (deviceId: string, at: number) => ({ deviceId, at, by: 'user:a' });
    const window = { key: 'k', place: 'unit u', limit: 1, version: 1, uses: [use('d-1', start)] };
    expect(limiterDecision('wipe', [window], 'd-1', new Date(start + 1)).effect).toBe('allow');
    expect(withUse(window, use('d-1', start + 1)).uses).toHaveLength(1);
    const refused = limiterDecision('wipe', [window], 'd-2', new Date(start + 1));
    expect(refused).toMatchObject({
      effect: 'deny',
      ruleId: 'R4',
      reason: expect.stringContaining('1 of at most 1 devices within 60 minutes are used up for unit u'),
      until: new Date(start + windowMilliseconds).toISOString(),
      inputs: expect.arrayContaining([
        { signal: 'limit, unit u', value: 1, source: 'directory', at: expect.anything() },
      ]),
    });
    expect(recent(window.uses, start + windowMilliseconds)).toEqual([]);
  });
});

describe('limitOf', () => {
  test('is the smaller of count and share, at least one, and grows only with devices until enough are counted', () => {
    fc.assert(
      fc.property(
        fc.record({ count: fc.integer({ min: 1, max: 500 }), percent: fc.integer({ min: 0, max: 100 }) }),
        fc.nat(5_000),
        (place, devices) => {
          const value = limitOf(place, devices);
          expect(value).toBeGreaterThanOrEqual(1);
          expect(value).toBeLessThanOrEqual(place.count);
          expect(value).toBeLessThanOrEqual(Math.max(1, (devices * place.percent) / 100));
          const enough = enoughDevices(place);
          expect(limitOf(place, Math.min(devices, enough))).toBe(value);
        },
      ),
    );
    expect(limitOf(defaultLimits.wipe.site, 400)).toBe(10);
    expect(limitOf(defaultLimits.wipe.site, 60)).toBe(3);
  });
});
