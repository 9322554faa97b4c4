import { costOfRollout, unitsOfDevice } from './rollout-cost-model.ts';
import { type PlayMeasured, playSteps, type RolloutScale } from './rollout-play.ts';

/** The rollouts that are reckoned, and what a device of each may cost at most, dollars. */
export const rolloutScales = [
  { devices: 10_000, sites: 25, goal: 0.00034 },
  { devices: 1_000_000, sites: 40, goal: 0.00014 },
] as const satisfies readonly (RolloutScale & { readonly goal: number })[];

/** The devices of each site by wave, as the default waves without a lab take them. */
export function sitesOf({ devices, sites }: RolloutScale): number[][] {
  const perSite = devices / sites;
  const tenth = Math.ceil(sites / 10);
  return Array.from({ length: sites }, (_, site) => {
    if (site === 0) return [0, 24, perSite - 24, 0, 0];
    return site < tenth ? [0, 0, 0, perSite, 0] : [0, 0, 0, 0, perSite];
  });
}

/** What was measured of a scale, and its state transitions. */
export interface MeasuredRollout {
  readonly measured: PlayMeasured;
  readonly transitions: number;
}

/** The tables of docs/cost.md about rollouts, and whether every goal is met. One measured rollout for each scale. */
export function rolloutCostReport(rollouts: readonly MeasuredRollout[]): { text: string; met: boolean } {
  const bills = rolloutScales.map((scale, index) => {
    const { measured, transitions } = rolloutOf(rollouts, index);
    return costOfRollout(scale, measured, transitions);
  });
  const sums = bills.map((bill) => bill.reduce((sum, { dollars }) => sum + dollars, 0));
  const each = rolloutScales.map(({ devices }, index) => (sums[index] ?? 0) / devices);
  const met = rolloutScales.every(({ goal }, index) => (each[index] ?? Number.NaN) <= goal);
  const dollars = (amount: number) => amount.toFixed(2);
  const text = [
    stepsTable(rolloutOf(rollouts, rollouts.length - 1).measured),
    '',
    row(
      '$ for a whole rollout',
      rolloutScales.map(({ devices, sites }) => `${count(devices)} devices in ${sites} sites`),
    ),
    row(
      '---',
      rolloutScales.map(() => '---:'),
    ),
    row(
      'state transitions',
      rollouts.map(({ transitions }) => count(transitions)),
    ),
    ...(bills[0] ?? []).map(({ what }, line) =>
      row(
        what,
        bills.map((bill) => dollars(bill[line]?.dollars ?? 0)),
      ),
    ),
    row(
      '**together**',
      sums.map((sum) => `**${dollars(sum)}**`),
    ),
    row(
      'each device',
      each.map((amount) => amount.toFixed(6)),
    ),
    row(
      'goal for each device',
      rolloutScales.map(({ goal }) => goal.toFixed(6)),
    ),
  ];
  return { text: text.join('\n'), met };
}

function rolloutOf(rollouts: readonly MeasuredRollout[], index: number): MeasuredRollout {
  const rollout = rollouts[index];
  if (rollout === undefined) throw new Error('Each scale is measured.');
  return rollout;
}

function stepsTable(measured: PlayMeasured): string {
  const { read, write } = unitsOfDevice(measured);
  return [
    row('one device of 1,000,000 (measured)', ['read units', 'write units', 'of these in indexes']),
    row('---', ['---:', '---:', '---:']),
    ...playSteps.map((step) =>
      row(
        step,
        ['read', 'write', 'index'].map((unit) => measured.steps[step][unit as 'read'].toFixed(1)),
      ),
    ),
    row('**whole way**', [`**${read.toFixed(1)}**`, `**${write.toFixed(1)}**`, '']),
  ].join('\n');
}

const count = (number: number): string => number.toLocaleString('en-US');
const row = (first: string, cells: readonly string[]): string => `| ${[first, ...cells].join(' | ')} |`;
