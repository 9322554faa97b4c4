import fc from 'fast-check';
import { CommandType, type StoredCommand } from '../../../../shared/commands/command.ts';
import { isFinal } from '../../../../shared/commands/life.ts';
import {
  type CheckIn,
  chooseHandOut,
  handedOut,
  handOutLimit,
  mayBeHandedOut,
  nextCheckInSeconds,
  settle,
} from '../../../../shared/devices/check-in.ts';
import type { Device } from '../../../../shared/devices/device.ts';
import { clinicalSaidAt, headChanges } from '../../../../shared/devices/head-changes.ts';
import { effectiveTime, longestDelay, observationTime } from '../../../../shared/devices/report-time.ts';
import { decideInterlock } from '../../../../shared/interlock/decide.ts';
import type { CheckInMessage } from '../../../../shared/protocols/agent/messages.ts';
import { parseCheckIn } from '../../../../shared/protocols/agent/parse.ts';

const start = Date.parse('2026-03-02T08:00:00.000Z');
const iso = (time: number) => new Date(time).toISOString();
const hour = 3_600_000;

const device: Device = {
  id: 'd-000000000000000000000000',
  serial: 'S-1',
  platform: 'iomt',
  class: 'infusion-pump',
  ownership: 'organization',
  lifecycle: 'enrolled',
  createdAt: iso(start),
  enrolledAt: iso(start),
  certificate: 'ab'.repeat(32),
  lastSeenAt: iso(start),
  desiredVersion: 0,
  queueSeq: 0,
  version: 1,
};
const caller = { deviceId: device.id, certificate: 'ab'.repeat(32), channel: 'mqtt' as const };

const command = (n: number, more: Partial<StoredCommand> = {}): StoredCommand => ({
  id: `5-01ARZ3NDEKTSV4RRFFQ69G${String(n).padStart(4, '0')}`,
  deviceId: device.id,
  type: CommandType.Message,
  parameters: { text: 'hello' },
  status: 'queued',
  createdAt: iso(start + n),
  expiresAt: iso(start + 24 * hour),
  requestedBy: 'user:anna',
  history: [{ status: 'queued', at: iso(start + n), source: 'user:anna' }],
  revision: 1,
  seq: n,
  ...more,
});

const at = (time: number, message: Partial<CheckInMessage> = {}): CheckIn => ({
  device,
  message: { at: iso(time), ...message },
  receivedAt: time,
  now: time,
});

const anyResult = fc.record(
  {
    commandId: fc.constantFrom(command(0).id, command(1).id),
    status: fc.constantFrom('acknowledged' as const, 'failed' as const, 'deferred' as const),
    reason: fc.string({ maxLength: 20 }),
    until: fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  },
  { requiredKeys: ['commandId', 'status'] },
);
/** Any time that a device clock may show. */
const anyTime = fc.date({ min: new Date('1970-01-01'), max: new Date('2099-01-01'), noInvalidDate: true });

