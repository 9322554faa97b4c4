import fc from 'fast-check';
import {
  type Brake,
  type BrakePlace,
  brakeDecision,
  brakedTypes,
  reaches,
  releaseStep,
} from '../../../../shared/brake/brake.ts';
import { brakeCacheMilliseconds, brakeReader } from '../../../../shared/brake/store.ts';
import { CommandType } from '../../../../shared/commands/command.ts';

const now = new Date('2026-03-02T08:00:00.000Z');
const siteId = fc.constantFrom('s-1', 's-2');
const unitId = fc.constantFrom('u-1', 'u-2');
const place: fc.Arbitrary<BrakePlace> = fc.oneof(
  fc.constant({ scope: 'network' } as const),
  fc.record({ scope: fc.constant('site' as const), siteId }),
  fc.record({ scope: fc.constant('unit' as const), siteId, unitId }),
);
const brake: fc.Arbitrary<Brake> = place.map((where) => ({
  ...where,
  reason: 'smoke',
  pulledBy: 'user:hal',
  pulledAt: new Date(now.getTime() - 5_000).toISOString(),
  version: 1,
}));
const placement = fc.record({ siteId, unitId }, { requiredKeys: [] });
const type = fc.constantFrom(...Object.values(CommandType), 'revoke' as const);

describe('brakeDecision', () => {
  test('stops what is destructive or disruptive exactly where a brake reaches, and says who pulled it', () => {
    fc.assert(
      fc.property(fc.array(brake, { maxLength: 4 }), type, placement, (brakes, kind, device) => {
        const stopped = (kind === 'revoke' || brakedTypes.has(kind)) && brakes.some((one) => reaches(one, device));
        const written = brakeDecision(brakes, kind, device, 'write', now);
        const handed = brakeDecision(brakes, kind, device, 'hand-out', now);
        expect(written.effect).toBe(stopped ? 'deny' : 'allow');
        expect(handed.effect).toBe(stopped ? 'defer' : 'allow');
        expect(handed.until !== undefined).toBe(stopped);
        if (stopped) expect(written.inputs[0]).toMatchObject({ signal: 'brake', source: 'user:hal', ageSeconds: 5 });
      }),
    );
  });

  test('a pulled brake more never lets anything more through', () => {
    fc.assert(
      fc.property(fc.array(brake, { maxLength: 3 }), brake, type, placement, (brakes, another, kind, device) => {
        if (brakeDecision(brakes, kind, device, 'write', now).effect === 'deny') {
          expect(brakeDecision([...brakes, another], kind, device, 'write', now).effect).toBe('deny');
        }
      }),
    );
  });

  test('looking at a device is never stopped', () => {
    const network: Brake = {
      scope: 'network',
      reason: 'x',
      pulledBy: 'user:a',
      pulledAt: now.toISOString(),
      version: 1,
    };
    for (const harmless of [CommandType.Inventory, CommandType.Locate, CommandType.Message, CommandType.CollectLogs]) {
      expect(brakeDecision([network], harmless, {}, 'hand-out', now).effect).toBe('allow');
    }
  });
});

describe('releaseStep', () => {
  const person = fc.constantFrom('user:a', 'user:b', 'user:c');
  const minutes = fc.array(fc.tuple(person, fc.integer({ min: 0, max: 90 })), { minLength: 1, maxLength: 8 });

  test('never releases by one person alone, and only within the hour', () => {
    fc.assert(
      fc.property(brake, minutes, (start, calls) => {
        let current = start;
        let time = now.getTime();
        for (const [by, wait] of calls) {
          time += wait * 60_000;
          const step = releaseStep(current, by, 'over', new Date(time));
          const open = current.release !== undefined && Date.parse(current.release.expiresAt) > time;
          if (step.step === 'released') {
            expect(open).toBe(true);
            expect(current.release?.by).not.toBe(by);
            return;
          }
          if (step.step === 'refused') expect(current.release?.by).toBe(by);
          else current = step.brake;
        }
      }),
    );
  });
});

describe('brakeReader', () => {
  test('reads at most every half second, however many ask, and never remembers a failure', async () => {
    let time = 0;
    let reads = 0;
    let fails = false;
    const client = {
      send: async () => {
        reads += 1;
        if (fails) throw new Error('away');
        return { Items: [] };
      },
    };
    const read = brakeReader({ client, name: 'Directory' } as unknown as Parameters<typeof brakeReader>[0], () => time);
    await Promise.all([read(), read(), read()]);
    time = brakeCacheMilliseconds - 1;
    await read();
    expect(reads).toBe(1);
    time = brakeCacheMilliseconds;
    fails = true;
    await expect(read()).rejects.toThrow('away');
    fails = false;
    expect(await read()).toEqual([]);
    expect(reads).toBe(3);
  });
});
