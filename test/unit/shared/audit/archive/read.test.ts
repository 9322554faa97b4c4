import fc from 'fast-check';
import { append } from '../../../../../shared/audit/archive/append.ts';
import { closeDays } from '../../../../../shared/audit/archive/close.ts';
import {
  type ExportPosition,
  exportArchive,
  type Range,
  type SearchPosition,
  searchArchive,
} from '../../../../../shared/audit/archive/read.ts';
import { entry, memoryArchive } from '../../../../support/memory-archive.ts';

/** Three days of two sites in objects of one to three records. */
async function sample() {
  const memory = memoryArchive('2027-03-01T10:00:00.000Z');
  let n = 0;
  for (const day of ['2027-03-01', '2027-03-02', '2027-03-04']) {
    memory.at(`${day}T10:00:00.000Z`);
    for (let batch = 0; batch < 6; batch += 1) {
      const site = batch % 2 === 0 ? 's-1' : 's-2';
      const entries = Array.from({ length: 1 + (batch % 3) }, () => entry(n++, site));
      await append(memory.means, site, entries);
    }
  }
  memory.at('2027-03-05T00:20:00.000Z');
  await closeDays(memory.means);
  return { archive: memory.means.archive, objects: memory.objects, count: n };
}

const samplePromise = sample();
const whole: Range = { from: '2027-03-01', to: '2027-03-04' };

async function searchAll(range: Range, limit: number, matches: (record: Readonly<Record<string, unknown>>) => boolean) {
  const { archive } = await samplePromise;
  const found: string[] = [];
  let position: SearchPosition | undefined;
  do {
    const page = await searchArchive(archive, range, matches, limit, position);
    expect(page.items.length).toBeLessThanOrEqual(limit);
    found.push(...page.items.map(({ record, chain, sequence }) => `${chain} ${sequence} ${record['id']}`));
    position = page.next;
  } while (position !== undefined);
  return found;
}

test('pages of any size give every matching record once, in the order of the archive', async () => {
  const { count } = await samplePromise;
  const all = await searchAll(whole, 1000, () => true);
  expect(all).toHaveLength(count);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 5 }), async (limit, modulus) => {
      const matches = (record: Readonly<Record<string, unknown>>) =>
        Number(String(record['id']).split('-')[1]) % modulus === 0;
      const wanted = all.filter((line) => Number(line.split('-').at(-1)) % modulus === 0);
      expect(await searchAll(whole, limit, matches)).toEqual(wanted);
    }),
    { numRuns: 60 },
  );
});

test('only the days and the site that are asked for', async () => {
  const found = await searchAll({ from: '2027-03-02', to: '2027-03-03', place: 's-1' }, 3, () => true);
  expect(found.length).toBeGreaterThan(0);
  expect(found.every((line) => line.startsWith('2027-03-02/s-1 '))).toBe(true);
});

test('a copy holds every file of the range, its digests and the key, in pages', async () => {
  const { archive, objects } = await samplePromise;
  const copied = new Map<string, string>();
  let position: ExportPosition | undefined;
  do {
    const page = await exportArchive(archive, whole, position);
    for (const { key, content } of page.items) copied.set(key, content);
    position = page.next;
  } while (position !== undefined);
  expect(copied).toEqual(objects);
});

test('a page of a copy stays small enough to be answered', async () => {
  const memory = memoryArchive('2027-03-01T10:00:00.000Z');
  for (let n = 0; n < 8; n += 1) {
    const large = entry(n);
    await append(memory.means, 'organization', [{ ...large, record: { ...large.record, after: 'x'.repeat(900_000) } }]);
  }
  const sizes: number[] = [];
  let position: ExportPosition | undefined;
  do {
    const page = await exportArchive(memory.means.archive, { from: '2027-03-01', to: '2027-03-01' }, position);
    sizes.push(page.items.reduce((sum, { content }) => sum + content.length, 0));
    position = page.next;
  } while (position !== undefined);
  expect(sizes.every((size) => size < 3_000_000)).toBe(true);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(7_200_000);
});
