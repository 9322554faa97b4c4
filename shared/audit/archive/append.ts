import { type Archive, ArchiveContradiction } from './archive.ts';
import { dayOf, latestDay, nextDay } from './day.ts';
import { hashOf, isSeal, type Link, linesOf, linkAfter, noHash, parseLines, type Source } from './link.ts';
import { chainKey, chainName, placeOf } from './names.ts';

/** An audit record on its way into the archive. */
export interface Entry {
  readonly source: Source;
  /** As the table holds it, without its keys. */
  readonly record: Readonly<Record<string, unknown>>;
}

/** The chain that a place appends to. */
export interface Head {
  readonly place: string;
  readonly day: string;
  /** Sequence and hash of the last link; 0 and the hash of the chain before when there is none yet. */
  readonly sequence: number;
  readonly hash: string;
  /** `hash` when the chain began. */
  readonly opens: string;
  readonly sealed: boolean;
}

/**
 * What is remembered about chains beside the archive itself. A head may lag behind the archive by one object (whoever
 * wrote that object was cut off); it is never ahead of it.
 */
export interface Chains {
  /** The place's head, read consistently. */
  head(place: string): Promise<Head | undefined>;
  /** All heads, read consistently. */
  heads(): Promise<readonly Head[]>;
  /** Which of these are in a chain already. */
  archived(sources: readonly Source[]): Promise<ReadonlySet<Source>>;
  /** The last day that takes no new chains; undefined before the first. */
  closedThrough(): Promise<string | undefined>;
  /**
   * Begins the chain of a day, if the place's head still is `before` (sealed, or none) and the day takes new chains.
   * False when not: read again.
   */
  begin(before: Head | undefined, head: Head, closedThrough: string | undefined): Promise<boolean>;
  /**
   * Moves the head over `links`, which are in the archive, and remembers their sources, in one transaction. Does nothing
   * when the head is no longer `before`: somebody else has done it.
   */
  advance(before: Head, links: readonly Link[]): Promise<void>;
}

/** What appending works with. */
export interface Means {
  readonly archive: Archive;
  readonly chains: Chains;
  readonly now: () => Date;
}

/** Records of one object: what fits into the transaction that remembers them. */
export const batchRecords = 80;
/** Characters of one object, unless a single record is larger: what is read through the API in one answer. */
export const batchCharacters = 1_000_000;

/** So many others at the same chain at the same moment are a fault, not traffic. */
const mostTries = 200;

/** Others appended to the same chain all the time. Trying again later is safe. */
export class ChainBusy extends Error {
  constructor(place: string) {
    super(`Too many others append to the chain of ${place}`);
    this.name = 'ChainBusy';
  }
}

/** The entries by the place whose chain they belong to, each in the order given. */
export function byPlace(entries: readonly Entry[]): Map<string, Entry[]> {
  return Map.groupBy(entries, ({ record }) => placeOf(record));
}

/**
 * Appends each entry to the place's chain of today, unless it is in a chain already. Safe to repeat, to run at the same
 * time as others, and to be cut off anywhere:
 *
 * - The object that follows the head has one possible key, and the archive lets it be created once. Of several writers
 *   one wins; the others find its object and move the head over it before they try again. So a chain cannot fork.
 * - The head moves, and sources are remembered, in one transaction and only over an object that exists. Whoever finds a
 *   source not remembered, and creates the object after the head that was read before, knows that no object has it. So
 *   nothing is lost or doubled.
 * - A place has one open chain. The chain of a new day begins only after the one before is sealed, by an object in the
 *   same sequence of keys: nothing can follow it, however late it was on its way.
 *
 * @param entries all of one place
 */
export async function append(means: Means, place: string, entries: readonly Entry[]): Promise<void> {
  for (let tries = 0; tries < mostTries; tries += 1) {
    const head = await openHead(means, place);
    const archived = await means.chains.archived(entries.map(({ source }) => source));
    const missing = firstOfEach(entries.filter(({ source }) => !archived.has(source)));
    if (missing.length === 0) return;
    await create(means, head, linksAfter(head, missing));
  }
  throw new ChainBusy(place);
}

