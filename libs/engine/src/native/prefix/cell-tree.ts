// Which KV cells the slots hold, those that several share counted once.

/** A run of cells that the same slots hold, after the cells of its parent. */
export interface CellRun {
  length: number;
  parent: CellRun | null;
  readonly children: Set<CellRun>;
  /** Slots that end with this run. */
  slots: number;
}

/**
 * The cells of a unified KV cache. Slots share cells only by copying a prefix, so the runs form trees; a slot is a path from a root, and a run
 * lives while a path goes through it. Every operation costs the runs on the path, at most about as many as there are slots.
 */
export class CellTree {
  private readonly ends = new Map<number, CellRun>();
  private cells = 0;

  /** Distinct cells in use. */
  get used(): number {
    return this.cells;
  }

  /** The runs of a slot, first to last. */
  path(slot: number): readonly CellRun[] {
    const runs: CellRun[] = [];
    for (let run = this.ends.get(slot) ?? null; run; run = run.parent) runs.push(run);
    return runs.reverse();
  }

  append(slot: number, tokens: number): void {
    if (tokens === 0) return;
    const end = this.ends.get(slot) ?? null;
    this.cells += tokens;
    if (end && end.slots === 1 && end.children.size === 0) {
      end.length += tokens;
      return;
    }
    this.leave(end);
    this.enter(slot, this.grow(end, tokens));
  }

  /** Keeps the first `tokens` of a slot. */
  truncate(slot: number, tokens: number): void {
    const kept = this.at(slot, tokens);
    const end = this.ends.get(slot) ?? null;
    if (kept === end) return;
    if (kept) kept.slots += 1;
    this.ends.delete(slot);
    this.release(end);
    if (kept) this.ends.set(slot, kept);
  }

  /** An empty slot shares the first `tokens` of another. */
  share(from: number, slot: number, tokens: number): void {
    if (this.ends.has(slot)) throw new Error(`slot ${slot} still holds cells`);
    const run = this.at(from, tokens);
    if (run) this.enter(slot, run);
  }

  private enter(slot: number, run: CellRun): void {
    run.slots += 1;
    this.ends.set(slot, run);
  }

  private leave(run: CellRun | null): void {
    if (run) run.slots -= 1;
  }

  private grow(parent: CellRun | null, length: number): CellRun {
    const run: CellRun = { length, parent, children: new Set(), slots: 0 };
    parent?.children.add(run);
    return run;
  }

  /** The run that ends after so many tokens of the slot, cut there if none does; null for 0. */
  private at(slot: number, tokens: number): CellRun | null {
    let position = 0;
    if (tokens === 0) return null;
    for (const run of this.path(slot)) {
      position += run.length;
      if (position < tokens) continue;
      return position === tokens ? run : this.cut(run, run.length - (position - tokens));
    }
    throw new Error(`slot ${slot} holds ${position} tokens, not ${tokens}`);
  }

  /** The first part is new, so that whoever ends with the run still does. */
  private cut(run: CellRun, length: number): CellRun {
    const { parent } = run;
    parent?.children.delete(run);
    const first = this.grow(parent, length);
    run.length -= length;
    run.parent = first;
    first.children.add(run);
    return first;
  }

  /** A slot no longer ends here: what nobody holds any more is free, and a run that only continues into one other is joined with it. */
  private release(end: CellRun | null): void {
    let run = end;
    this.leave(run);
    while (run && run.slots === 0 && run.children.size === 0) {
      this.cells -= run.length;
      run.parent?.children.delete(run);
      run = run.parent;
    }
    const [only] = run?.children ?? [];
    if (!run || !only || run.slots > 0 || run.children.size > 1) return;
    only.length += run.length;
    only.parent = run.parent;
    run.parent?.children.delete(run);
    run.parent?.children.add(only);
  }
}
