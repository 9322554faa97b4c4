import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type MeasuredRollout, rolloutCostReport, rolloutScales, sitesOf } from '../../../bench/rollout-cost-report.ts';
import { hotPartitions, partitionLimit } from '../../../bench/rollout-partitions.ts';
import { playRollout } from '../../../bench/rollout-play.ts';
import { isTooLarge, largestItems } from '../../../bench/rollout-sizes.ts';
import { transitionsOf } from '../../../bench/state-transitions.ts';

const page = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'cost.md'), 'utf8');

/** The numbers of a line of a table. */
const numbersOf = (text: string, line: string): number[] =>
  (text.split('\n').find((one) => one.startsWith(`| ${line} |`)) ?? '')
    .split('|')
    .slice(2, -1)
    .map((cell) => Number(cell.replaceAll(',', '')));

test('a rollout costs at most what docs/cost.md promises, and no partition takes too much', async () => {
  const rollouts: MeasuredRollout[] = [];
  for (const scale of rolloutScales) {
    rollouts.push({ measured: await playRollout(scale), transitions: await transitionsOf(sitesOf(scale)) });
  }
  const { text, met } = rolloutCostReport(rollouts);
  expect(met).toBe(true);
  expect(numbersOf(page, 'goal for each device')).toEqual(rolloutScales.map(({ goal }) => goal));
  expect(numbersOf(page, 'state transitions')).toEqual(rollouts.map(({ transitions }) => transitions));
  for (const [index, dollars] of numbersOf(text, 'each device').entries()) {
    // Who is counted together with whom differs a little from run to run.
    expect(Math.abs((numbersOf(page, 'each device')[index] ?? 0) / dollars - 1)).toBeLessThan(0.05);
  }
  for (const { measured } of rollouts) {
    expect(hotPartitions(measured).filter(({ unitsOfSecond }) => unitsOfSecond > partitionLimit)).toEqual([]);
    expect(Math.max(...measured.largest.values())).toBeLessThan(100_000);
  }
}, 300_000);

test('no item of a rollout grows beyond 100 kB', () => {
  expect(largestItems().filter(isTooLarge)).toEqual([]);
});
