import { createHash, createPublicKey, verify } from 'node:crypto';
import * as v from 'valibot';
import { canonicalJson } from '../../canonical-json.ts';

const hex = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

/** How one chain of the day ended. */
export const ChainEndSchema = v.strictObject({
  /** Site id or `organization`. */
  place: v.string(),
  /** How many links it has, its seal among them. */
  links: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  /** `previousHash` of its first link. */
  opens: hex,
  /** `hash` of its seal. */
  closes: hex,
});
export type ChainEnd = v.InferOutput<typeof ChainEndSchema>;

const DigestSchema = v.strictObject({
  version: v.literal(1),
  /** The UTC day that is closed. */
  day: v.string(),
  /** Every chain of the day, by place; empty on a day without records. */
  chains: v.array(ChainEndSchema),
  /** `digestHash` of the day before; null on the first day of an archive. */
  previous: v.nullable(hex),
  /** When it was made. */
  at: v.string(),
  /** SHA-256 of the public key (DER SubjectPublicKeyInfo) that verifies it. */
  key: hex,
  algorithm: v.literal('ECDSA_SHA_256'),
  /** ECDSA over the canonical JSON of everything else, DER, base64 in its one proper form: a lenient reader skips characters. */
  signature: v.pipe(
    v.string(),
    v.check((text) => Buffer.from(text, 'base64').toString('base64') === text, 'must be base64'),
  ),
});

/** The signed statement of what a day's chains are. One for each day, also for days without records. */
export type Digest = v.InferOutput<typeof DigestSchema>;

/** What is signed. */
export const signedPart = ({ signature: _, ...rest }: Digest | (Omit<Digest, 'signature'> & { signature?: string })) =>
  Buffer.from(canonicalJson(rest), 'utf8');

/** The digest as an object of the archive holds it. */
export const digestText = (digest: Digest): string => `${canonicalJson(digest)}\n`;

/** A digest out of the archive; undefined when the text is not exactly one as `digestText` writes it. */
export function parseDigest(text: string): Digest | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = v.safeParse(DigestSchema, value);
  return parsed.success && `${canonicalJson(value)}\n` === text ? parsed.output : undefined;
}

/** What the next day's digest names as `previous`. */
export const digestHash = (digest: Digest): string => createHash('sha256').update(canonicalJson(digest)).digest('hex');

/** SHA-256, hex, of a public key in PEM. Throws when it is none. */
export function fingerprintOf(publicKeyPem: string): string {
  const der = createPublicKey(publicKeyPem).export({ format: 'der', type: 'spki' });
  return createHash('sha256').update(der).digest('hex');
}

/** Whether the signature is that of this key over this digest. */
export function isSignedBy(digest: Digest, publicKeyPem: string): boolean {
  return verify('sha256', signedPart(digest), createPublicKey(publicKeyPem), Buffer.from(digest.signature, 'base64'));
}
