import { generateKeyPairSync, sign } from 'node:crypto';
import type { Chains, Entry, Head } from '../../shared/audit/archive/append.ts';
import type { Archive } from '../../shared/audit/archive/archive.ts';
import type { CloseMeans, DayBook, Days, DigestKey } from '../../shared/audit/archive/close.ts';
import { type ChainEnd, fingerprintOf } from '../../shared/audit/archive/digest.ts';
import { isSeal, type Source } from '../../shared/audit/archive/link.ts';
import type { ArchiveFiles } from '../../shared/audit/archive/verify.ts';

/** The function was killed. */
export class Killed extends Error {}

/** An archive and its chains in memory; every step can be the last one of whoever makes it, and others come in between. */
export interface MemoryArchive {
  readonly means: CloseMeans;
  readonly objects: Map<string, string>;
  /** Sets the clock. */
  at(time: string): void;
  /** Called before (`true`) and after (`false`) each step that writes; throwing kills whoever makes the step. */
  onWrite: (before: boolean) => void;
  files(): ArchiveFiles;
}

const keyOf = (source: Source): string => JSON.stringify([source.pk, source.sk]);

/** A signing key of its own, as KMS would hold it. */
export function digestKeyPair(): DigestKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const publicKeyPem = publicKey.export({ format: 'pem', type: 'spki' }).toString();
  return {
    publicKeyPem,
    fingerprint: fingerprintOf(publicKeyPem),
    sign: async (message) => sign('sha256', message, privateKey),
  };
}

/** An empty archive whose clock stands at `time`. */
export function memoryArchive(time: string, key: DigestKey = digestKeyPair()): MemoryArchive {
  let now = new Date(time);
  const objects = new Map<string, string>();
  const heads = new Map<string, Head>();
  const marks = new Set<string>();
  const ends = new Map<string, ChainEnd[]>();
  let days: Days | undefined;
  const memory: { onWrite: (before: boolean) => void } = { onWrite: () => undefined };
  /** Each step gives way to others first, as a request over a network does. */
  const read = async <T>(step: () => T): Promise<T> => {
    await Promise.resolve();
    return step();
  };
  const write = async <T>(step: () => T): Promise<T> => {
    await Promise.resolve();
    memory.onWrite(true);
    const result = step();
    memory.onWrite(false);
    return result;
  };
  const archive: Archive = {
    create: (name, content) =>
      write(() => {
        if (objects.has(name)) return false;
        objects.set(name, content);
        return true;
      }),
    read: (name) => read(() => objects.get(name)),
    list: (prefix, after, limit) =>
      read(() =>
        [...objects]
          .filter(([name]) => name.startsWith(prefix) && (after === undefined || name > after))
          .map(([name, content]) => ({ key: name, size: content.length }))
          .sort((a, b) => (a.key < b.key ? -1 : 1))
          .slice(0, limit),
      ),
  };
  const same = (a: Head | undefined, b: Head | undefined) => JSON.stringify(a) === JSON.stringify(b);
  const chains: Chains = {
    head: (place) => read(() => heads.get(place)),
    heads: () => read(() => [...heads.values()]),
    archived: (sources) => read(() => new Set(sources.filter((source) => marks.has(keyOf(source))))),
    closedThrough: () => read(() => days?.closedThrough),
    begin: (before, head, closed) =>
      write(() => {
        if (!same(heads.get(head.place), before)) return false;
        if (closed === undefined ? days !== undefined : (days?.closedThrough ?? '') >= head.day) return false;
        const eve = new Date(Date.parse(head.day) - 1).toISOString().slice(0, 10);
        days ??= { closedThrough: eve, digestedThrough: eve };
        heads.set(head.place, head);
        return true;
      }),
    advance: (before, links) =>
      write(() => {
        const last = links.at(-1);
        if (last === undefined || !same(heads.get(before.place), before)) return;
        heads.set(before.place, { ...before, sequence: last.sequence, hash: last.hash, sealed: isSeal(last) });
        for (const link of links) if (!isSeal(link)) marks.add(keyOf(link.source));
        if (!isSeal(last)) return;
        const { place, opens } = before;
        ends.set(before.day, [
          ...(ends.get(before.day) ?? []),
          { place, links: last.sequence, opens, closes: last.hash },
        ]);
      }),
  };
  const dayBook: DayBook = {
    days: (first) =>
      write(() => {
        days ??= first;
        return days;
      }),
    close: (day) =>
      write(() => {
        if (days !== undefined && days.closedThrough < day) days = { ...days, closedThrough: day };
      }),
    ends: (day) => read(() => ends.get(day) ?? []),
    digested: (day, digestHash) =>
      write(() => {
        if (days !== undefined && days.digestedThrough < day) days = { ...days, digestedThrough: day, digestHash };
      }),
  };
  return Object.assign(memory, {
    means: { archive, chains, dayBook, key, now: () => now },
    objects,
    at: (next: string) => {
      now = new Date(next);
    },
    files: () => ({ keys: [...objects.keys()], read: (name: string) => objects.get(name) ?? '' }),
  });
}

/** The record number `n` of a place (undefined: of none) as a stream would deliver it. */
export function entry(n: number, siteId?: string): Entry {
  const at = new Date(Date.UTC(2027, 0, 1) + n).toISOString();
  const id = `record-${n}`;
  return {
    source: { pk: `SITE#${siteId ?? 'none'}`, sk: `AUDIT#${at}#${id}` },
    record: {
      id,
      at,
      actor: 'user:ada',
      action: 'UpdateSite',
      resource: `site/${siteId}`,
      outcome: 'allowed',
      ...(siteId && { siteId }),
    },
  };
}

/** All records in the chains of an archive, in order of their keys. */
export function recordIds(objects: ReadonlyMap<string, string>): string[] {
  return [...objects]
    .filter(([name]) => name.startsWith('chains/'))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, content]) => content.trimEnd().split('\n'))
    .map((line) => (JSON.parse(line) as { record?: { id: string } }).record?.id ?? 'seal');
}
