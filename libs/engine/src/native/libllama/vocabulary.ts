// Tokens as bytes and text as tokens, by the model's own vocabulary.
import type { Vocabulary } from '../decoder.js';
import type { Libllama } from './bindings.js';
import type { Pointer } from './layouts.js';

const pieceBytes = 256;

/** Pieces are asked for once and kept: a vocabulary of 128k tokens costs a few megabytes at most. */
export class LibllamaVocabulary implements Vocabulary {
  readonly size: number;
  private readonly pieces: (Uint8Array | undefined)[];
  /** Only of tokens in answers that may call functions. */
  private readonly spellings: (Uint8Array | undefined)[] = [];
  private readonly ends: Int8Array;
  private readonly begin: number | null;

  constructor(
    private readonly library: Libllama,
    private readonly vocabulary: Pointer,
  ) {
    this.size = library.llama_vocab_n_tokens(vocabulary);
    this.pieces = new Array<Uint8Array | undefined>(this.size);
    this.ends = new Int8Array(this.size);
    const begin = library.llama_vocab_bos(vocabulary);
    this.begin = library.llama_vocab_get_add_bos(vocabulary) && begin >= 0 ? begin : null;
  }

  isEnd(token: number): boolean {
    const known = this.ends[token] ?? 0;
    if (known !== 0) return known > 0;
    const end = this.library.llama_vocab_is_eog(this.vocabulary, token);
    this.ends[token] = end ? 1 : -1;
    return end;
  }

  bytes(token: number): Uint8Array {
    return this.pieceOf(token, this.pieces, false);
  }

  spelling(token: number): Uint8Array {
    return this.pieceOf(token, this.spellings, true);
  }

  private pieceOf(token: number, kept: (Uint8Array | undefined)[], special: boolean): Uint8Array {
    const known = kept[token];
    if (known) return known;
    let room = new Uint8Array(pieceBytes);
    let length = this.library.llama_token_to_piece(this.vocabulary, token, room, room.length, 0, special);
    if (length < 0) {
      room = new Uint8Array(-length);
      length = this.library.llama_token_to_piece(this.vocabulary, token, room, room.length, 0, special);
    }
    const piece = room.slice(0, Math.max(0, length));
    kept[token] = piece;
    return piece;
  }

  tokenize(text: string, begin: boolean): number[] {
    const bytes = Buffer.from(text, 'utf8');
    // A token carries at least one byte, and a model may put a space before the text.
    const room = new Int32Array(bytes.length + 8);
    const count = this.library.llama_tokenize(this.vocabulary, bytes, bytes.length, room, room.length, false, false);
    if (count < 0) throw new Error(`the text has more tokens than bytes (${-count})`);
    const tokens = Array.from(room.subarray(0, count));
    return begin && this.begin !== null ? [this.begin, ...tokens] : tokens;
  }
}
