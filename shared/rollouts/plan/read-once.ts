import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { CandidateSource } from './plan.ts';
import type { Candidate } from './selection.ts';

/** Candidates that are packed together. */
const lot = 1_000;

/**
 * The same devices however often they are read, from one reading: planning looks at them twice, and what a device reports
 * in between must not make the second look contradict the first. Later readings come from memory, some tens of bytes a
 * device, so that a million fit into a function.
 *
 * A reading that breaks off is not remembered; the next one reads anew.
 */
export function readOnce(source: CandidateSource): CandidateSource {
  let remembered: readonly Buffer[] | undefined;
  return async function* read() {
    if (remembered !== undefined) {
      for (const packed of remembered) yield* unpack(packed);
      return;
    }
    const lots: Buffer[] = [];
    let candidates: Candidate[] = [];
    for await (const candidate of source()) {
      candidates.push(candidate);
      if (candidates.length === lot) {
        lots.push(pack(candidates));
        candidates = [];
      }
      yield candidate;
    }
    remembered = [...lots, pack(candidates)];
  };
}

const pack = (candidates: readonly Candidate[]): Buffer => deflateRawSync(JSON.stringify(candidates), { level: 1 });
const unpack = (packed: Buffer): readonly Candidate[] =>
  JSON.parse(inflateRawSync(packed).toString()) as readonly Candidate[];
