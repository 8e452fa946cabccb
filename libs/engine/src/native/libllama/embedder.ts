// Embeddings by a context of its own, made at the first request: a version that only chats pays nothing for them.
import koffi from 'koffi';
import { DecodeError } from '../decoder.js';
import type { LoadRequest } from '../protocol.js';
import { BatchMemory } from './batch-memory.js';
import type { Libllama } from './bindings.js';
import type { Pointer } from './layouts.js';
import { type Context, openContext } from './open-context.js';

const noPooling = 0;
const meanPooling = 1;
const longestInput = 8_192;
const kvPadding = 256;

export class Embedder {
  /** Most tokens of one input. */
  readonly capacity: number;
  private context: Context | null = null;
  private batch: BatchMemory | null = null;

  constructor(
    private readonly library: Libllama,
    private readonly model: Pointer,
    private readonly load: LoadRequest,
  ) {
    // Whole paddings: the library rounds the context up and the batch down to it.
    this.capacity = Math.ceil(Math.min(load.contextSize, longestInput) / kvPadding) * kvPadding;
  }

  /** One unit-length vector of the model's width. Pooling is the model's own; a model without one (a chat model) takes the mean. */
  async embed(tokens: readonly number[]): Promise<number[]> {
    const context = await this.open();
    this.library.llama_memory_seq_rm(context.memory, 0, -1, -1);
    this.batch ??= new BatchMemory(this.capacity);
    const batch = this.batch.write([{ slot: 0, position: 0, tokens, wanted: 'all' }]);
    const code = await new Promise<number>((done, failed) => {
      this.library.llama_decode.async(context.pointer, batch, (error, result) => (error ? failed(error) : done(result)));
    });
    if (code !== 0) throw new DecodeError('failed', `llama_decode answered ${code}`);
    const pointer = this.library.llama_get_embeddings_seq(context.pointer, 0);
    if (!pointer) throw new DecodeError('failed', 'the model gave no embedding');
    const width = this.library.llama_model_n_embd_out(this.model);
    const vector = Array.from(new Float32Array(koffi.view(pointer, width * 4)));
    const length = Math.hypot(...vector);
    return length > 0 ? vector.map((value) => value / length) : vector;
  }

  private async open(): Promise<Context> {
    if (this.context) return this.context;
    const overrides = {
      n_ctx: this.capacity,
      n_batch: this.capacity,
      // A model without causal attention must see its input whole.
      n_ubatch: this.capacity,
      n_seq_max: 1,
      n_outputs_max: this.capacity,
      n_outputs_max_per_seq: this.capacity,
      embeddings: true,
    };
    let context = await openContext(this.library, this.model, { ...this.load, parallel: 1 }, overrides);
    if (this.library.llama_pooling_type(context.pointer) === noPooling) {
      this.library.llama_free(context.pointer);
      context = await openContext(this.library, this.model, { ...this.load, parallel: 1 }, { ...overrides, pooling_type: meanPooling });
    }
    this.context = context;
    return context;
  }
}
