import type { Archive } from './archive.ts';
import { nextDay } from './day.ts';
import { isSeal, parseLines } from './link.ts';
import { chainPrefix, digestKey, publicKeyPrefix } from './names.ts';

/** Days of the archive, first and last, and one place or all. */
export interface Range {
  readonly from: string;
  readonly to: string;
  readonly place?: string;
}

/** An archived record and where in the archive it is. */
export interface Found {
  readonly record: Readonly<Record<string, unknown>>;
  readonly chain: string;
  readonly sequence: number;
}

/** Where a search goes on: in the day, after `key` or, with `line`, inside it. */
export interface SearchPosition {
  readonly day: string;
  readonly key?: string;
  /** Lines of `key` that were looked at. */
  readonly line?: number;
}

/** Requests to the archive that one page of a search may make; a page may then hold less than was asked for. */
export const searchRequests = 150;
/** How many objects are read at the same time. */
const together = 10;

/**
 * A page of the records that match, in the order of the archive: by day, place, sequence. `next` is missing when the
 * range was looked at to its end; a page may be empty and still have one.
 */
export async function searchArchive(
  archive: Archive,
  range: Range,
  matches: (record: Readonly<Record<string, unknown>>) => boolean,
  limit: number,
  start: SearchPosition = { day: range.from },
): Promise<{ readonly items: readonly Found[]; readonly next?: SearchPosition }> {
  const items: Found[] = [];
  let requests = 0;
  let position = start;
  /** Takes what matches of one object; true when the page is full. */
  const take = (key: string, text: string, skip: number): boolean => {
    const links = parseLines(text) ?? [];
    for (const [index, link] of links.entries()) {
      if (index < skip || isSeal(link) || !matches(link.record)) continue;
      items.push({ record: link.record, chain: link.chain, sequence: link.sequence });
      if (items.length < limit) continue;
      const { day } = position;
      position = index + 1 < links.length ? { day, key, line: index + 1 } : { day, key };
      return true;
    }
    position = { day: position.day, key };
    return false;
  };
  for (; position.day <= range.to; position = { day: nextDay(position.day) }) {
    const { key, line } = position;
    if (key !== undefined && line !== undefined) {
      requests += 1;
      if (take(key, (await archive.read(key)) ?? '', line)) return { items, next: position };
    }
    for (;;) {
      if (requests >= searchRequests) return { items, next: position };
      requests += 1;
      const objects = await archive.list(prefixOf(range, position.day), position.key, together);
      if (objects.length === 0) break;
      requests += objects.length;
      const texts = await Promise.all(objects.map((object) => archive.read(object.key)));
      for (const [index, object] of objects.entries()) {
        if (take(object.key, texts[index] ?? '', 0)) return { items, next: position };
      }
    }
  }
  return { items };
}

/** An object of the archive with its content. */
export interface CopiedObject {
  readonly key: string;
  readonly content: string;
}

/** Where an export goes on: in the public keys, or in a day, after a key. */
export interface ExportPosition {
  readonly part: string;
  readonly after?: string;
}

/** Bytes of one page of an export, unless a single object is larger. */
export const exportBytes = 2_500_000;

/**
 * A page of the objects that somebody needs to verify a range: the public keys, then for each day its chains and its
 * digest (which names the chains of all places, also when the range is of one place).
 */
export async function exportArchive(
  archive: Archive,
  range: Range,
  start: ExportPosition = { part: publicKeyPrefix },
): Promise<{ readonly items: readonly CopiedObject[]; readonly next?: ExportPosition }> {
  const items: CopiedObject[] = [];
  let bytes = 0;
  let requests = 0;
  let { part, after }: { part: string; after?: string | undefined } = start;
  const here = (): ExportPosition => ({ part, ...(after === undefined ? {} : { after }) });
  while (part === publicKeyPrefix || part <= range.to) {
    const listed = part === publicKeyPrefix ? publicKeyPrefix : prefixOf(range, part);
    if (requests >= searchRequests) return { items, next: here() };
    requests += 1;
    const objects = await archive.list(listed, after, together);
    if (objects.length === 0) {
      const digest = part === publicKeyPrefix ? undefined : await archive.read(digestKey(part));
      if (digest !== undefined) {
        items.push({ key: digestKey(part), content: digest });
        bytes += digest.length;
      }
      [part, after] = [part === publicKeyPrefix ? range.from : nextDay(part), undefined];
      continue;
    }
    const page = objects.slice(0, fitting(objects, exportBytes - bytes, items.length === 0));
    if (page.length === 0) return { items, next: here() };
    requests += page.length;
    const texts = await Promise.all(page.map(({ key }) => archive.read(key)));
    for (const [index, { key, size }] of page.entries()) {
      items.push({ key, content: texts[index] ?? '' });
      bytes += size;
      after = key;
    }
  }
  return { items };
}

/** How many of these fit, one at least when `first`. */
function fitting(objects: readonly { readonly size: number }[], bytes: number, first: boolean): number {
  let left = bytes;
  const end = objects.findIndex(({ size }, index) => {
    left -= size;
    return left < 0 && !(first && index === 0);
  });
  return end < 0 ? objects.length : end;
}

function prefixOf({ place }: Range, day: string): string {
  return place === undefined ? chainPrefix(day) : `${chainPrefix(day)}${place}/`;
}
