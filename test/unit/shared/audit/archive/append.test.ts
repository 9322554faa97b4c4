import fc from 'fast-check';
import { append, batchRecords } from '../../../../../shared/audit/archive/append.ts';
import { ArchiveContradiction } from '../../../../../shared/audit/archive/archive.ts';
import { closeDays } from '../../../../../shared/audit/archive/close.ts';
import { verifyArchive } from '../../../../../shared/audit/archive/verify.ts';
import { entry, Killed, memoryArchive, recordIds } from '../../../../support/memory-archive.ts';

const noon = '2027-03-01T12:00:00.000Z';
const records = (ids: readonly string[]) => ids.filter((id) => id !== 'seal');

describe('append', () => {
  test('keeps the order of a delivery and splits it into objects', async () => {
    const memory = memoryArchive(noon);
    const entries = Array.from({ length: batchRecords + 3 }, (_, n) => entry(n, 's-1'));
    await append(memory.means, 's-1', entries);
    expect(recordIds(memory.objects)).toEqual(entries.map(({ record }) => record['id']));
    expect([...memory.objects.keys()]).toEqual([
      'chains/2027-03-01/s-1/00000001.jsonl',
      `chains/2027-03-01/s-1/000000${batchRecords + 1}.jsonl`,
    ]);
    expect(verifyArchive(memory.files()).problems).toEqual([]);
  });

  test('an object stays readable through the API, however large the records are', async () => {
    const memory = memoryArchive(noon);
    const large = [1, 2, 3].map((n) => ({ ...entry(n), record: { ...entry(n).record, after: 'x'.repeat(400_000) } }));
    await append(memory.means, 'organization', large);
    expect([...memory.objects.values()].map((content) => content.length < 1_000_000)).toEqual([true, true]);
  });

  test('a repeated delivery adds nothing, on the same day or the next', async () => {
    const memory = memoryArchive(noon);
    await append(memory.means, 's-1', [entry(1, 's-1'), entry(1, 's-1'), entry(2, 's-1')]);
    await append(memory.means, 's-1', [entry(2, 's-1'), entry(1, 's-1')]);
    memory.at('2027-03-02T00:00:01.000Z');
    await append(memory.means, 's-1', [entry(1, 's-1'), entry(3, 's-1')]);
    expect(recordIds(memory.objects)).toEqual(['record-1', 'record-2', 'seal', 'record-3']);
  });

  test('the chain of a day goes on from that of the day before it', async () => {
    const memory = memoryArchive(noon);
    for (const [day, n] of [
      ['01', 1],
      ['02', 2],
      ['05', 3],
    ] as const) {
      memory.at(`2027-03-${day}T08:00:00.000Z`);
      await append(memory.means, 's-1', [entry(n, 's-1')]);
    }
    expect(verifyArchive(memory.files()).problems).toEqual([]);
    memory.objects.delete('chains/2027-03-02/s-1/00000001.jsonl');
    memory.objects.delete('chains/2027-03-02/s-1/00000002.jsonl');
    expect(verifyArchive(memory.files()).problems).toMatchObject([{ fault: 'missing' }]);
  });

  test('nothing is added to a day that was closed, by a clock that is behind', async () => {
    const memory = memoryArchive('2027-03-02T00:20:00.000Z');
    await closeDays(memory.means);
    memory.at('2027-03-01T23:59:59.000Z');
    await append(memory.means, 's-1', [entry(1, 's-1')]);
    expect([...memory.objects.keys()].filter((key) => key.startsWith('chains/'))).toEqual([
      'chains/2027-03-02/s-1/00000001.jsonl',
    ]);
  });

  test('an object that somebody else put into the way stops the chain, and says so', async () => {
    const memory = memoryArchive(noon);
    await append(memory.means, 's-1', [entry(1, 's-1')]);
    memory.objects.set('chains/2027-03-01/s-1/00000002.jsonl', 'nonsense\n');
    await expect(append(memory.means, 's-1', [entry(2, 's-1')])).rejects.toThrow(ArchiveContradiction);
  });

  test('many at once: one chain, each record once', async () => {
    const memory = memoryArchive(noon);
    const deliveries = Array.from({ length: 40 }, (_, n) => [
      entry(n, 's-1'),
      entry(n + 1, 's-1'),
      entry(n + 7, 's-1'),
    ]);
    await Promise.all(deliveries.map((entries) => append(memory.means, 's-1', entries)));
    const ids = recordIds(memory.objects);
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(ids)).toEqual(new Set(deliveries.flat().map(({ record }) => record['id'])));
    expect(verifyArchive(memory.files()).problems).toEqual([]);
  });
});

test('whoever is killed, wherever, while days end and others append: nothing forks, is lost or doubled', async () => {
  const step = fc.record({
    kind: fc.constantFrom('append' as const, 'append' as const, 'append' as const, 'close' as const, 'night' as const),
    first: fc.nat(30),
    count: fc.integer({ min: 1, max: 5 }),
    kill: fc.option(fc.nat(8), { nil: undefined }),
    after: fc.boolean(),
    together: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      const memory = memoryArchive(noon);
      let day = 1;
      const delivered = new Set<string>();
      for (const { kind, first, count, kill, after, together } of steps) {
        if (kind === 'night') {
          day += 1;
          memory.at(`2027-03-${String(day).padStart(2, '0')}T00:20:00.000Z`);
          continue;
        }
        const entries = Array.from({ length: count }, (_, n) => entry(first + n, 's-1'));
        const run = async (): Promise<unknown> => {
          if (kind === 'close') return closeDays(memory.means);
          for (const { record } of entries) delivered.add(String(record['id']));
          return append(memory.means, 's-1', entries);
        };
        let writes = 0;
        memory.onWrite = (before) => {
          if (before) writes += 1;
          if (kill !== undefined && writes > kill && before !== after) throw new Killed();
        };
        const ended = await Promise.allSettled(together ? [run(), run()] : [run()]);
        for (const end of ended) {
          if (end.status === 'rejected') expect(end.reason).toBeInstanceOf(Killed);
        }
        memory.onWrite = () => undefined;
        // At least once: what failed is delivered again.
        if (kind === 'append' && ended.some(({ status }) => status === 'rejected')) {
          await append(memory.means, 's-1', entries);
        }
      }
      memory.at(`2027-03-${String(day + 1).padStart(2, '0')}T00:20:00.000Z`);
      await closeDays(memory.means);
      const ids = records(recordIds(memory.objects));
      expect(ids.toSorted()).toEqual([...delivered].sort());
      const { publicKeyPem } = memory.means.key;
      const to = `2027-03-${String(day).padStart(2, '0')}`;
      const verification = verifyArchive(memory.files(), { publicKeyPem, to });
      expect(verification).toMatchObject({ problems: [], open: [], records: ids.length });
    }),
    { numRuns: 300 },
  );
});
