import { canonicalJson } from '../../canonical-json.ts';
import { type Means, seal } from './append.ts';
import { ArchiveContradiction } from './archive.ts';
import { dayBefore, dayOf, nextDay } from './day.ts';
import { type ChainEnd, type Digest, digestHash, digestText, parseDigest, signedPart } from './digest.ts';
import { digestKey, publicKeyKey } from './names.ts';

/** How far days are closed. */
export interface Days {
  /** Days up to this one take no new chains. */
  readonly closedThrough: string;
  /** Days up to this one have a digest; at most `closedThrough`. */
  readonly digestedThrough: string;
  /** `digestHash` of that digest; undefined before the first. */
  readonly digestHash?: string;
}

/** What is remembered about days. */
export interface DayBook {
  /** Read consistently; `first` is stored and returned when there is nothing yet. */
  days(first: Days): Promise<Days>;
  /** From now on no chain of `day` can begin. */
  close(day: string): Promise<void>;
  /** The ends of all chains of `day` that were sealed, by place, read consistently. */
  ends(day: string): Promise<readonly ChainEnd[]>;
  /** Moves `digestedThrough` to `day`, unless it is there already. */
  digested(day: string, hash: string): Promise<void>;
}

/** The key that digests are signed with. */
export interface DigestKey {
  readonly publicKeyPem: string;
  /** SHA-256 of the public key, hex. */
  readonly fingerprint: string;
  /** ECDSA over SHA-256, DER. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** What closing works with. */
export interface CloseMeans extends Means {
  readonly dayBook: DayBook;
  readonly key: DigestKey;
}

/**
 * Closes every day that is over and has no digest yet, oldest first: no chain of it can begin, its open chains are
 * sealed, and a signed digest says how each one ended and what the digest of the day before was. A day without records
 * gets one too, so that what is missing at an end shows. Safe to repeat and to be cut off anywhere.
 *
 * @param most days of one call; the next call goes on
 * @returns the days that were closed
 */
export async function closeDays(means: CloseMeans, most = 100): Promise<readonly string[]> {
  const { archive, chains, dayBook, key } = means;
  const yesterday = dayBefore(dayOf(means.now()));
  const before = dayBefore(yesterday);
  let days = await dayBook.days({ closedThrough: before, digestedThrough: before });
  const closed: string[] = [];
  while (days.digestedThrough < yesterday && closed.length < most) {
    const day = nextDay(days.digestedThrough);
    await dayBook.close(day);
    for (const head of await chains.heads()) {
      if (!head.sealed && head.day <= day) await seal(means, head.place, day);
    }
    await archive.create(publicKeyKey(key.fingerprint), key.publicKeyPem);
    const digest = await keepDigest(means, day, days.digestHash ?? null);
    const hash = digestHash(digest);
    await dayBook.digested(day, hash);
    days = { closedThrough: day, digestedThrough: day, digestHash: hash };
    closed.push(day);
  }
  return closed;
}

async function keepDigest(means: CloseMeans, day: string, previous: string | null): Promise<Digest> {
  const { archive, dayBook, key } = means;
  const ends = await dayBook.ends(day);
  const unsigned = {
    version: 1,
    day,
    chains: ends.toSorted((a, b) => (a.place < b.place ? -1 : 1)),
    previous,
    at: means.now().toISOString(),
    key: key.fingerprint,
    algorithm: 'ECDSA_SHA_256',
  } as const;
  const signature = Buffer.from(await key.sign(signedPart(unsigned))).toString('base64');
  const digest = { ...unsigned, signature };
  const name = digestKey(day);
  if (await archive.create(name, digestText(digest))) return digest;
  // An earlier call was cut off after it wrote the digest: it says the same, since the day was closed then already.
  const kept = parseDigest((await archive.read(name)) ?? '');
  if (kept === undefined || kept.previous !== previous || canonicalJson(kept.chains) !== canonicalJson(digest.chains)) {
    throw new ArchiveContradiction(name, 'does not say what was archived');
  }
  return kept;
}
