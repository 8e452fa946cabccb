// Our own evaluation: batches written straight into native memory and decoded by libllama, raw logits copied out row by row.
import { type BatchPart, DecodeError, type Decoder } from '../decoder.js';
import type { LoadRequest } from '../protocol.js';
import { BatchMemory } from './batch-memory.js';
import type { Libllama } from './bindings.js';
import type { Pointer } from './layouts.js';
import type { Context } from './open-context.js';

export class LibllamaDecoder implements Decoder {
  readonly evaluation: string;
  readonly slots: number;
  readonly contextSize: number;
  readonly cells: number;
  readonly sharesPrefixes: boolean;
  readonly cuts: 'any' | 'whole';
  readonly batchSize: number;
  readonly maxRows: number;
  private readonly batch: BatchMemory;
  private logits: Pointer = 0n;

  constructor(
    private readonly library: Libllama,
    model: Pointer,
    private readonly context: Context,
    load: LoadRequest,
  ) {
    this.evaluation = `libllama ${library.llama_version()}, own decode loop`;
    this.slots = load.parallel;
    this.contextSize = load.contextSize;
    this.cells = context.cells;
    this.batchSize = context.batchSize;
    this.maxRows = context.maxRows;
    this.batch = new BatchMemory(context.batchSize);
    // A recurrent state is one value per sequence: it can neither be cut nor shared in part.
    const recurrent = library.llama_model_is_recurrent(model) || library.llama_model_is_hybrid(model);
    this.cuts = recurrent ? 'whole' : 'any';
    this.sharesPrefixes = !recurrent && context.unified;
  }

  /**
   * Blocks the process while it computes: a call on a worker thread costs 6 to 15% of an 18 ms step and 1% of a 70 ms one (measured), and
   * between two steps there is nothing else to do than to read messages.
   */
  async decode(parts: readonly BatchPart[]): Promise<void> {
    const batch = this.batch.write(parts);
    const code = this.library.llama_decode(this.context.pointer, batch);
    if (code === 1) throw new DecodeError('full', `no room for ${batch.n_tokens} tokens in the KV cache`);
    if (code !== 0) throw new DecodeError('failed', `llama_decode answered ${code}`);
    this.logits = this.library.llama_get_logits(this.context.pointer);
  }

  copyLogits(row: number, into: Float32Array): void {
    if (!this.logits) throw new Error('the library gave no logits');
    const bytes = into.length * 4;
    this.library.memcpy(into, this.logits + BigInt(row * bytes), bytes);
  }

  truncate(slot: number, tokens: number): boolean {
    const cut = this.library.llama_memory_seq_rm(this.context.memory, slot, tokens, -1);
    if (!cut) this.clear(slot);
    return cut;
  }

  share(from: number, to: number, tokens: number): void {
    this.library.llama_memory_seq_cp(this.context.memory, from, to, 0, tokens);
  }

  clear(slot: number): void {
    this.library.llama_memory_seq_rm(this.context.memory, slot, -1, -1);
  }
}
