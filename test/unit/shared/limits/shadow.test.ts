import fc from 'fast-check';
import { approvalDecision } from '../../../../shared/commands/gates/approval.ts';
import { limiterDecision, type Window } from '../../../../shared/commands/gates/limiter.ts';
import {
  defaultLimits,
  enoughDevices,
  LimitedType,
  type Limits,
  limitOf,
  placeNames,
} from '../../../../shared/limits/limits.ts';
import { shadowLimits } from '../../../../shared/limits/shadow.ts';

const now = new Date('2027-03-14T12:00:00.000Z');
const deviceId = 'd-0';
const count = fc.integer({ min: 1, max: 12 });
const place = fc.record({ count, percent: fc.integer({ min: 0, max: 100 }) });
const typeLimits = fc.record({ network: fc.record({ count }), site: place, unit: place });
const limits: fc.Arbitrary<Limits> = fc.record({
  wipe: typeLimits,
  revoke: typeLimits,
  'install-update': typeLimits,
  lock: typeLimits,
  restart: typeLimits,
  breakGlass: fc.record({ person: count, network: count }),
  bulkWithoutApproval: count,
});
const uses = fc.array(fc.record({ device: fc.nat(20), minutes: fc.nat(90) }), { maxLength: 14 }).map((list) =>
  // A device is in a window once.
  [...new Map(list.map((use) => [use.device, use])).values()].map(({ device, minutes }) => ({
    deviceId: `d-${device}`,
    at: now.getTime() - minutes * 60_000,
    by: 'user:a',
  })),
);
const world = fc.record({
  type: fc.constantFrom(...Object.values(LimitedType)),
  atSite: fc.nat(60),
  inUnit: fc.nat(20),
  network: uses,
  site: uses,
  unit: uses,
});
type World = typeof world extends fc.Arbitrary<infer Value> ? Value : never;

/** The windows as they would have been read under these limits: devices are counted until there are enough to know. */
function windowsOf({ type, atSite, inUnit, network, site, unit }: World, under: Limits, all: boolean): Window[] {
  const counted = (limit: { readonly count: number; readonly percent: number }, devices: number) => {
    const enough = all ? devices : Math.min(devices, enoughDevices(limit));
    return { counted: enough, all: enough === devices };
  };
  const [ofSite, ofUnit] = [counted(under[type].site, atSite), counted(under[type].unit, inUnit)];
  const common = { key: 'k', version: 1 };
  return [
    { ...common, place: placeNames.network, limit: under[type].network.count, uses: network },
    {
      ...common,
      place: placeNames.site('s'),
      limit: limitOf(under[type].site, atSite),
      enrolled: ofSite,
      uses: site,
    },
    {
      ...common,
      place: placeNames.unit('u'),
      limit: limitOf(under[type].unit, inUnit),
      enrolled: ofUnit,
      uses: unit,
    },
  ];
}
const decide = (of: World, under: Limits, all: boolean) =>
  limiterDecision(of.type, windowsOf(of, under, all), deviceId, now);

describe('shadowLimits', () => {
  test('the limits of then change nothing', () => {
    fc.assert(
      fc.property(world, limits, (of, then) => {
        const decision = decide(of, then, false);
        const result = shadowLimits({ deviceId, type: of.type, decisions: [decision] }, then);
        expect(result.changes).toEqual([]);
        expect(result.decided + result.undecidable).toBe(1);
      }),
    );
  });

  test('says of other limits what the limiter would have said, as far as the number of devices was known', () => {
    fc.assert(
      fc.property(world, limits, limits, (of, then, other) => {
        const was = decide(of, then, true);
        const would = decide(of, other, true);
        const result = shadowLimits({ deviceId, commandId: 'c', type: of.type, decisions: [was] }, other);
        expect(result).toMatchObject({ decided: 1, undecidable: 0 });
        if (was.effect === would.effect) expect(result.changes).toEqual([]);
        else {
          expect(result.changes).toMatchObject([
            { deviceId, commandId: 'c', gate: 'limiter', was: { effect: was.effect }, would: { effect: would.effect } },
          ]);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('says nothing false where the devices were not all counted', () => {
    fc.assert(
      fc.property(world, limits, limits, (of, then, other) => {
        const was = decide(of, then, false);
        const would = decide(of, other, true);
        const { changes, undecidable } = shadowLimits({ deviceId, type: of.type, decisions: [was] }, other);
        if (undecidable === 1) expect(changes).toEqual([]);
        else
          expect(changes.map((change) => change.would.effect)).toEqual(
            was.effect === would.effect ? [] : [would.effect],
          );
      }),
      { numRuns: 500 },
    );
  });

  test('says of another number of devices whether it would have taken two people', () => {
    fc.assert(
      fc.property(
        count,
        count,
        count,
        fc.constantFrom('locate' as const, 'wipe' as const),
        (devices, then, other, type) => {
          const ask = (bulkWithoutApproval: number) =>
            approvalDecision({
              type,
              parameters: {},
              deviceId,
              devices,
              bulkWithoutApproval,
              requestedBy: 'user:a',
              now,
            });
          const [was, would] = [ask(then), ask(other)];
          const { changes } = shadowLimits(
            { deviceId, type, decisions: [was] },
            { ...defaultLimits, bulkWithoutApproval: other },
          );
          expect(changes.map((change) => change.would.effect)).toEqual(
            was.effect === would.effect ? [] : [would.effect],
          );
        },
      ),
    );
  });

  test('knows who agreed, what an emergency took, and what it cannot know', () => {
    const common = { gate: 'approval', at: now.toISOString(), effect: 'allow', ruleId: 'R3', reason: 'x' } as const;
    const by = (signal: string, value: string | number) => ({ signal, value, source: 'directory' });
    const two = { ...common, inputs: [by('approval', 'ap-1'), by('devices of the request', 30)] };
    const asked = { deviceId, type: 'locate', decisions: [two] };
    expect(shadowLimits(asked, { ...defaultLimits, bulkWithoutApproval: 50 }).changes).toMatchObject([
      { would: { effect: 'allow', reason: 'locate for 30 devices needs no second person.' } },
    ]);
    const rollout = { ...common, inputs: [by('rollout', 'ro-1')] };
    const none = { changes: [], decided: 0, undecidable: 0 };
    expect(shadowLimits({ ...asked, type: 'activate-update', decisions: [rollout] }, defaultLimits)).toEqual(none);
    const windows = [
      { key: 'p', place: 'user:ada', limit: 1, uses: [], version: 0 },
      {
        key: 'n',
        place: placeNames.network,
        limit: 5,
        uses: [{ deviceId: 'd-9', at: now.getTime(), by: 'x' }],
        version: 1,
      },
    ];
    const emergency = limiterDecision('break-glass', windows, deviceId, now, 'R12');
    const fewer = { ...defaultLimits, breakGlass: { person: 1, network: 1 } };
    expect(shadowLimits({ deviceId, type: 'wipe', decisions: [emergency] }, fewer).changes).toMatchObject([
      { would: { effect: 'deny', ruleId: 'R12', reason: expect.stringContaining('1 of at most 1') } },
    ]);
    // Of before the number of enrolled devices was stored.
    const old = limiterDecision(
      'wipe',
      [
        {
          key: 's',
          place: placeNames.site('s'),
          limit: 5,
          uses: [{ deviceId: 'd-9', at: now.getTime(), by: 'x' }],
          version: 1,
        },
      ],
      deviceId,
      now,
    );
    expect(shadowLimits({ deviceId, type: 'wipe', decisions: [old] }, defaultLimits).undecidable).toBe(1);
  });
});
