// One sequence of the KV cache and the tokens it holds.

export interface Slot {
  readonly id: number;
  /** `idle`: kept for later prompts. */
  state: 'empty' | 'idle' | 'running';
  /** Valid up to `length`; grows by doubling and is kept for the next sequence. */
  tokens: Int32Array;
  length: number;
  /** Cells that it may still come to need: 0 unless running. */
  reserved: number;
  /** Order of the last use, larger is later. */
  used: number;
}

export function emptySlot(id: number): Slot {
  return { id, state: 'empty', tokens: new Int32Array(0), length: 0, reserved: 0, used: 0 };
}

export function write(slot: Slot, tokens: ArrayLike<number>): void {
  const length = slot.length + tokens.length;
  if (length > slot.tokens.length) {
    const grown = new Int32Array(Math.max(length, 2 * slot.tokens.length, 256));
    grown.set(slot.tokens.subarray(0, slot.length));
    slot.tokens = grown;
  }
  slot.tokens.set(tokens, slot.length);
  slot.length = length;
}

/** Empty slots first, then idle ones, least recently used first. */
export function byLoss(a: Slot, b: Slot): number {
  return Number(a.state !== 'empty') - Number(b.state !== 'empty') || a.used - b.used || a.id - b.id;
}