describe('settle', () => {
  test('settling twice with the same check-in is settling once', () => {
    fc.assert(
      fc.property(
        fc.array(anyResult, { maxLength: 4 }),
        anyTime,
        fc.nat(30 * 24 * hour),
        fc.constantFrom(...Object.values(CommandType)),
        (results, deviceTime, later, type) => {
          const checkIn = at(start + later, { at: deviceTime.toISOString(), results, posture: { locked: true } });
          const once = settle(command(0, { type }), checkIn);
          fc.pre(results.filter((result) => result.commandId === once.id).length <= 1);
          expect(settle(once, checkIn)).toBe(once);
        },
      ),
    );
  });

  test('a deferral always ends, and never after the command does', () => {
    fc.assert(
      fc.property(anyTime, anyTime, (deviceTime, until) => {
        const results = [{ commandId: command(0).id, status: 'deferred' as const, until: until.toISOString() }];
        const settled = settle(command(0), at(start + hour, { at: deviceTime.toISOString(), results }));
        expect(settled.status).toBe('deferred');
        const waits = Date.parse(settled.deferredUntil ?? '') - (start + hour);
        expect(waits).toBeGreaterThanOrEqual(30_000 - longestDelay);
        expect(settled.deferredUntil?.localeCompare(settled.expiresAt)).toBeLessThanOrEqual(0);
      }),
    );
  });

  test('handed out means delivered, not final, and only while it may be', () => {
    fc.assert(
      fc.property(fc.array(anyResult, { maxLength: 3 }), fc.nat(48 * hour), (results, later) => {
        const now = start + later;
        const settled = settle(command(0), at(now, { results }));
        if (!mayBeHandedOut(settled, now)) return;
        const handed = handedOut(settled, now);
        expect(handed.status).toBe('delivered');
        expect(isFinal(handed)).toBe(false);
        expect(handedOut(handed, now + 1)).toBe(handed);
      }),
    );
  });

  test.each([
    ['lock', {}, { posture: { locked: true } }, true],
    ['lock', {}, { posture: { locked: false } }, false],
    ['lock', {}, { posture: { locked: 'unknown' } }, false],
    ['restart', {}, { posture: { bootedAt: iso(start + 30_000) } }, true],
    ['restart', {}, { posture: { bootedAt: iso(start - 30_000) } }, false],
    ['restart', {}, { posture: { bootedAt: 'unknown' } }, false],
    ['inventory', {}, { inventory: {} }, true],
    ['install-update', { version: '5.1' }, { inventory: { os: { version: '5.1' } } }, true],
    ['install-update', { version: '5.1' }, { inventory: { os: { version: '5.0' } } }, false],
    ['install-update', { version: '5.1' }, { inventory: { os: 'Pump OS 5.1' } }, false],
    ['apply-config', { version: 3 }, { desiredVersion: 3 }, true],
    ['apply-config', { version: 3 }, { desiredVersion: 2 }, false],
  ] as const)('%s %j is verified by %j: %s', (type, parameters, report, verified) => {
    const delivered = handedOut(command(0, { type, parameters }), start + 10);
    const acknowledged = settle(
      delivered,
      at(start + 60_000, { results: [{ commandId: delivered.id, status: 'acknowledged' }] }),
    );
    expect(acknowledged.status).toBe('acknowledged');
    expect(settle(acknowledged, at(start + 120_000, report)).status).toBe(verified ? 'verified' : 'acknowledged');
  });

  test('a restart is seen although the clock of the device is years off', () => {
    const skew = -20 * 365 * 24 * hour;
    const delivered = handedOut(command(0, { type: 'restart' }), start + 10);
    const results = [{ commandId: delivered.id, status: 'acknowledged' as const }];
    const boot = (time: number) => ({
      ...at(start + 60_000, { results, posture: { bootedAt: iso(time + skew) } }),
      message: { at: iso(start + 60_000 + skew), results, posture: { bootedAt: iso(time + skew) } },
    });
    expect(settle(delivered, boot(start + 30_000)).status).toBe('verified');
    expect(settle(delivered, boot(start - 30_000)).status).toBe('acknowledged');
  });
});

describe('hand-out', () => {
  test('a reply never exceeds its limits, keeps the order, and loses nothing', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(500), { maxLength: 100 }), (lengths) => {
        const queue = lengths.map((length, n) => command(n, { parameters: { text: 'x'.repeat(length) } }));
        const { chosen, more } = chooseHandOut(queue, start + hour);
        expect(chosen).toEqual(queue.slice(0, chosen.length));
        expect(more).toBe(chosen.length < queue.length);
        expect(chosen.length).toBeLessThanOrEqual(handOutLimit.commands);
      }),
    );
  });

  test('the next check-in is the usual one, sooner for what is due, at once for what did not fit', () => {
    const deferred = command(0, { status: 'deferred', deferredUntil: iso(start + 90_000) });
    expect(nextCheckInSeconds('mqtt', [], false, start, 0)).toBe(43_200);
    expect(nextCheckInSeconds('mqtt', [], false, start, 1)).toBe(38_880);
    expect(nextCheckInSeconds('https', [], false, start, 0)).toBe(900);
    expect(nextCheckInSeconds('https', [deferred], false, start, 0)).toBe(90);
    expect(nextCheckInSeconds('https', [deferred], true, start, 0)).toBe(1);
  });
});

