import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import startDatabase from '../test/support/start-database.ts';
import stopDatabase from '../test/support/stop-database.ts';
import { withReport } from './cost-report.ts';
import { type MeasuredRollout, rolloutCostReport, rolloutScales, sitesOf } from './rollout-cost-report.ts';
import { hotPartitions, partitionLimit } from './rollout-partitions.ts';
import { playRollout } from './rollout-play.ts';
import { isTooLarge, largestItems } from './rollout-sizes.ts';
import { transitionsOf } from './state-transitions.ts';

/**
 * Part of `npm run bench:rollout`: what a whole rollout costs, from the units that the real functions consumed and the
 * states that the deployed definitions entered. `-- --write` puts the tables into docs/cost.md. Ends with code 1 when a
 * device costs more than its goal.
 */
await startDatabase();
const rollouts: MeasuredRollout[] = [];
for (const scale of rolloutScales) {
  rollouts.push({ measured: await playRollout(scale), transitions: await transitionsOf(sitesOf(scale)) });
}
await stopDatabase();
const { text, met } = rolloutCostReport(rollouts);
console.log(text);
if (process.argv.includes('--write')) {
  const page = join(import.meta.dirname, '..', 'docs', 'cost.md');
  writeFileSync(page, withReport(readFileSync(page, 'utf8'), text, 'bench:rollout'));
}

const bytes = (number: number) => Math.round(number).toLocaleString('en-US').padStart(8);
const items = largestItems();
const partitions = rollouts.flatMap(({ measured }) => hotPartitions(measured)).slice(-5);
console.log('\nlargest items, of at most 100,000 bytes');
for (const { what, bytes: size } of items) console.log(`${bytes(size)}  ${what}`);
console.log('\nwrite units a second in one partition at most, of at most 1,000');
for (const { what, unitsOfSecond } of partitions) console.log(`${bytes(unitsOfSecond)}  ${what}`);
if (items.some(isTooLarge) || partitions.some(({ unitsOfSecond }) => unitsOfSecond > partitionLimit)) {
  console.error('An item or a partition is over its limit.');
  process.exitCode = 1;
}
if (!met) {
  console.error('A device costs more than its goal.');
  process.exitCode = 1;
}
