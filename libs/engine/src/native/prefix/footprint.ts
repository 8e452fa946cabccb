// How many cells a set of prefixes takes, before anything is changed for it.
import type { CellRun, CellTree } from './cell-tree.js';

/** Cells that a set of prefixes covers together. */
export class Footprint {
  private readonly covered = new Map<CellRun, number>();
  /** Distinct cells of all prefixes added so far. */
  cells = 0;

  constructor(private readonly tree: CellTree) {}

  /** The first `tokens` of a slot. */
  add(slot: number, tokens: number): void {
    let left = tokens;
    for (const run of this.tree.path(slot)) {
      if (left <= 0) return;
      const part = Math.min(left, run.length);
      const before = this.covered.get(run) ?? 0;
      if (part > before) {
        this.covered.set(run, part);
        this.cells += part - before;
      }
      left -= run.length;
    }
  }
}