describe('time of reports', () => {
  test('is never in our future and never older than a delay can explain', () => {
    fc.assert(
      fc.property(anyTime, (time) => {
        const effective = effectiveTime(time.toISOString(), start);
        expect(effective).toBeLessThanOrEqual(start);
        expect(effective).toBeGreaterThanOrEqual(start - longestDelay);
      }),
    );
  });

  test('is no age where it cannot be: the word is then as old as nobody knows', () => {
    const minute = 60_000;
    const word = (time: number): Device => {
      const at = iso(time);
      return { ...device, ...headChanges(device, caller, { at, clinical: { state: 'idle', at } }, start) };
    };
    fc.assert(
      fc.property(anyTime, (time) => {
        const ahead = time.getTime() - start;
        const known = ahead <= minute && ahead >= -longestDelay;
        const head = word(time.getTime());
        expect(head.clinical?.ageUnknown).toBe(known ? undefined : true);
        const message = { at: time.toISOString(), clinical: { state: 'idle' as const, at: time.toISOString() } };
        expect(clinicalSaidAt(head, message, start)).toBe(known ? Math.min(time.getTime(), start) : undefined);
        const fresh = decideInterlock(
          { type: 'restart', parameters: {} },
          { device: { ...head, class: 'infusion-pump' }, place: undefined, now: start },
        );
        expect(fresh.effect === 'allow' ? known && ahead >= -minute : true).toBe(true);
      }),
    );
    expect(word(start - 2 * longestDelay).clinical).toMatchObject({ state: 'idle', at: iso(start), ageUnknown: true });
  });

  test('an observation is as old as the device says, however wrong its clock is', () => {
    fc.assert(
      fc.property(anyTime, fc.nat(23 * hour), (time, age) => {
        const observed = observationTime(iso(time.getTime() - age), time.toISOString(), start);
        expect(effectiveTime(time.toISOString(), start) - observed).toBe(age);
      }),
    );
  });

  test('messages in any order: the newest state is what remains', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.nat(50 * 60), { minLength: 2, maxLength: 8 }),
        fc.infiniteStream(fc.nat()),
        (seconds, random) => {
          // Each message has a state of its own, so that each is news to a head that has not seen a later one.
          const messages = seconds.map((second) => ({
            at: iso(start + second * 1_000),
            desiredVersion: second,
            inventory: { second },
            clinical: { state: 'idle' as const, at: iso(start + second * 1_000) },
          }));
          const shuffled = messages.map((message) => ({ message, order: random.next().value ?? 0 }));
          shuffled.sort((a, b) => a.order - b.order);
          let head: Device = device;
          for (const { message } of shuffled) {
            head = { ...head, ...headChanges(head, caller, message, start + hour) };
          }
          expect(head.reportedVersion).toBe(Math.max(...seconds));
          expect(head.inventory?.at).toBe(iso(start + Math.max(...seconds) * 1_000));
        },
      ),
    );
  });

  test('nothing new changes nothing; an hour later the heartbeat is due', () => {
    const message = { at: iso(start), clinical: { state: 'idle' as const, at: iso(start) }, posture: { a: 1, b: [2] } };
    const head = { ...device, ...headChanges(device, caller, message, start) };
    expect(headChanges(head, caller, { ...message, posture: { b: [2], a: 1 } }, start + hour - 1)).toBeUndefined();
    expect(headChanges(head, caller, message, start + hour)).toEqual({
      lastSeenAt: iso(start + hour),
      channel: 'mqtt',
    });
  });
});

describe('hostile messages', () => {
  const parse = (text: string) => parseCheckIn(Buffer.from(text));

  test('any JSON is either a check-in or refused with 400', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc
            .record(
              {
                at: fc.oneof(fc.string(), fc.constant(iso(start))),
                inventory: fc.jsonValue(),
                posture: fc.jsonValue(),
                clinical: fc.jsonValue(),
                results: fc.jsonValue(),
                desiredVersion: fc.jsonValue(),
                clientToken: fc.jsonValue(),
              },
              { requiredKeys: [] },
            )
            .map((value) => JSON.stringify(value)),
          fc.string(),
        ),
        (text) => {
          try {
            const message = parse(text);
            expect(Number.isNaN(Date.parse(message.at))).toBe(false);
            headChanges(device, caller, message, start);
          } catch (error) {
            expect(error).toMatchObject({ name: 'ProblemError', problem: { status: 400 } });
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test.each([
    ['no JSON', '{"at":', undefined],
    ['no time', '{}', '/at'],
    ['a date that does not exist', '{"at":"2026-13-01T00:00:00Z"}', '/at'],
    ['a number for a time', '{"at":1}', '/at'],
    [
      'an unknown state',
      `{"at":"${iso(start)}","clinical":{"state":"asleep","at":"${iso(start)}"}}`,
      '/clinical/state',
    ],
    [
      'a result without status',
      `{"at":"${iso(start)}","results":[{"commandId":"${command(0).id}"}]}`,
      '/results/0/status',
    ],
    ['a list for an inventory', `{"at":"${iso(start)}","inventory":[1]}`, '/inventory'],
    ['a version that is no whole number', `{"at":"${iso(start)}","desiredVersion":1.5}`, '/desiredVersion'],
    ['depth', `{"at":"${iso(start)}","inventory":{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}}`, undefined],
  ])('%s is refused', (_name, text, pointer) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        problem: expect.objectContaining({
          status: 400,
          ...(pointer === undefined ? {} : { errors: expect.arrayContaining([expect.objectContaining({ pointer })]) }),
        }),
      }),
    );
  });

  test('too large is refused with the limit in the message', () => {
    const text = JSON.stringify({ at: iso(start), inventory: { text: 'x'.repeat(200_000) } });
    expect(() => parse(text)).toThrow(/at most 131072 bytes|131072/);
  });

  test('members that are not known are ignored, and brackets inside strings do not nest', () => {
    const text = JSON.stringify({ at: iso(start), later: { x: 1 }, inventory: { text: `\\"${'['.repeat(99)}` } });
    expect(parse(text)).toEqual({ at: iso(start), inventory: { text: `\\"${'['.repeat(99)}` } });
  });
});
