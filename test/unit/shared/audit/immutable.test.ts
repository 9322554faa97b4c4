import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { auditPrefix } from '../../../../shared/audit/record.ts';

const root = resolve(import.meta.dirname, '..', '..', '..', '..');

const sources = ['functions', 'shared'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => {
      const file = join(entry.parentPath, entry.name);
      return { file: relative(root, file), text: readFileSync(file, 'utf8') };
    }),
);

// IAM knows partition keys, not sort keys: it cannot tell an audit record from its neighbours. What it cannot forbid, no
// code can do either, as long as none can name the key of a record that exists.
test('no code but the audit concept knows what the key of an audit record is', () => {
  const naming = sources.filter(({ text }) => text.includes(auditPrefix) || /\bauditPrefix\b/.test(text));
  expect(naming.map(({ file }) => file).filter((file) => !file.startsWith('shared/audit/'))).toEqual([]);
});

test('what knows it updates and deletes nothing there', () => {
  const writers = sources.filter(
    ({ file, text }) =>
      file.startsWith('shared/audit/') &&
      /\b(Update|Delete|BatchWrite)(Item)?Command\b|\b(Update|Delete): \{/.test(text),
  );
  // The archive's bookkeeping, whose keys begin with AUDIT-, updates one item: which days are closed.
  expect(writers.map(({ file }) => file)).toEqual(['shared/audit/archive/store.ts']);
  const [store] = writers;
  expect(store?.text.match(/\b(Update|Delete|BatchWrite)\w*Command\(/g)).toEqual(['UpdateCommand(']);
  expect(store?.text).toContain('Key: stateKey,');
});

test('a record is only ever put where there is none', () => {
  const puts = sources.filter(
    ({ text }) => /Item: (audit|item|record)\b/.test(text) && /auditRecord|AuditItem/.test(text),
  );
  expect(puts.length).toBeGreaterThan(1);
  for (const { file, text } of puts) {
    for (const [put] of text.matchAll(/\{ TableName: [^}]*Item: (audit|item|record)\b[^}]*\}/g)) {
      expect([file, put]).toEqual([file, expect.stringContaining('attribute_not_exists(pk)')]);
    }
  }
});
