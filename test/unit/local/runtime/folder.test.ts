import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { explain } from '../../../../local/runtime/folder.ts';

const folder = '/data';
const full = 'The disk of /data is full: free at least 100 MB, or run Wardline on another disk.';

test.each(['ENOSPC', 'EDQUOT'])('%s is a full disk', (code) => {
  expect(explain(Object.assign(new Error('write'), { code }), folder)).toBe(full);
});

test('a store that cannot grow is a full disk', () => {
  const place = mkdtempSync(join(tmpdir(), 'wardline-full-'));
  const database = new DatabaseSync(join(place, 'full.sqlite'));
  database.exec('CREATE TABLE entry (value TEXT); PRAGMA max_page_count = 2;');
  let thrown: unknown;
  try {
    database.prepare('INSERT INTO entry VALUES (?)').run('x'.repeat(100_000));
  } catch (error) {
    thrown = error;
  }
  database.close();
  rmSync(place, { recursive: true });

  expect(explain(thrown, folder)).toBe(full);
});

test('a wrong statement is a fault of the program, as is what has no code', () => {
  const database = new DatabaseSync(':memory:');
  let thrown: unknown;
  try {
    database.exec('SELEKT');
  } catch (error) {
    thrown = error;
  }
  database.close();

  expect(explain(thrown, folder)).toBeUndefined();
  expect(explain(new TypeError('x is not a function'), folder)).toBeUndefined();
  expect(explain('text', folder)).toBeUndefined();
});
