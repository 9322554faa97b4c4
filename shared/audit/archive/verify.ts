import { nextDay } from './day.ts';
import { type Digest, digestHash, fingerprintOf, isSignedBy, parseDigest } from './digest.ts';
import { hashOf, isSeal, type Link, parseLine } from './link.ts';
import { archiveName, chainName, digestKey, publicKeyKey } from './names.ts';

/** Files of an archive, by the keys that they have in it. */
export interface ArchiveFiles {
  /** Every file there is, in any order. */
  readonly keys: readonly string[];
  read(key: string): string;
}

/** What the reader of the archive knows beside it. */
export interface Expected {
  /** First and last day that must be there. Without them, what is missing before the first or after the last digest cannot show. */
  readonly from?: string;
  readonly to?: string;
  /** The archive is only that of this place; the digests name others too. */
  readonly place?: string;
  /** The public key (PEM) that digests must be signed with. Without it the archive's own key is taken, which proves nothing about who signed. */
  readonly publicKeyPem?: string;
}

/** What can be wrong. */
export type Fault =
  | 'changed'
  | 'missing'
  | 'reordered'
  | 'truncated'
  | 'doubled'
  | 'forged'
  | 'unreadable'
  | 'unexpected';

/** One thing that is wrong, and where: the key of the file, with the line after a colon. */
export interface Problem {
  readonly fault: Fault;
  readonly where: string;
  readonly what: string;
}

/** What verification found. The archive is sound when `problems` is empty. */
export interface Verification {
  readonly problems: readonly Problem[];
  readonly records: number;
  readonly chains: number;
  /** Days with a signed digest, first and last; undefined when there is none. */
  readonly attested: { readonly from: string; readonly to: string; readonly days: number } | undefined;
  /** Chains that no digest attests yet: of today, or the last day before it is closed. The end of these is not proved. */
  readonly open: readonly string[];
  /** Fingerprints of the keys whose signatures were accepted. */
  readonly keys: readonly string[];
}

/** One chain as far as it could be read. */
interface ReadChain {
  readonly day: string;
  readonly place: string;
  readonly opens: string;
  /** Hash of the last link. */
  readonly closes: string;
  readonly links: number;
  readonly sealed: boolean;
  readonly where: string;
}

/**
 * Verifies an archive from its files alone. Finds every record that was changed, left out, added, moved or doubled, in
 * each chain, from one chain of a place to its next, and against the signed digests; and every digest that was left out,
 * changed or signed with another key.
 */
export function verifyArchive(files: ArchiveFiles, expected: Expected = {}): Verification {
  const problems: Problem[] = [];
  const report = (fault: Fault, where: string, what: string) => problems.push({ fault, where, what });
  const sorted = sort(files, expected, report);
  const digests = readDigests(files, sorted.digests, expected, report);
  const chains: ReadChain[] = [];
  const sources = new Map<string, string>();
  let records = 0;
  for (const { day, place, keys } of sorted.chains) {
    const chain = readChain(files, day, place, keys, report, (link, where) => {
      records += 1;
      const source = JSON.stringify(link.source);
      const first = sources.get(source);
      if (first !== undefined) report('doubled', where, `is the same record as ${first}`);
      else sources.set(source, where);
    });
    if (chain !== undefined) chains.push(chain);
  }
  followPlaces(chains, report);
  const open = compare(chains, digests.byDay, expected, report);
  const days = [...digests.byDay.keys()].sort();
  const [from, to] = [days[0], days.at(-1)];
  return {
    problems,
    records,
    chains: chains.length,
    attested: from === undefined || to === undefined ? undefined : { from, to, days: days.length },
    open,
    keys: [...digests.keys],
  };
}

type Report = (fault: Fault, where: string, what: string) => void;

