import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { bundleOptions } from '../infra/bundle.ts';

/**
 * `npm run bench`: how big the check-in function is and how long its import takes, side by side with a handler that
 * only creates a DynamoDB client. Both are bundled as functions are and imported by turns, each time in a new process.
 * Ends with code 1 when a budget is exceeded.
 */
const budget = { bytes: 400_000, ratio: 3 };
const rounds = Number(process.env['ROUNDS'] ?? 21);

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const folder = mkdtempSync(join(tmpdir(), 'wardline-bench-'));

const bareClient = `import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
const client = new DynamoDBClient({});
export const handler = async () => client.config.region();`;

function bundle(name: string, source: { entry: string } | { code: string }): { file: string; bytes: number } {
  const outfile = join(folder, `${name}.mjs`);
  const { metafile } = buildSync({
    ...bundleOptions,
    absWorkingDir: root,
    outfile,
    metafile: true,
    ...('entry' in source
      ? { entryPoints: [source.entry] }
      : { stdin: { contents: source.code, resolveDir: root, loader: 'ts' } }),
  });
  return { file: outfile, bytes: Object.values(metafile.outputs).reduce((sum, output) => sum + output.bytes, 0) };
}

/** Milliseconds that one import takes in a fresh process, without the start of Node.js itself. */
function importTime(file: string): number {
  const program = `const t = performance.now(); await import(${JSON.stringify(`file://${file}`)}); console.log(performance.now() - t);`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    env: {
      ...process.env,
      AWS_REGION: 'us-east-1',
      DEVICES_TABLE: 'Devices',
      DIRECTORY_TABLE: 'Directory',
      INTERLOCK: '{}',
      POWERTOOLS_METRICS_NAMESPACE: 'Wardline',
    },
  });
  return Number(output.trim().split('\n').at(-1));
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

try {
  const bare = bundle('bare', { code: bareClient });
  const checkIn = bundle('device-checkin', { entry: join(root, 'functions/device-checkin/handler.ts') });
  const times = { bare: [] as number[], checkIn: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    times.bare.push(importTime(bare.file));
    times.checkIn.push(importTime(checkIn.file));
  }
  const ratio = median(times.checkIn) / median(times.bare);
  console.log(`                        bytes   import (median of ${rounds})`);
  console.log(`DynamoDB client only  ${String(bare.bytes).padStart(7)}   ${median(times.bare).toFixed(1)} ms`);
  console.log(`device-checkin        ${String(checkIn.bytes).padStart(7)}   ${median(times.checkIn).toFixed(1)} ms`);
  console.log(
    `budget                ${String(budget.bytes).padStart(7)}   ${budget.ratio} times; measured ${ratio.toFixed(2)}`,
  );
  if (checkIn.bytes > budget.bytes || !(ratio <= budget.ratio)) {
    console.error('device-checkin exceeds its budget.');
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
