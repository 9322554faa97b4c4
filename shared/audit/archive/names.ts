import { isDay } from './day.ts';

/** What has no site is chained under this name. */
export const organizationPlace = 'organization';

/**
 * The place whose chain a record belongs to: its site, else the organization. An id that could not be part of an object
 * key is none of ours; such a record is kept with the organization rather than lost.
 */
export function placeOf(record: Readonly<Record<string, unknown>>): string {
  const { siteId } = record;
  return typeof siteId === 'string' && /^[A-Za-z0-9][A-Za-z0-9-]{0,79}$/.test(siteId) ? siteId : organizationPlace;
}

/** Name of the chain of one day and place, as its links carry it. */
export const chainName = (day: string, place: string): string => `${day}/${place}`;

/** Object key of the links that begin with `sequence` (1 is the first of its chain). Keys sort in order of the chain. */
export const chainKey = (day: string, place: string, sequence: number): string =>
  `${chainPrefix(day)}${place}/${String(sequence).padStart(8, '0')}.jsonl`;

/** What the keys of all chains of a day begin with. */
export const chainPrefix = (day: string): string => `chains/${day}/`;

/** Object key of the signed digest of a day. */
export const digestKey = (day: string): string => `digests/${day}.json`;

/** Object key of the public key with this fingerprint. */
export const publicKeyKey = (fingerprint: string): string => `${publicKeyPrefix}${fingerprint}.pem`;

/** What the keys of all public keys begin with. */
export const publicKeyPrefix = 'keys/';

/** What an object of the archive is, by its key. */
export type ArchiveName =
  | { readonly kind: 'chain'; readonly day: string; readonly place: string; readonly sequence: number }
  | { readonly kind: 'digest'; readonly day: string }
  | { readonly kind: 'key'; readonly fingerprint: string };

/** Reads an object key; undefined for what is no part of an archive (which also makes a key safe as a path of a file). */
export function archiveName(key: string): ArchiveName | undefined {
  const [, day = '', place = '', sequence = ''] =
    /^chains\/([\d-]{10})\/([A-Za-z0-9][A-Za-z0-9-]{0,79})\/(\d{8,15})\.jsonl$/.exec(key) ?? [];
  if (isDay(day)) return { kind: 'chain', day, place, sequence: Number(sequence) };
  const [, digested = ''] = /^digests\/([\d-]{10})\.json$/.exec(key) ?? [];
  if (isDay(digested)) return { kind: 'digest', day: digested };
  const [, fingerprint] = /^keys\/([0-9a-f]{64})\.pem$/.exec(key) ?? [];
  return fingerprint === undefined ? undefined : { kind: 'key', fingerprint };
}
