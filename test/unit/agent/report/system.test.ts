import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { thisSystem } from '../../../../agent/report/system.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wardline-system-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

test('reads the begin and the end of a large file, and no more than a megabyte', () => {
  const file = join(folder, 'log');
  writeFileSync(file, `first${'x'.repeat(3_000_000)}last`);
  expect(thisSystem.text(file)?.length).toBe(1_048_576);
  expect(thisSystem.text(file)?.startsWith('first')).toBe(true);
  expect(thisSystem.end(file)?.length).toBe(1_048_576);
  expect(thisSystem.end(file)?.endsWith('last')).toBe(true);
  writeFileSync(file, 'short');
  expect([thisSystem.text(file), thisSystem.end(file)]).toEqual(['short', 'short']);
});

test('reads what the kernel makes up', () => {
  expect(thisSystem.text('/proc/self/mounts')).toContain(' / ');
});

test('what is not there is undefined', async () => {
  expect([
    thisSystem.text('/none'),
    thisSystem.list('/none'),
    thisSystem.link('/none'),
    thisSystem.changed('/none'),
  ]).toEqual([undefined, undefined, undefined, undefined]);
  expect(thisSystem.text(folder)).toBeUndefined();
  expect(await thisSystem.run('wardline-no-such-program', [], 1_000)).toBeUndefined();
});

test('runs programs without a shell, with input, and stops waiting for those that hang', async () => {
  expect(await thisSystem.run('cat', [], 5_000, 'a $(b)')).toEqual({ code: 0, text: 'a $(b)' });
  expect((await thisSystem.run('false', [], 5_000))?.code).toBe(1);
  expect(await thisSystem.run('sleep', ['60'], 50)).toBeUndefined();
});
