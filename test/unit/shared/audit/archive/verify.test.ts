import fc from 'fast-check';
import { append } from '../../../../../shared/audit/archive/append.ts';
import { closeDays } from '../../../../../shared/audit/archive/close.ts';
import { type Digest, digestText, parseDigest, signedPart } from '../../../../../shared/audit/archive/digest.ts';
import { type Link, linesOf, linkAfter, noHash, parseLines } from '../../../../../shared/audit/archive/link.ts';
import { type Expected, verifyArchive } from '../../../../../shared/audit/archive/verify.ts';
import { digestKeyPair, entry, memoryArchive } from '../../../../support/memory-archive.ts';

const day = (n: number) => `2027-03-${String(n).padStart(2, '0')}`;

/** Five closed days of two sites and the organization, one of them empty, and an open sixth. */
async function sample() {
  const memory = memoryArchive(`${day(1)}T10:00:00.000Z`);
  let n = 0;
  for (let date = 1; date <= 6; date += 1) {
    memory.at(`${day(date)}T10:00:00.000Z`);
    if (date !== 3) {
      for (const site of ['s-1', 's-2', undefined]) {
        const first = Array.from({ length: 2 + (n % 3) }, () => entry(n++, site));
        await append(memory.means, site ?? 'organization', first);
        await append(memory.means, site ?? 'organization', [entry(n++, site)]);
      }
    }
    memory.at(`${day(date)}T23:00:00.000Z`);
  }
  await closeDays(memory.means);
  const expected = { from: day(1), to: day(5), publicKeyPem: memory.means.key.publicKeyPem };
  return { objects: memory.objects, expected, count: n };
}

const samplePromise = sample();

function verify(objects: ReadonlyMap<string, string>, expected: Expected) {
  return verifyArchive({ keys: [...objects.keys()], read: (key) => objects.get(key) ?? '' }, expected);
}

test('an archive that nobody touched is sound', async () => {
  const { objects, expected, count } = await samplePromise;
  const verification = verify(objects, expected);
  expect(verification.problems).toEqual([]);
  expect(verification).toMatchObject({
    records: count,
    chains: 15,
    attested: { from: day(1), to: day(5), days: 5 },
    open: [`${day(6)}/organization`, `${day(6)}/s-1`, `${day(6)}/s-2`],
  });
  expect(parseDigest(objects.get(`digests/${day(3)}.json`) ?? '')?.chains).toEqual([]);
});

test('one site of it is sound by itself, with the digests of all', async () => {
  const { objects, expected } = await samplePromise;
  const ofSite = new Map([...objects].filter(([key]) => !key.startsWith('chains/') || key.includes('/s-1/')));
  expect(verify(ofSite, { ...expected, place: 's-1' }).problems).toEqual([]);
  expect(verify(ofSite, expected).problems.map(({ fault }) => fault)).toEqual(Array(8).fill('missing'));
});

/** Attested: what lies before the last digest. The end of an open chain is proved only by the next digest. */
const attested = (key: string) => !key.startsWith(`chains/${day(6)}`);

test('any change of any character is found, in any file', async () => {
  const { objects, expected } = await samplePromise;
  const keys = [...objects.keys()];
  fc.assert(
    fc.property(
      fc.constantFrom(...keys),
      fc.nat(),
      fc.constantFrom('0', 'a', 'Z', ' ', '\n', '"', '}', ''),
      (key, at, to) => {
        const text = objects.get(key) ?? '';
        const index = at % text.length;
        const changed = text.slice(0, index) + to + text.slice(index + 1);
        fc.pre(changed !== text);
        // The archive's own copy of the public key is not what is trusted here.
        fc.pre(!key.startsWith('keys/'));
        const { problems } = verify(new Map([...objects, [key, changed]]), expected);
        expect(problems.length).toBeGreaterThan(0);
        expect(problems[0]?.where.split(':')[0]).toBe(key);
      },
    ),
    { numRuns: 500 },
  );
});

test('any missing file is found', async () => {
  const { objects, expected } = await samplePromise;
  for (const key of objects.keys()) {
    if (!attested(key) || key.startsWith('keys/')) continue;
    const rest = new Map(objects);
    rest.delete(key);
    expect([key, verify(rest, expected).problems.length > 0]).toEqual([key, true]);
  }
});

test('any line that is left out, doubled, or changes places is found', async () => {
  const { objects, expected } = await samplePromise;
  const chains = [...objects.keys()].filter((key) => key.startsWith('chains/') && attested(key));
  const lines = chains.flatMap((key) =>
    (objects.get(key) ?? '')
      .trimEnd()
      .split('\n')
      .map((_, index) => ({ key, index })),
  );
  const edited = (edits: Map<string, string[]>) =>
    new Map([
      ...objects,
      ...[...edits].map(([key, list]): [string, string] => [key, list.map((line) => `${line}\n`).join('')]),
    ]);
  const linesIn = (key: string) => (objects.get(key) ?? '').trimEnd().split('\n');
  fc.assert(
    fc.property(
      fc.constantFrom(...lines),
      fc.constantFrom(...lines),
      fc.constantFrom('remove', 'double', 'swap', 'move'),
      (one, other, edit) => {
        const from = linesIn(one.key);
        const to = one.key === other.key ? from : linesIn(other.key);
        const line = from[one.index] ?? '';
        if (edit === 'remove') from.splice(one.index, 1);
        else if (edit === 'double') to.splice(other.index, 0, line);
        else if (edit === 'swap') [from[one.index], to[other.index]] = [to[other.index] ?? '', line];
        else {
          from.splice(one.index, 1);
          to.splice(other.index, 0, line);
        }
        const archive = edited(
          new Map([
            [one.key, from],
            [other.key, to],
          ]),
        );
        fc.pre([...archive].some(([key, text]) => objects.get(key) !== text));
        expect(verify(archive, expected).problems.length).toBeGreaterThan(0);
      },
    ),
    { numRuns: 500 },
  );
});

