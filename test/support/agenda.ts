/** Something that happens at a time of a simulated clock. */
export interface Pending {
  readonly at: number;
  readonly run: () => void;
}

/** What is still to happen, the next first. */
export class Agenda {
  readonly #heap: Pending[] = [];

  /** Adds something; of what happens at the same time any may come first. */
  push(item: Pending): void {
    const heap = this.#heap;
    let at = heap.push(item) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || parent.at <= item.at) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = item;
  }

  /** Takes out what happens next; undefined when nothing is left. */
  pop(): Pending | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]];
      if (left === undefined) break;
      const next = right !== undefined && right.at < left.at ? 2 * at + 2 : 2 * at + 1;
      const child = heap[next];
      if (child === undefined || child.at >= last.at) break;
      heap[at] = child;
      at = next;
    }
    heap[at] = last;
    return first;
  }
}
