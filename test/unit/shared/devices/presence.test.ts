import fc from 'fast-check';
import type { Presence } from '../../../../shared/devices/device.ts';
import { missingSince, type PresenceEvent, presenceAfter } from '../../../../shared/devices/presence.ts';

const start = Date.parse('2026-03-02T08:00:00.000Z');
const iso = (time: number) => new Date(time).toISOString();
const hour = 3_600_000;

const event = (
  eventType: 'connected' | 'disconnected',
  session: number,
  version: number,
  seconds: number,
  more: Partial<PresenceEvent> = {},
): PresenceEvent => ({
  clientId: 'd-1',
  eventType,
  sessionIdentifier: `session-${session}`,
  versionNumber: version,
  timestamp: start + seconds * 1_000,
  ...more,
});

const presenceOf = (events: readonly PresenceEvent[]): Presence | undefined =>
  events.reduce<Presence | undefined>((known, next) => presenceAfter(known, next) ?? known, undefined);

/** Connects and disconnects as a broker counts them, `gap` seconds apart. */
const history = (length: number, gap: number): PresenceEvent[] =>
  Array.from({ length }, (_, n) => event(n % 2 === 0 ? 'connected' : 'disconnected', Math.floor(n / 2), n, n * gap));

describe('presence', () => {
  test('in whatever order and however often events come, the last one is what remains', () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 9 })
          .chain((length) =>
            fc.tuple(
              fc.constant(length),
              fc.constantFrom(1, 30, 400),
              fc.array(fc.nat(length - 1), { maxLength: 12 }),
              fc.shuffledSubarray([...Array(length).keys()], { minLength: length }),
            ),
          ),
        ([length, gap, repeated, order]) => {
          const events = history(length, gap);
          const delivered = [...order, ...repeated].flatMap((n) => events[n] ?? []);
          expect(presenceOf(delivered)).toEqual(presenceOf(events));
          expect(presenceOf(events)?.connected).toBe(length % 2 === 1);
        },
      ),
    );
  });

  test('a session that the device replaced itself does not make it disconnected', () => {
    const first = event('connected', 1, 1, 0);
    const second = event('connected', 2, 2, 10);
    const replaced = event('disconnected', 1, 3, 10, { disconnectReason: 'DUPLICATE_CLIENTID' });
    for (const events of [
      [first, second, replaced],
      [first, replaced, second],
      [replaced, second, first],
    ]) {
      expect(presenceOf(events)).toMatchObject({ connected: true, sessionId: 'session-2' });
    }
  });

  test('the counter may start again after an hour without a connection', () => {
    const events = [event('connected', 1, 7, 0), event('disconnected', 1, 8, 10), event('connected', 2, 0, 7_200)];
    expect(presenceOf(events)).toMatchObject({ connected: true, version: 0 });
    expect(presenceOf([...events].reverse())).toMatchObject({ connected: true, version: 0 });
  });
});

describe('missing since', () => {
  const polling = { lifecycle: 'enrolled', channel: 'https', lastSeenAt: iso(start) } as const;
  const connected = { connected: true, at: iso(start), sessionId: 's', version: 1 };

  test('a polling device, after the coarse hour and three polls', () => {
    expect(missingSince(polling, start + 1.75 * hour)).toBeUndefined();
    expect(missingSince(polling, start + 1.75 * hour + 1)).toBe(iso(start));
  });

  test('a connected device, when it disconnected, or when nothing came for a day', () => {
    const mqtt = { ...polling, channel: 'mqtt', presence: connected } as const;
    expect(missingSince(mqtt, start + 25 * hour)).toBeUndefined();
    expect(missingSince(mqtt, start + 25 * hour + 1)).toBe(iso(start));
    const gone = { ...mqtt, presence: { ...connected, connected: false, at: iso(start + 5) } };
    expect(missingSince(gone, start + 10)).toBe(iso(start + 5));
  });

  test('one that never checked in, since it enrolled; one that is not enrolled is not expected', () => {
    const { lastSeenAt: _never, ...silent } = polling;
    expect(missingSince({ ...silent, enrolledAt: iso(start) }, start + 2 * hour)).toBe(iso(start));
    expect(missingSince({ ...polling, lifecycle: 'revoked' }, start + 100 * hour)).toBeUndefined();
  });
});
