import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** `local/main.ts` as a person meets it when something is wrong: one sentence, exit code 1. */
const main = resolve(import.meta.dirname, '../../../local/main.ts');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wardline-process-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<{ code: number | null; out: string; error: string }> {
  return new Promise((done, reject) => {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args], {
      cwd: folder,
      env: environment,
    });
    let [out, error] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      error += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => done({ code, out, error }));
  });
}

test('--help explains the flags', async () => {
  const { code, out } = await run(['--help']);

  expect(code).toBe(0);
  for (const flag of ['--empty', '--devices', '--data', '--port', '--trace', '--faults']) expect(out).toContain(flag);
});

test('an unknown flag', async () => {
  await expect(run(['--colour'])).resolves.toEqual({
    code: 1,
    out: '',
    error: "Unknown option '--colour'. See npm start -- --help.\n",
  });
});

test('no Java', async () => {
  const { code, error } = await run(['--empty', '--port', '0'], { PATH: folder });

  expect(code).toBe(1);
  expect(error).toMatch(/^Java 17 or newer is needed .*\n$/);
});

test('a port that is taken is named, and so is the flag that helps', async () => {
  const server = createServer();
  const taken = await new Promise<number>((done) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      done(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });

  const { code, error } = await run(['--empty', '--port', String(Math.min(taken, 65_529))]);

  expect(code).toBe(1);
  expect(error).toBe(
    `Port ${taken} (api) is in use by another program; stop it, or choose another first port with --port N.\n`,
  );
  await new Promise((done) => server.close(done));
});

test('a data folder that cannot be one', async () => {
  const file = join(folder, 'a-file');
  writeFileSync(file, '');

  const { code, error } = await run(['--empty', '--port', '0', '--data', file]);

  expect(code).toBe(1);
  expect(error).toBe(`${file} cannot be written to; make it a writable folder, or run Wardline in another one.\n`);
});

test('a fault plan that is wrong', async () => {
  const file = join(folder, 'faults.json');
  writeFileSync(file, '[{"service":"dynamodb"}]');

  const { code, error } = await run(['--empty', '--port', '0', '--faults', file]);

  expect(code).toBe(1);
  expect(error).toBe(`${file}: rule 1 of the fault plan needs service and error\n`);
});

test('a trace file that cannot be written', async () => {
  const file = join(folder, 'nowhere', 'trace.jsonl');

  const { code, error } = await run(['--empty', '--port', '0', '--trace', file]);

  expect(code).toBe(1);
  expect(error).toBe(`${file} cannot be written; choose another file with --trace FILE.\n`);
});
