import type { Store } from '../../cloud.ts';

/** How far a mapping has come in a shard. */
export interface ShardPosition {
  /** The last record that needs no more work; undefined: none yet. */
  readonly after?: string;
  /** The shard is closed and worked off. */
  readonly done?: true;
}

/** The stream positions of one mapping, kept in the cloud's store so that a restart neither skips nor loses a record. */
export class Positions {
  readonly #store: Store;
  readonly #space: string;

  constructor(store: Store, mappingId: string) {
    this.#store = store;
    this.#space = `lambda/position/${mappingId}`;
  }

  get(shard: string): ShardPosition {
    return this.#store.get<ShardPosition>(this.#space, `shard/${shard}`) ?? {};
  }

  put(shard: string, position: ShardPosition): void {
    this.#store.put(this.#space, `shard/${shard}`, position);
  }

  /** The stream that the positions are of; undefined for a new mapping. */
  get stream(): string | undefined {
    return this.#store.get<string>(this.#space, 'stream');
  }

  /** Forgets all positions and begins with another stream. */
  begin(stream: string, positions: ReadonlyMap<string, ShardPosition>): void {
    this.#store.transaction(() => {
      for (const { key } of this.#store.list(this.#space)) this.#store.delete(this.#space, key);
      this.#store.put(this.#space, 'stream', stream);
      for (const [shard, position] of positions) this.put(shard, position);
    });
  }
}
