import fc from 'fast-check';
import { readOnce } from '../../../../../shared/rollouts/plan/read-once.ts';
import type { Candidate } from '../../../../../shared/rollouts/plan/selection.ts';

const candidate = (n: number, more: Partial<Candidate> = {}): Candidate => ({
  ...{ id: `d-${n}`, enrolled: true, siteId: 's-1', unitId: 'u-1', unitType: 'T2', class: 'infusion-pump' },
  ...more,
});

async function all(source: AsyncIterable<Candidate> | Iterable<Candidate>): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  for await (const one of source) candidates.push(one);
  return candidates;
}

describe('readOnce', () => {
  test('gives the same devices again without a second look, whatever became of them', async () => {
    let readings = 0;
    const source = readOnce(() => {
      readings += 1;
      return Array.from({ length: 2_500 }, (_, n) => candidate(n, { version: `1.${readings}` }));
    });
    const first = await all(source());
    expect(first).toHaveLength(2_500);
    expect(await all(source())).toEqual(first);
    expect(readings).toBe(1);
  });

  test('changes nothing of a device', async () => {
    const texts = fc.string({ unit: 'grapheme' });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.record({ version: texts, model: texts, tags: fc.array(texts) })), async (facts) => {
        const devices = facts.map((more, n) => candidate(n, more));
        const source = readOnce(() => devices);
        await all(source());
        expect(await all(source())).toEqual(devices);
      }),
    );
  });

  test('remembers no reading that broke off', async () => {
    let readings = 0;
    const source = readOnce(async function* read() {
      readings += 1;
      yield candidate(1);
      if (readings === 1) throw new Error('The table is away.');
      yield candidate(2);
    });
    await expect(all(source())).rejects.toThrow('away');
    for await (const _one of source()) break;
    expect(await all(source())).toHaveLength(2);
    expect(await all(source())).toHaveLength(2);
    expect(readings).toBe(3);
  });
});