/** The files by what they are: chains by place and day with their keys in order. */
function sort(files: ArchiveFiles, expected: Expected, report: Report) {
  const chains = new Map<string, { day: string; place: string; keys: string[] }>();
  const digests: string[] = [];
  for (const key of files.keys.toSorted()) {
    const name = archiveName(key);
    if (name === undefined) report('unexpected', key, 'is no file of an archive');
    else if (name.kind === 'digest') digests.push(key);
    else if (name.kind === 'chain') {
      const { day, place } = name;
      if (expected.place !== undefined && expected.place !== place) {
        report('unexpected', key, `is not of ${expected.place}`);
      }
      const chain = chains.get(chainName(day, place)) ?? { day, place, keys: [] };
      chain.keys.push(key);
      chains.set(chainName(day, place), chain);
    }
  }
  return { chains: [...chains.values()], digests };
}

/** Reads one chain, link by link; undefined when not one link of it can be read. */
function readChain(
  files: ArchiveFiles,
  day: string,
  place: string,
  keys: readonly string[],
  report: Report,
  onRecord: (link: Extract<Link, { record: unknown }>, where: string) => void,
): ReadChain | undefined {
  let last: Link | undefined;
  let first: Link | undefined;
  let end = '';
  for (const key of keys) {
    const name = archiveName(key);
    const lines = files.read(key).split('\n');
    if (lines.pop() !== '' || lines.length === 0) report('changed', key, 'does not end with a whole line');
    for (const [index, line] of lines.entries()) {
      const where = `${key}:${index + 1}`;
      const link = parseLine(line);
      if (link === undefined) {
        report('changed', where, 'is not a link as it was written');
        continue;
      }
      if (hashOf(link) !== link.hash) report('changed', where, 'its content does not have its hash');
      if (link.chain !== chainName(day, place)) report('reordered', where, `is a link of the chain ${link.chain}`);
      if (index === 0 && name?.kind === 'chain' && name.sequence !== link.sequence) {
        report('reordered', where, `link ${link.sequence} stands where link ${name.sequence} belongs`);
      }
      follow(last, link, where, report);
      first ??= link;
      last = link;
      end = where;
      if (!isSeal(link)) onRecord(link, where);
    }
  }
  if (first === undefined || last === undefined) return undefined;
  return {
    day,
    place,
    opens: first.previousHash,
    closes: last.hash,
    links: last.sequence,
    sealed: isSeal(last),
    where: end,
  };
}

/** Whether `link` is the one after `last` (undefined: whether it is the first of its chain). */
function follow(last: Link | undefined, link: Link, where: string, report: Report): void {
  const wanted = (last?.sequence ?? 0) + 1;
  if (link.sequence > wanted) {
    const missing = link.sequence - 1 === wanted ? `link ${wanted} is` : `links ${wanted} to ${link.sequence - 1} are`;
    report('missing', where, `${missing} missing before it`);
  } else if (link.sequence < wanted) {
    report('reordered', where, `link ${link.sequence} comes after link ${wanted - 1}`);
  } else if (last !== undefined && link.previousHash !== last.hash) {
    report('changed', where, 'does not follow from the link before it');
  }
  if (last !== undefined && isSeal(last)) report('unexpected', where, 'comes after the seal of its chain');
}

/** The first link of a place's chain names the last of its chain before; only the last chain of a place may be open. */
function followPlaces(chains: readonly ReadChain[], report: Report): void {
  for (const ofPlace of Map.groupBy(chains, ({ place }) => place).values()) {
    const inOrder = ofPlace.toSorted((a, b) => (a.day < b.day ? -1 : 1));
    for (const [index, chain] of inOrder.entries()) {
      const before = inOrder[index - 1];
      if (before === undefined) continue;
      if (!before.sealed) report('truncated', before.where, 'the chain has no seal, and the place has a later chain');
      else if (chain.opens !== before.closes) {
        report('missing', chain.where, `the chain does not follow from the place's chain of ${before.day}`);
      }
    }
  }
}

