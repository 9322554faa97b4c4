import * as v from 'valibot';
import { DeviceClass } from '../shared/devices/device.ts';
import { RolloutInput } from '../shared/rollouts/definition.ts';
import { DeferralReason } from '../shared/rollouts/executions/deferral.ts';
import { Ineligibility } from '../shared/rollouts/plan/selection.ts';
import { packLoads, planKey } from '../shared/rollouts/plan/site-summary.ts';
import { largestItemBytes } from '../shared/rollouts/rollout-store.ts';
import { rolloutDefinition } from '../test/support/rollouts.ts';
import { itemBytes } from './item-size.ts';

/** An item that may grow, as large as it gets. */
export interface LargestItem {
  readonly what: string;
  readonly bytes: number;
}

const id = (prefix: string, number: number) => `${prefix}-${String(number).padStart(26, '0')}`;
const many = <Entry>(count: number, entry: (index: number) => Entry): Entry[] =>
  Array.from({ length: count }, (_, index) => entry(index));
const timestamp = '2027-03-02T20:00:00.000Z';
const words = 'w'.repeat(400);

/** The largest definition that a person may send: 20 waves that name units, until it is refused. */
function largestDefinition(): v.InferOutput<typeof RolloutInput> {
  const gate = { failures: { p0: 0.01, p1: 0.05, alpha: 0.05, beta: 0.1 }, controlAlpha: 0.01 };
  let best: v.InferOutput<typeof RolloutInput> | undefined;
  for (let units = 10; units <= 200; units += 5) {
    const parsed = v.safeParse(RolloutInput, {
      ...rolloutDefinition({ wayBack: 'w'.repeat(1_000) }),
      waves: [
        ...many(19, (wave) => ({
          ...{ name: `Wave ${wave}`, bakeHours: 24, gate },
          scope: { kind: 'units', unitIds: many(units, (unit) => id('u', wave * 1_000 + unit)) },
        })),
        { name: 'The rest', scope: { kind: 'rest' }, bakeHours: 24, gate },
      ],
    });
    if (!parsed.success) break;
    best = parsed.output;
  }
  if (best === undefined) throw new Error('A definition with 20 waves is refused.');
  return best;
}

/** Items of rollouts that may grow, each in the largest case that is told beside it. */
export function largestItems(): LargestItem[] {
  const definition = largestDefinition();
  const rollout = {
    ...{ pk: 'ROLLOUT#ro-01hzzzzzzzzzzzzzzzzzzzzzzz', sk: 'ROLLOUT', id: 'ro-01hzzzzzzzzzzzzzzzzzzzzzzz', definition },
    ...{ state: 'paused', createdBy: words, submittedBy: words, approvedBy: words, since: timestamp, version: 9_999 },
    paused: { by: 'gate', words, from: 'running' },
    stopped: words,
    skippedSites: many(100, (site) => id('s', site)),
    waves: definition.waves.map(({ name }) => ({
      ...{ name, devices: 100_000, openedAt: timestamp, since: timestamp, bakeUntil: timestamp },
      status: { state: 'held', reason: 'evidence', words },
    })),
  };
  const summary = (units: number, waves: number) => ({
    ...{ pk: 'ROLLOUT#ro-01hzzzzzzzzzzzzzzzzzzzzzzz', sk: `SITE#${id('s', 1)}`, digest: 'd'.repeat(64) },
    devices: many(waves, () => 25_000),
    ineligible: Object.fromEntries(Object.values(Ineligibility).map((reason) => [reason, 25_000])),
    objectKey: planKey('ro-01hzzzzzzzzzzzzzzzzzzzzzzz', id('s', 1), 'd'.repeat(64)),
    loads: packLoads(
      many(units * waves, (index) => ({
        ...{ wave: index % waves, unitId: id('u', Math.floor(index / waves)), class: DeviceClass.InfusionPump },
        ...{ devices: 24, inUnit: 480 },
      })),
    ),
  });
  const states = [
    'queued',
    'deferred',
    'staged',
    'armed',
    'activating',
    'verifying',
    'succeeded',
    'failed',
    'timed-out',
  ];
  const tally = Object.fromEntries(
    [
      ...[...states, 'rejected', 'rolled-back', 'cancelled', 'ineligible'].map((state) => `state:${state}`),
      ...Object.values(DeferralReason).map((reason) => `reason:${reason}`),
      ...Object.values(Ineligibility).map((reason) => `reason:ineligible:${reason}`),
      ...['reason:unfetched:download', 'reason:unfetched:space'],
      ...['reported:success', 'reported:failure', 'silence:success', 'silence:failure'],
      ...many(
        600,
        (index) =>
          `stratum:hardware:${'r'.repeat(60)}${Math.floor(index / 3)}:${['success', 'failure', 'silent'][index % 3]}`,
      ),
    ].map((name) => [name, 100_000]),
  );
  const devices = many(500, (index) => `d-${String(index).padStart(26, '0')}`);
  const away = { by: 'rollout ro-01hzzzzzzzzzzzzzzzzzzzzzzz', since: timestamp };
  const spares = { away: new Set(devices), ...Object.fromEntries(devices.map((device) => [device, away])) };
  const seen = { affected: 400, watched: 400 };
  const control = {
    comparisons: many(400, (index) => ({
      stratum: `${id('s', 1)}/${'r'.repeat(30)}${index}/T2`,
      updated: seen,
      notYet: seen,
    })),
  };
  return [
    { what: 'rollout, 20 waves, as long as a definition may be', bytes: itemBytes(rollout) },
    { what: 'plan of a site, 1,050 units in one wave each', bytes: itemBytes(summary(1_050, 1)) },
    { what: 'plan of a site, 400 units in 20 waves each', bytes: itemBytes(summary(400, 20)) },
    { what: 'counts of a wave at a site, 200 hardware revisions', bytes: itemBytes(tally) },
    { what: 'spares of a unit, 500 devices away at once', bytes: itemBytes(spares) },
    { what: 'comparison of a wave, 400 strata', bytes: itemBytes(control) },
  ];
}

/** Whether an item is as large as none of ours may be. */
export const isTooLarge = ({ bytes }: LargestItem): boolean => bytes > largestItemBytes;
