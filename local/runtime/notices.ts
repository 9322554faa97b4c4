import type { Log } from '../cloud.ts';

/** How long the same sentence is not told again, ms. */
const QUIET = 60_000;
/** How many different sentences are told in that time: whoever causes more is not helped by more. */
const MOST = 20;

/**
 * Tells a person at the terminal what a client or a function got wrong, as AWS would in a log group that nobody has open
 * here. The same thing again is counted instead of told, so that a thousand devices that fail alike are one line a minute.
 */
export class Notices {
  readonly #log: Log;
  readonly #now: () => number;
  readonly #told = new Map<string, { readonly at: number; again: number }>();

  /** `now` is wall time, ms: whoever reads is no faster than that. */
  constructor(log: Log, now: () => number = Date.now) {
    this.#log = log;
    this.#now = now;
  }

  /** The sentence may hold what a client sent: nothing in it is left that a terminal would obey. */
  tell(spoken: string): void {
    const sentence = spoken.replace(/\p{Cc}/gu, ' ');
    const now = this.#now();
    const told = this.#told.get(sentence);
    if (told !== undefined && now - told.at < QUIET) {
      told.again += 1;
      return;
    }
    for (const [other, { at }] of this.#told) if (now - at >= QUIET) this.#told.delete(other);
    if (this.#told.size >= MOST) return;
    this.#told.set(sentence, { at: now, again: 0 });
    const more = told === undefined || told.again === 0 ? '' : ` (${told.again} more times before)`;
    this.#log.warn(`${sentence}${more}`);
  }
}
