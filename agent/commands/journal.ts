import type { CommandResult } from '../channel/messages.ts';

/** What a device remembers of one command. */
export interface JournalEntry {
  readonly id: string;
  readonly type: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Missing while it is being carried out, or when the machine stopped in the middle. */
  readonly result?: CommandResult;
  /** Whether the server has been told. */
  readonly reported: boolean;
}

/**
 * The commands that a device has taken on. Delivery is at least once; because an entry is on disk before its command
 * starts and stays after it was reported, the effect happens at most once, also across restarts.
 */
export class Journal {
  readonly #entries = new Map<string, JournalEntry>();
  readonly #save: (entries: readonly JournalEntry[]) => void;

  /**
   * @param entries what an earlier run saved
   * @param save keeps the entries; has done so when it returns
   */
  constructor(entries: readonly JournalEntry[], save: (entries: readonly JournalEntry[]) => void) {
    for (const entry of entries) this.#entries.set(entry.id, entry);
    this.#save = save;
  }

  get(id: string): JournalEntry | undefined {
    return this.#entries.get(id);
  }

  /** Notes that a command is about to be carried out. */
  begin(command: { id: string; type: string; expiresAt: number }, now: number): void {
    this.#forget(now);
    this.#put({ id: command.id, type: command.type, expiresAt: command.expiresAt, reported: false });
  }

  /** Notes what became of it. */
  finish(result: CommandResult): void {
    const entry = this.#entries.get(result.commandId);
    if (entry !== undefined) this.#put({ ...entry, result, reported: false });
  }

  /** Results that the server has not been told yet, in the order in which the commands were taken on. */
  unreported(): CommandResult[] {
    return [...this.#entries.values()].flatMap((entry) =>
      entry.result !== undefined && !entry.reported ? [entry.result] : [],
    );
  }

  /** Commands that were begun and have no result. */
  unfinished(): JournalEntry[] {
    return [...this.#entries.values()].filter((entry) => entry.result === undefined);
  }

  /** When deferred commands are to be looked at again, milliseconds since the epoch. */
  deferredUntil(): number[] {
    return [...this.#entries.values()].flatMap(({ result }) =>
      result?.status === 'deferred' && result.until !== undefined ? [Date.parse(result.until)] : [],
    );
  }

  /** Notes that the server took these results. A result that changed while it was on its way stays unreported. */
  reported(results: readonly CommandResult[]): void {
    for (const result of results) {
      const entry = this.#entries.get(result.commandId);
      if (entry?.result === result) this.#entries.set(entry.id, { ...entry, reported: true });
    }
    if (results.length > 0) this.#save([...this.#entries.values()]);
  }

  /** Notes that the server asks for a command whose result it should have: it is reported again. */
  askedAgain(id: string): void {
    const entry = this.#entries.get(id);
    if (entry?.result !== undefined) this.#put({ ...entry, reported: false });
  }

  /** Forgets a command, so that its next delivery is taken on as a new one. */
  drop(id: string): void {
    if (this.#entries.delete(id)) this.#save([...this.#entries.values()]);
  }

  #put(entry: JournalEntry): void {
    this.#entries.set(entry.id, entry);
    this.#save([...this.#entries.values()]);
  }

  /** A command is not delivered after it expired; a day more allows for clocks that differ. */
  #forget(now: number): void {
    for (const [id, entry] of this.#entries) {
      if (now > entry.expiresAt + 86_400_000 && (entry.reported || entry.result === undefined))
        this.#entries.delete(id);
    }
  }
}
