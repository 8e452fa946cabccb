// Constrained output: which tokens a GBNF grammar allows next, by the library's own grammar engine.
import koffi from 'koffi';
import type { GrammarState } from '../grammar-state.js';
import type { Libllama } from './bindings.js';
import { layouts, type Pointer } from './layouts.js';

const tokenBytes = 12;

/** Room for all tokens of the vocabulary as the library's {id, logit, p} triples; one for the whole process, used between two steps only. */
export class CandidateRoom {
  readonly ids: Int32Array;
  readonly logits: Float32Array;
  readonly array: Pointer;
  private readonly data: Pointer;

  constructor(readonly size: number) {
    this.data = koffi.alloc('uint8_t', size * tokenBytes) as Pointer;
    const memory = koffi.view(this.data, size * tokenBytes);
    this.ids = new Int32Array(memory);
    this.logits = new Float32Array(memory);
    this.array = koffi.alloc(layouts.tokenDataArray, 1) as Pointer;
  }

  /** Puts tokens `first`, `first + 1` ... with logit 0 into the first `count` places. */
  fill(first: number, count: number): void {
    for (let i = 0; i < count; i += 1) {
      this.ids[3 * i] = first + i;
      this.logits[3 * i + 1] = 0;
    }
    koffi.encode(this.array, layouts.tokenDataArray, { data: this.data, size: count, selected: -1, sorted: false });
  }
}

/** The state of one answer within its grammar. `free` must be called: the state lives in native memory. */
export class LibllamaGrammar implements GrammarState {
  private constructor(
    private readonly library: Libllama,
    private readonly room: CandidateRoom,
    private readonly sampler: Pointer,
  ) {}

  /** Null: the grammar does not parse. */
  static open(library: Libllama, vocabulary: Pointer, room: CandidateRoom, grammar: string): LibllamaGrammar | null {
    const sampler = library.llama_sampler_init_grammar(vocabulary, grammar, 'root');
    return sampler ? new LibllamaGrammar(library, room, sampler) : null;
  }

  allows(token: number): boolean {
    this.room.fill(token, 1);
    this.library.llama_sampler_apply(this.sampler, this.room.array);
    return Number.isFinite(this.room.logits[1]);
  }

  allowed(): Int32Array {
    const { room } = this;
    room.fill(0, room.size);
    this.library.llama_sampler_apply(this.sampler, room.array);
    let count = 0;
    const tokens = new Int32Array(room.size);
    for (let i = 0; i < room.size; i += 1) {
      if (room.logits[3 * i + 1] !== Number.NEGATIVE_INFINITY) tokens[count++] = room.ids[3 * i] ?? 0;
    }
    return tokens.subarray(0, count);
  }

  accept(token: number): void {
    this.library.llama_sampler_accept(this.sampler, token);
  }

  free(): void {
    this.library.llama_sampler_free(this.sampler);
  }
}
