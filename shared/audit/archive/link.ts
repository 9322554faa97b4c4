import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { canonicalJson } from '../../canonical-json.ts';

/** Where an archived record lies in its table. Together the two never occur again, which tells a repeated delivery. */
export interface Source {
  readonly pk: string;
  readonly sk: string;
}

/** What every link of a chain has. */
interface LinkBase {
  /** `<UTC day on which it was archived>/<site or organization>` */
  readonly chain: string;
  /** 1 for the first link of the chain. */
  readonly sequence: number;
  /** `hash` of the link before. The first of a chain names the last of the same place's chain before it. */
  readonly previousHash: string;
  /** SHA-256, hex, over the canonical JSON of everything else in the link. */
  readonly hash: string;
}

/** A link that holds an audit record, unchanged. */
export interface RecordLink extends LinkBase {
  readonly source: Source;
  readonly record: Readonly<Record<string, unknown>>;
}

/** The last link of a chain: nothing can follow it. */
export interface SealLink extends LinkBase {
  readonly seal: { readonly at: string };
}

/** One link of a chain. */
export type Link = RecordLink | SealLink;

/** `previousHash` of the first link that a place ever had. */
export const noHash = '0'.repeat(64);

/** A place in a chain: the last link so far (sequence 0: none yet). */
export interface Position {
  readonly chain: string;
  readonly sequence: number;
  readonly hash: string;
}

const hex = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const base = {
  chain: v.string(),
  sequence: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  previousHash: hex,
  hash: hex,
};
const LinkSchema = v.union([
  v.strictObject({
    ...base,
    source: v.strictObject({ pk: v.string(), sk: v.string() }),
    record: v.record(v.string(), v.unknown()),
  }),
  v.strictObject({ ...base, seal: v.strictObject({ at: v.string() }) }),
]);

/** The link that follows `after` and holds `content`. */
export function linkAfter(after: Position, content: Pick<RecordLink, 'source' | 'record'>): RecordLink;
export function linkAfter(after: Position, content: Pick<SealLink, 'seal'>): SealLink;
export function linkAfter(
  after: Position,
  content: Pick<RecordLink, 'source' | 'record'> | Pick<SealLink, 'seal'>,
): Link {
  const { chain, sequence, hash: previousHash } = after;
  const link = { chain, sequence: sequence + 1, previousHash, ...content };
  return { ...link, hash: hashOf(link) };
}

/** The hash that a link must have. */
export function hashOf(link: Omit<RecordLink, 'hash'> | Omit<SealLink, 'hash'>): string {
  const { hash: _, ...content } = { hash: '', ...link };
  return createHash('sha256').update(canonicalJson(content)).digest('hex');
}

/** Whether a link closes its chain. */
export const isSeal = (link: Link): link is SealLink => 'seal' in link;

/** Links as an object of the archive holds them: one a line, canonical JSON. */
export const linesOf = (links: readonly Link[]): string => links.map((link) => `${canonicalJson(link)}\n`).join('');

/** One line of an object; undefined when it is not exactly a link as `linesOf` writes it. Its hash is not checked here. */
export function parseLine(line: string): Link | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const parsed = v.safeParse(LinkSchema, value);
  return parsed.success && canonicalJson(value) === line ? parsed.output : undefined;
}

/** The links of an object; undefined when any line is not one. */
export function parseLines(text: string): Link[] | undefined {
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.length === 0) return undefined;
  const links = lines.map(parseLine);
  return links.every((link) => link !== undefined) ? links : undefined;
}
