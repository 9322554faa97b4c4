import fc from 'fast-check';
import type { CommandResult } from '../../../../agent/channel/messages.ts';
import { Journal, type JournalEntry } from '../../../../agent/commands/journal.ts';

const day = 86_400_000;
const command = (id: string, expiresAt = 10 * day) => ({ id, type: 'inventory', expiresAt });
const done = (commandId: string): CommandResult => ({ commandId, status: 'acknowledged' });

function journal(entries: readonly JournalEntry[] = []) {
  let saved: readonly JournalEntry[] = entries;
  return { journal: new Journal(entries, (list) => (saved = list)), saved: () => saved };
}

test('a command is on disk before it starts', () => {
  const { journal: book, saved } = journal();
  book.begin(command('a'), 0);
  expect(saved()).toEqual([{ ...command('a'), reported: false }]);
});

test('a result stays until the server has taken it, over restarts', () => {
  const first = journal();
  first.journal.begin(command('a'), 0);
  first.journal.finish(done('a'));
  const { journal: book, saved } = journal(first.saved());
  const results = book.unreported();
  expect(results).toEqual([done('a')]);
  book.reported(results);
  expect(book.unreported()).toEqual([]);
  expect(journal(saved()).journal.unreported()).toEqual([]);
});

test('a result that changed while it was on its way stays unreported', () => {
  const { journal: book } = journal();
  book.begin(command('a'), 0);
  book.finish({ commandId: 'a', status: 'deferred', reason: 'in-use' });
  const sent = book.unreported();
  book.finish(done('a'));
  book.reported(sent);
  expect(book.unreported()).toEqual([done('a')]);
});

test('what the server asks for again is reported again', () => {
  const { journal: book } = journal();
  book.begin(command('a'), 0);
  book.finish(done('a'));
  book.reported(book.unreported());
  book.askedAgain('a');
  expect(book.unreported()).toEqual([done('a')]);
});

test('forgets a command a day after it expired, but no result that was never taken', () => {
  const { journal: book } = journal();
  book.begin(command('reported', day), 0);
  book.finish(done('reported'));
  book.reported(book.unreported());
  book.begin(command('kept', day), 0);
  book.finish(done('kept'));
  book.begin(command('new', 30 * day), 1.9 * day);
  expect(book.get('reported')).toBeDefined();
  book.begin(command('newer', 30 * day), 2.1 * day);
  expect([book.get('reported'), book.get('kept')?.result]).toEqual([undefined, done('kept')]);
});

test('whatever happens in whatever order, each finished command is told until it was taken', () => {
  const step = fc.record({
    id: fc.constantFrom('a', 'b', 'c'),
    action: fc.constantFrom('begin', 'finish', 'take', 'restart'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let { journal: book, saved } = journal();
      const owed = new Set<string>();
      const begun = new Set<string>();
      for (const { id, action } of steps) {
        if (action === 'begin' && !begun.has(id)) {
          book.begin(command(id), 0);
          begun.add(id);
        } else if (action === 'finish' && begun.has(id)) {
          book.finish(done(id));
          owed.add(id);
        } else if (action === 'take') {
          book.reported(book.unreported());
          owed.clear();
        } else if (action === 'restart') ({ journal: book, saved } = journal(structuredClone([...saved()])));
        expect(new Set(book.unreported().map(({ commandId }) => commandId))).toEqual(owed);
      }
    }),
  );
});