/** Reads and verifies all digests, in order of their days. */
function readDigests(files: ArchiveFiles, keys: readonly string[], expected: Expected, report: Report) {
  const byDay = new Map<string, Digest>();
  const used = new Set<string>();
  let before: Digest | undefined;
  for (const key of keys) {
    const digest = parseDigest(files.read(key));
    if (digest === undefined) {
      report('changed', key, 'is not a digest as it was written');
      continue;
    }
    if (key !== digestKey(digest.day)) report('reordered', key, `is the digest of ${digest.day}`);
    if (signed(files, digest, key, expected, report)) used.add(digest.key);
    if (before !== undefined) followDigest(before, digest, key, report);
    byDay.set(digest.day, digest);
    before = digest;
  }
  const days = [...byDay.keys()].sort();
  const [first, last] = [days[0], days.at(-1)];
  const { from, to } = expected;
  const earliest = first === undefined ? undefined : byDay.get(first);
  if (from !== undefined && (first === undefined || first > from) && earliest?.previous !== null) {
    report('missing', digestKey(from), `there is no digest of ${from}`);
  }
  if (to !== undefined && (last === undefined || last < to)) {
    report('truncated', digestKey(to), `there is no digest of ${to}; the last is of ${last ?? 'no day'}`);
  }
  return { byDay, keys: used };
}

function followDigest(before: Digest, digest: Digest, key: string, report: Report): void {
  const wanted = nextDay(before.day);
  if (digest.day > wanted) report('missing', digestKey(wanted), `there is no digest of ${wanted}`);
  else if (digest.previous !== digestHash(before)) {
    report('changed', key, `does not follow from the digest of ${before.day}`);
  }
}

/** Whether the digest is signed with the key that it names, and that key is the expected one. */
function signed(files: ArchiveFiles, digest: Digest, key: string, expected: Expected, report: Report): boolean {
  const name = publicKeyKey(digest.key);
  const inArchive = files.keys.includes(name) ? files.read(name) : undefined;
  const pem = expected.publicKeyPem ?? inArchive;
  if (pem === undefined) {
    report('missing', name, `the public key of the digest of ${digest.day} is missing`);
    return false;
  }
  try {
    if (fingerprintOf(pem) !== digest.key) {
      const which = expected.publicKeyPem === undefined ? 'the file of that name' : 'the expected one';
      report('forged', key, `is signed with the key ${digest.key}, which is not ${which}`);
      return false;
    }
    if (isSignedBy(digest, pem)) return true;
    report('forged', key, 'its signature is not valid');
  } catch {
    report('unreadable', name, 'is not a public key');
  }
  return false;
}

/** Chains against digests. Returns the chains that no digest attests yet. */
function compare(
  chains: readonly ReadChain[],
  digests: ReadonlyMap<string, Digest>,
  expected: Expected,
  report: Report,
): string[] {
  const byName = new Map(chains.map((chain) => [chainName(chain.day, chain.place), chain]));
  const days = [...digests.keys()].sort();
  const [first = '', last = ''] = [days[0], days.at(-1)];
  for (const digest of digests.values()) {
    for (const end of digest.chains) {
      if (expected.place !== undefined && end.place !== expected.place) continue;
      const name = chainName(digest.day, end.place);
      const chain = byName.get(name);
      if (chain === undefined) {
        report('missing', `chains/${name}`, `the digest of ${digest.day} attests ${end.links} links`);
      } else if (chain.links < end.links) {
        report('truncated', chain.where, `the chain ends with link ${chain.links}, the digest attests ${end.links}`);
      } else if (chain.closes !== end.closes || chain.links !== end.links || !chain.sealed) {
        report('changed', chain.where, `the chain does not end as the digest of ${digest.day} attests`);
      } else if (chain.opens !== end.opens) {
        report('changed', chain.where, `the chain does not begin as the digest of ${digest.day} attests`);
      }
    }
  }
  const open: string[] = [];
  for (const [name, chain] of byName) {
    const digest = digests.get(chain.day);
    if (digest?.chains.some(({ place }) => place === chain.place)) continue;
    if (digest !== undefined) report('unexpected', chain.where, `the digest of ${chain.day} knows no such chain`);
    else if (days.length > 0 && chain.day < first) {
      report('missing', digestKey(chain.day), `there is no digest of ${chain.day}`);
    } else if (days.length === 0 || chain.day > last) open.push(name);
  }
  return open.sort();
}
