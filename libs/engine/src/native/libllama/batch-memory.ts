// One batch in native memory, written in place for every step: no allocation, no copy of structures between JavaScript and C.
import koffi from 'koffi';
import type { BatchPart } from '../decoder.js';
import type { Batch, Pointer } from './layouts.js';

/** Room for `capacity` tokens, each of exactly one sequence. Lives as long as the process. */
export class BatchMemory {
  private readonly tokens: Int32Array;
  private readonly positions: Int32Array;
  private readonly sequences: Int32Array;
  private readonly wanted: Int8Array;
  private readonly batch: Batch;

  constructor(readonly capacity: number) {
    const ints = (): [Pointer, Int32Array] => {
      const pointer = koffi.alloc('int32_t', capacity) as Pointer;
      return [pointer, new Int32Array(koffi.view(pointer, capacity * 4))];
    };
    const [token, tokens] = ints();
    const [pos, positions] = ints();
    const [counts, sequenceCounts] = ints();
    const [ids, sequences] = ints();
    sequenceCounts.fill(1);
    const pointers = koffi.alloc('uint64_t', capacity) as Pointer;
    const perToken = new BigUint64Array(koffi.view(pointers, capacity * 8));
    for (let i = 0; i < capacity; i += 1) perToken[i] = koffi.address(ids) + BigInt(i * 4);
    const logits = koffi.alloc('int8_t', capacity) as Pointer;
    this.tokens = tokens;
    this.positions = positions;
    this.sequences = sequences;
    this.wanted = new Int8Array(koffi.view(logits, capacity));
    this.batch = { n_tokens: 0, token, embd: null, pos, n_seq_id: counts, seq_id: pointers, logits };
  }

  /** Fills the batch; what it returns is valid until the next call. Throws when the parts do not fit: the caller plans batches. */
  write(parts: readonly BatchPart[]): Batch {
    let at = 0;
    for (const { slot, position, tokens, wanted } of parts) {
      const count = tokens.length;
      if (at + count > this.capacity) throw new Error(`a batch of more than ${this.capacity} tokens`);
      for (let i = 0; i < count; i += 1, at += 1) {
        this.tokens[at] = tokens[i] ?? 0;
        this.positions[at] = position + i;
        this.sequences[at] = slot;
        this.wanted[at] = wanted === 'all' || (wanted === 'last' && i === count - 1) ? 1 : 0;
      }
    }
    this.batch.n_tokens = at;
    return this.batch;
  }
}