/** Seals the place's chain if it is open and of `day` or before. Afterwards nothing is added to it, ever. */
export async function seal(means: Means, place: string, day: string): Promise<void> {
  for (let tries = 0; tries < mostTries; tries += 1) {
    const head = await means.chains.head(place);
    if (head === undefined || head.sealed || head.day > day) return;
    const link = linkAfter({ ...head, chain: chainName(head.day, place) }, { seal: { at: means.now().toISOString() } });
    await create(means, head, [link]);
  }
  throw new ChainBusy(place);
}

/** The place's head after the chain of an earlier day was sealed and today's begun. */
async function openHead(means: Means, place: string): Promise<Head> {
  const { chains } = means;
  for (let tries = 0; tries < mostTries; tries += 1) {
    const head = await chains.head(place);
    const today = dayOf(means.now());
    if (head !== undefined && !head.sealed) {
      // A clock that is behind others' must not begin a chain for a day that is over.
      if (head.day >= today) return head;
      await seal(means, place, head.day);
      continue;
    }
    const closed = await chains.closedThrough();
    const day = latestDay(today, closed && nextDay(closed), head && nextDay(head.day));
    const hash = head?.hash ?? noHash;
    await chains.begin(head, { place, day, sequence: 0, hash, opens: hash, sealed: false }, closed);
  }
  throw new ChainBusy(place);
}

/** Creates the object after the head; whether it was ours or somebody else's, moves the head over what is there. */
async function create({ archive, chains }: Means, head: Head, links: readonly Link[]): Promise<void> {
  const key = chainKey(head.day, head.place, head.sequence + 1);
  if (await archive.create(key, linesOf(links))) return chains.advance(head, links);
  // Whoever was faster is about to move the head, or was cut off before it did.
  const now = await chains.head(head.place);
  if (now === undefined || now.day !== head.day || now.sequence !== head.sequence || now.sealed) return;
  const text = await archive.read(key);
  if (text === undefined) throw new ArchiveContradiction(key, 'exists and cannot be read');
  await chains.advance(head, continuing(head, key, parseLines(text)));
}

/** What somebody else wrote after the head must be what we would have accepted from ourselves. */
function continuing(head: Head, key: string, links: readonly Link[] | undefined): readonly Link[] {
  let { sequence, hash } = head;
  const chain = chainName(head.day, head.place);
  for (const link of links ?? []) {
    sequence += 1;
    if (
      link.chain !== chain ||
      link.sequence !== sequence ||
      link.previousHash !== hash ||
      link.hash !== hashOf(link)
    ) {
      throw new ArchiveContradiction(key, `link ${link.sequence} does not continue the chain`);
    }
    hash = link.hash;
  }
  if (links === undefined || links.slice(0, -1).some(isSeal)) throw new ArchiveContradiction(key, 'holds no links');
  return links;
}

/** A batch may hold the same delivery twice. */
function firstOfEach(entries: readonly Entry[]): Entry[] {
  const byKey = new Map<string, Entry>();
  for (const entry of entries) {
    const key = JSON.stringify([entry.source.pk, entry.source.sk]);
    if (!byKey.has(key)) byKey.set(key, entry);
  }
  return [...byKey.values()];
}

/** Links for as many entries as one object takes, one at least. */
function linksAfter(head: Head, entries: readonly Entry[]): Link[] {
  const links: Link[] = [];
  let position = { chain: chainName(head.day, head.place), sequence: head.sequence, hash: head.hash };
  let characters = 0;
  for (const { source, record } of entries.slice(0, batchRecords)) {
    const link = linkAfter(position, { source, record });
    characters += JSON.stringify(link).length;
    if (links.length > 0 && characters > batchCharacters) break;
    links.push(link);
    position = { ...position, sequence: link.sequence, hash: link.hash };
  }
  return links;
}
