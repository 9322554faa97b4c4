import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore, StoreInUse } from '../../../../local/runtime/store.ts';

test('puts, gets, lists by prefix in key order, deletes', () => {
  const store = openStore();
  store.put('s', 'b#2', { n: 2 });
  store.put('s', 'a#1', { n: 1 });
  store.put('s', 'b#1', 'x');
  store.put('other', 'b#3', 3);

  expect(store.list('s', 'b#')).toEqual([
    { key: 'b#1', value: 'x' },
    { key: 'b#2', value: { n: 2 } },
  ]);
  expect(store.list('s').map(({ key }) => key)).toEqual(['a#1', 'b#1', 'b#2']);
  store.delete('s', 'a#1');
  expect(store.get('s', 'a#1')).toBeUndefined();
  store.close();
});

test('a transaction is all or nothing, also inside another', () => {
  const store = openStore();

  store.transaction(() => {
    store.put('s', 'kept', 1);
    expect(() =>
      store.transaction(() => {
        store.put('s', 'lost', 1);
        throw new Error('no');
      }),
    ).toThrow('no');
  });

  expect(store.list('s')).toEqual([{ key: 'kept', value: 1 }]);
  store.close();
});

test('a file outlives the store, and is held by one at a time', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wardline-store-'));
  const file = join(folder, 'cloud.sqlite');
  const first = openStore(file);
  first.put('s', 'k', 'v');

  expect(() => openStore(file)).toThrow(StoreInUse);
  first.close();
  const second = openStore(file);
  expect(second.get('s', 'k')).toBe('v');
  second.close();
  rmSync(folder, { recursive: true });
});
