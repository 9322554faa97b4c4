import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { costReport, withReport } from '../../../bench/cost-report.ts';
import { measure } from '../../../bench/measure.ts';

const root = join(import.meta.dirname, '..', '..', '..');

test('a device-month costs at most what docs/cost.md promises, and the page shows what is measured', async () => {
  const { text, met } = costReport({ mqtt: await measure('mqtt'), https: await measure('https') });
  const page = readFileSync(join(root, 'docs', 'cost.md'), 'utf8');
  expect(withReport(page, text)).toBe(page);
  expect(met).toBe(true);
}, 120_000);

test('the check-in function keeps its budgets of size and import time', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'bench', 'import-time.ts')], {
    encoding: 'utf8',
    env: { ...process.env, ROUNDS: '5' },
  });
  expect({ status, stderr, stdout }).toMatchObject({ status: 0, stderr: '' });
});
