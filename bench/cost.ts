import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import startDatabase from '../test/support/start-database.ts';
import stopDatabase from '../test/support/stop-database.ts';
import { costReport, withReport } from './cost-report.ts';
import { measure } from './measure.ts';

/**
 * `npm run bench:cost`: dollars per device-month from measured capacity units. `-- --write` puts the tables into
 * docs/cost.md. Ends with code 1 when a goal is missed.
 */
await startDatabase();
const { text, met } = costReport({ mqtt: await measure('mqtt'), https: await measure('https') });
await stopDatabase();
console.log(text);
if (process.argv.includes('--write')) {
  const page = join(import.meta.dirname, '..', 'docs', 'cost.md');
  writeFileSync(page, withReport(readFileSync(page, 'utf8'), text));
}
if (!met) {
  console.error('A goal is missed.');
  process.exitCode = 1;
}
