/** A binary heap: `pop` takes the entry with the smallest `at` first. */
export class Heap<T> {
  readonly #entries: { readonly at: number; readonly value: T }[] = [];

  get size(): number {
    return this.#entries.length;
  }

  /** The smallest `at`; undefined when empty. */
  get next(): number | undefined {
    return this.#entries[0]?.at;
  }

  push(at: number, value: T): void {
    const entries = this.#entries;
    entries.push({ at, value });
    let index = entries.length - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfSmaller(index, parent)) return;
      index = parent;
    }
  }

  pop(): T | undefined {
    const entries = this.#entries;
    const top = entries[0];
    const last = entries.pop();
    if (top === undefined || last === undefined || entries.length === 0) return top?.value;
    entries[0] = last;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      const smaller =
        (entries[right]?.at ?? Number.POSITIVE_INFINITY) < (entries[left]?.at ?? Number.POSITIVE_INFINITY)
          ? right
          : left;
      if (smaller >= entries.length || !this.#swapIfSmaller(smaller, index)) return top.value;
      index = smaller;
    }
  }

  /** Swaps when the entry at `child` belongs above the one at `parent`. */
  #swapIfSmaller(child: number, parent: number): boolean {
    const a = this.#entries[child];
    const b = this.#entries[parent];
    if (a === undefined || b === undefined || a.at >= b.at) return false;
    this.#entries[child] = b;
    this.#entries[parent] = a;
    return true;
  }
}
