// What must begin soonest to be in time, found and removed in O(log n).

export interface Timed {
  /** Infinity: no deadline, not in the heap. */
  readonly latestStartMs: number;
  /** Where it stands in the heap; -1 outside. Written by the heap alone. */
  heapIndex: number;
}

/** A binary heap that knows where each entry stands: cancelled requests leave it at once instead of filling it until their deadlines. */
export class DeadlineHeap<E extends Timed> {
  private readonly entries: E[] = [];

  get size(): number {
    return this.entries.length;
  }

  get soonest(): E | undefined {
    return this.entries[0];
  }

  add(entry: E): void {
    if (entry.latestStartMs === Number.POSITIVE_INFINITY) return;
    this.put(entry, this.entries.length);
    this.rise(entry);
  }

  /** Does nothing for an entry that is not in the heap. */
  remove(entry: E): void {
    const { heapIndex } = entry;
    if (heapIndex < 0) return;
    entry.heapIndex = -1;
    const last = this.entries.pop();
    if (!last || last === entry) return;
    this.put(last, heapIndex);
    this.rise(last);
    this.sink(last);
  }

  private put(entry: E, index: number): void {
    this.entries[index] = entry;
    entry.heapIndex = index;
  }

  private rise(entry: E): void {
    while (entry.heapIndex > 0) {
      const parent = this.entries[(entry.heapIndex - 1) >> 1];
      if (!parent || parent.latestStartMs <= entry.latestStartMs) return;
      this.swap(entry, parent);
    }
  }

  private sink(entry: E): void {
    for (;;) {
      const left = this.entries[2 * entry.heapIndex + 1];
      const right = this.entries[2 * entry.heapIndex + 2];
      const sooner = right && left && right.latestStartMs < left.latestStartMs ? right : left;
      if (!sooner || sooner.latestStartMs >= entry.latestStartMs) return;
      this.swap(entry, sooner);
    }
  }

  private swap(a: E, b: E): void {
    const index = a.heapIndex;
    this.put(a, b.heapIndex);
    this.put(b, index);
  }
}