describe('somebody who can compute hashes but not sign', () => {
  /** Writes the chain anew, with all hashes right, after `change`. */
  async function rewritten(place: string, change: (links: Link[]) => Link[]) {
    const { objects, expected } = await samplePromise;
    const archive = new Map(objects);
    let hash = noHash;
    for (let date = 1; date <= 6; date += 1) {
      const prefix = `chains/${day(date)}/${place}/`;
      const keys = [...objects.keys()].filter((key) => key.startsWith(prefix)).sort();
      if (keys.length === 0) continue;
      const all = keys.flatMap((key) => parseLines(objects.get(key) ?? '') ?? []);
      for (const key of keys) archive.delete(key);
      let position = { chain: `${day(date)}/${place}`, sequence: 0, hash };
      const links = (date === 2 ? change(all) : all).map((old) => {
        const link =
          'seal' in old
            ? linkAfter(position, { seal: old.seal })
            : linkAfter(position, { source: old.source, record: old.record });
        position = { ...position, sequence: link.sequence, hash: link.hash };
        return link;
      });
      archive.set(`${prefix}00000001.jsonl`, linesOf(links));
      hash = position.hash;
    }
    return { archive, expected };
  }

  test('a record changed, and every hash after it made anew', async () => {
    const { archive, expected } = await rewritten('s-1', (links) =>
      links.map((link, index) =>
        index === 0 && 'record' in link ? { ...link, record: { ...link.record, actor: 'user:eve' } } : link,
      ),
    );
    const { problems } = verify(archive, expected);
    expect(problems.length).toBeGreaterThan(0);
    expect(problems[0]).toMatchObject({ fault: 'changed', where: expect.stringContaining(`chains/${day(2)}/s-1/`) });
  });

  test('the end of a day left out, and a new seal put there', async () => {
    const { archive, expected } = await rewritten('s-2', (links) => links.toSpliced(-2, 1));
    expect(verify(archive, expected).problems).toContainEqual(
      expect.objectContaining({ fault: 'truncated', where: expect.stringContaining(`chains/${day(2)}/s-2/`) }),
    );
  });

  test('a digest signed with a key of their own', async () => {
    const { objects, expected } = await samplePromise;
    const theirs = digestKeyPair();
    const digest = parseDigest(objects.get(`digests/${day(5)}.json`) ?? '') as Digest;
    const unsigned = { ...digest, chains: digest.chains.slice(1), key: theirs.fingerprint };
    const signature = Buffer.from(await theirs.sign(signedPart(unsigned))).toString('base64');
    const archive = new Map([
      ...objects,
      [`digests/${day(5)}.json`, digestText({ ...unsigned, signature })],
      [`keys/${theirs.fingerprint}.pem`, theirs.publicKeyPem],
    ]);
    expect(verify(archive, expected).problems).toContainEqual(
      expect.objectContaining({ fault: 'forged', where: `digests/${day(5)}.json` }),
    );
    const own = verify(archive, { from: day(1), to: day(5) });
    expect(own.keys).toEqual([digest.key, theirs.fingerprint]);
  });

  test('a signature over something else', async () => {
    const { objects, expected } = await samplePromise;
    const digest = parseDigest(objects.get(`digests/${day(4)}.json`) ?? '') as Digest;
    const other = parseDigest(objects.get(`digests/${day(5)}.json`) ?? '') as Digest;
    const archive = new Map([
      ...objects,
      [`digests/${day(4)}.json`, digestText({ ...digest, signature: other.signature })],
    ]);
    expect(verify(archive, expected).problems).toContainEqual(
      expect.objectContaining({ fault: 'forged', where: `digests/${day(4)}.json` }),
    );
  });

  test('the last days taken away altogether', async () => {
    const { objects, expected } = await samplePromise;
    const archive = new Map([...objects].filter(([key]) => ![5, 6].some((date) => key.includes(day(date)))));
    expect(verify(archive, expected).problems).toEqual([
      {
        fault: 'truncated',
        where: `digests/${day(5)}.json`,
        what: `there is no digest of ${day(5)}; the last is of ${day(4)}`,
      },
    ]);
    // Without a day that must be there, nothing can show it: the answer says how far it goes.
    expect(verify(archive, {})).toMatchObject({ problems: [], attested: { to: day(4) } });
  });

  test('the first days taken away altogether', async () => {
    const { objects, expected } = await samplePromise;
    const archive = new Map([...objects].filter(([key]) => !key.includes(day(1))));
    expect(verify(archive, expected).problems).toEqual([
      { fault: 'missing', where: `digests/${day(1)}.json`, what: `there is no digest of ${day(1)}` },
    ]);
  });
});
