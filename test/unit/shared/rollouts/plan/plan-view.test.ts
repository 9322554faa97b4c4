import fc from 'fast-check';
import { DeviceClass } from '../../../../../shared/devices/device.ts';
import type { Calendar } from '../../../../../shared/places/windows.ts';
import { defaultWaves } from '../../../../../shared/rollouts/gate/wave-definition.ts';
import { type PlannedPlace, planEntries, planView } from '../../../../../shared/rollouts/plan/plan-view.ts';
import { Ineligibility } from '../../../../../shared/rollouts/plan/selection.ts';
import type { SiteSummary } from '../../../../../shared/rollouts/plan/site-summary.ts';

const now = Date.parse('2027-03-01T12:00:00Z');
const calendar = (from: string, to: string): Calendar => ({
  ...{ zone: 'UTC', blackouts: [], freezes: [] },
  windows: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'], from, to }],
});
const none = Object.fromEntries(Object.values(Ineligibility).map((reason) => [reason, 0])) as Record<
  Ineligibility,
  number
>;
const [first, ...others] = defaultWaves([]);
const rest = others.at(-1);
const waves = first === undefined || rest === undefined ? [] : [first, rest];
const load = (wave: number, unitId: string, devices: number, inUnit: number) =>
  ({ wave, unitId, class: DeviceClass.InfusionPump, devices, inUnit }) as const;
const summaries: readonly SiteSummary[] = [
  {
    ...{ siteId: 's-1', digest: 'd1', objectKey: 'k1', devices: [2, 10], ineligible: { ...none, 'already-there': 3 } },
    units: [load(0, 'u-night', 2, 4), load(1, 'u-icu', 4, 6), load(1, 'u-gone', 6, 6)],
  },
  {
    ...{ siteId: 's-2', digest: 'd2', objectKey: 'k2', devices: [0, 90], ineligible: { ...none, 'not-enrolled': 1 } },
    units: [load(1, 'u-day', 90, 100)],
  },
];
const places: Readonly<Record<string, PlannedPlace>> = {
  'u-night': { calendar: calendar('01:00', '05:00'), spares: { 'infusion-pump': 1 } },
  'u-icu': { calendar: calendar('02:00', '03:00'), spares: { 'infusion-pump': 6 } },
  'u-day': { calendar: calendar('14:00', '15:00'), spares: undefined },
};
const view = () => planView(waves, summaries, (_siteId, unitId) => places[unitId], now);

describe('planView', () => {
  test('says of each wave where it goes, when it can begin and what it proves', () => {
    expect(view().waves).toMatchObject([
      {
        ...{ name: 'Lab', devices: 2, sites: 1, units: 1, unitsThatCanSpareNone: 0, cleanDevicesToPromote: 4 },
        firstWindow: '2027-03-02T01:00:00.000Z',
        words: expect.stringContaining('cannot exclude 50 % by themselves'),
      },
      {
        ...{ name: 'The rest', devices: 100, sites: 2, units: 3, unitsThatCanSpareNone: 1, cleanDevicesToPromote: 55 },
        firstWindow: '2027-03-01T14:00:00.000Z',
        words: expect.stringContaining('55 without a failure promote it'),
      },
    ]);
    expect(view().ineligible).toEqual({ 'already-there': 3, 'not-enrolled': 1 });
  });

  test('says of each unit what it can spare before and during the update, and whether that is anything at all', () => {
    const [one, two] = view().sites;
    expect(one?.units).toMatchObject([
      { unitId: 'u-night', keep: 1, sparesBefore: 3, atOnce: 2, sparesAfter: 1, canSpare: true },
      {
        unitId: 'u-icu',
        keep: 6,
        sparesBefore: 0,
        canSpare: false,
        words: expect.stringContaining('Lend the unit one'),
      },
      { unitId: 'u-gone', words: expect.stringContaining('There is no unit') },
    ]);
    // Where the hospital says nothing, one at a time.
    expect(two?.units).toMatchObject([{ sparesBefore: 1, atOnce: 1, sparesAfter: 0, canSpare: true }]);
    expect(two?.units[0]).not.toHaveProperty('keep');
  });

  test('says of a wave without devices that it is skipped, and of windows that never open', () => {
    const never = { ...calendar('01:00', '05:00'), blackouts: calendar('00:00', '24:00').windows };
    const shut: Calendar = { ...never, blackouts: never.blackouts.map((hours) => ({ name: 'Always', ...hours })) };
    const closed = planView(waves, summaries.slice(1), () => ({ calendar: shut, spares: undefined }), now);
    expect(closed.waves[0]?.words).toBe('Nobody is in it; it is skipped.');
    expect(closed.waves[1]).not.toHaveProperty('firstWindow');
    expect(closed.sites[0]?.units[0]?.words).toContain('never opens');
  });
});

describe('planEntries', () => {
  const device = (id: string) => ({ id, unitId: 'u-1', class: DeviceClass.InfusionPump, stratum: 'A/T2' });

  test('pages of any size give everybody once, wave by wave, then those that take no part', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(5), { maxLength: 4 }),
        fc.nat(5),
        fc.integer({ min: 1, max: 7 }),
        (sizes, out, limit) => {
          const plan = {
            waves: sizes.map((size, wave) => Array.from({ length: size }, (_, n) => device(`d-${wave}-${n}`))),
            ineligible: Array.from({ length: out }, (_, n) => ({ id: `x-${n}`, reason: 'not-enrolled' as const })),
          };
          const everybody = [...plan.waves.flat(), ...plan.ineligible].map(({ id }) => id);
          for (const part of [undefined, 'ineligible', ...plan.waves.keys()] as const) {
            const ids: string[] = [];
            let from: number | undefined = 0;
            while (from !== undefined) {
              const page: ReturnType<typeof planEntries> = planEntries(plan, part, from, limit);
              expect(page.items.length).toBeLessThanOrEqual(limit);
              ids.push(...page.items.map(({ deviceId }) => deviceId));
              from = page.next;
            }
            const asked = part === 'ineligible' ? 'x-' : `d-${part}-`;
            expect(ids).toEqual(part === undefined ? everybody : everybody.filter((id) => id.startsWith(asked)));
          }
        },
      ),
    );
  });
});
