// Teacher-forced scores: given text goes through the model once, and every position tells what the model thought of the next token.
import { readSync, writeSync } from 'node:fs';
import type { Work } from '../admission/index.js';
import type { SequenceScore, TokenScore } from '../engine.js';
import type { Vocabulary } from './decoder.js';
import { likelyToken } from './generation-lane.js';
import type { Lane, Want } from './lane.js';
import type { LogitsKernel } from './logits/kernel.js';

/** Open file for the log probabilities of all rows, in order: `vocabulary` floats each, native byte order (both children run on one machine). */
export interface Exchange {
  readonly mode: 'write' | 'read';
  readonly descriptor: number;
  /** Scored positions that are exchanged, counted over all continuations. */
  readonly rows: { readonly from: number; readonly to: number };
}

export interface ScoringLaneParts {
  readonly id: number;
  readonly slot: number;
  /** Not scored. */
  readonly context: Int32Array;
  readonly continuations: readonly Int32Array[];
  /** Tokens of context and first continuation that the slot holds already. */
  readonly kept: number;
  readonly topLogprobs: number | null;
  readonly vocabulary: Vocabulary;
  readonly exchange: Exchange | null;
  scored(id: number, sequences: readonly SequenceScore[]): void;
  broken(id: number, message: string): void;
}

export class ScoringLane implements Lane {
  readonly id: number;
  readonly slot: number;
  readonly urgent = false;
  readonly opening = false;
  done = false;
  private readonly finished: SequenceScore[] = [];
  private scores: TokenScore[] = [];
  private tokens: Int32Array;
  private position: number;
  private rowsFrom = 0;
  private rowsScored = 0;
  private rewind: number | null = null;
  private readonly reference: Float32Array | null;

  constructor(private readonly parts: ScoringLaneParts) {
    this.id = parts.id;
    this.slot = parts.slot;
    this.tokens = this.sequence(0);
    // The row before the first scored token is needed, so at least that position is evaluated again.
    this.position = Math.min(parts.kept, this.firstRow);
    if (this.position < parts.kept) this.rewind = this.position;
    this.reference = parts.exchange?.mode === 'read' ? new Float32Array(parts.vocabulary.size) : null;
    this.openSequence();
  }

  private get firstRow(): number {
    return Math.max(0, this.parts.context.length - 1);
  }

  private sequence(index: number): Int32Array {
    const { context, continuations } = this.parts;
    return Int32Array.from([...context, ...(continuations[index] ?? [])]);
  }

  /** A first token without anything before it has no score; an empty or one-token sequence needs no evaluation at all. */
  private openSequence(): void {
    if (this.parts.context.length === 0 && this.tokens.length > 0) {
      const token = this.tokens[0] ?? 0;
      this.scores.push({ token, text: this.textOf(token), nllNats: null, entropyNats: null, rank: null });
    }
    if (this.position >= this.tokens.length - 1) this.closeSequence();
  }

  private closeSequence(): void {
    this.finished.push({ tokens: this.scores });
    this.scores = [];
    if (this.finished.length === this.parts.continuations.length) {
      this.done = true;
      this.parts.scored(this.parts.id, this.finished);
      return;
    }
    this.tokens = this.sequence(this.finished.length);
    const keep = Math.min(this.position, this.firstRow);
    if (keep < this.position) this.rewind = keep;
    this.position = keep;
    this.openSequence();
  }

  takeFork(): null {
    return null;
  }

  takeRewind(): number | null {
    const { rewind } = this;
    this.rewind = null;
    return rewind;
  }

  restarted(): void {
    this.position = 0;
  }

  remaining(): Work {
    const rest = this.parts.continuations.slice(this.finished.length + 1).reduce((sum, tokens) => sum + tokens.length, 0);
    return { sequences: 1, inputTokens: Math.max(0, this.tokens.length - this.position) + rest, outputTokens: 0 };
  }

  want(room: number, rows: number): Want | null {
    if (this.done || room === 0) return null;
    // The last token predicts nothing that is asked for.
    const end = this.tokens.length - 1;
    if (this.position < this.firstRow) {
      const stop = Math.min(this.firstRow, this.position + room);
      return { position: this.position, tokens: this.tokens.subarray(this.position, stop), rows: 'none' };
    }
    const count = Math.min(room, rows, end - this.position);
    if (count <= 0) return null;
    return { position: this.position, tokens: this.tokens.subarray(this.position, this.position + count), rows: 'all' };
  }

  evaluated(tokens: Int32Array): void {
    this.rowsFrom = this.position;
    this.position += tokens.length;
  }

  row(kernel: LogitsKernel, index: number): void {
    if (this.done) return;
    if (!kernel.measured.finite) {
      this.done = true;
      return this.parts.broken(this.parts.id, 'the model gave logits that are not finite numbers');
    }
    const token = this.tokens[this.rowsFrom + index + 1] ?? 0;
    const { topLogprobs, vocabulary } = this.parts;
    this.scores.push({
      token,
      text: this.textOf(token),
      nllNats: kernel.nllNats(token),
      entropyNats: kernel.measured.entropyNats,
      rank: kernel.rank(token),
      ...(topLogprobs === null
        ? {}
        : { top: kernel.mostLikely(topLogprobs).map((one) => likelyToken(vocabulary.bytes(one.token), one.logprob)) }),
      ...this.exchange(kernel),
    });
    if (this.rowsFrom + index + 2 === this.tokens.length) this.closeSequence();
  }

  private exchange(kernel: LogitsKernel): { klNats?: number; sameTop?: boolean } {
    const { exchange, vocabulary } = this.parts;
    const row = this.rowsScored++;
    if (!exchange || row < exchange.rows.from || row >= exchange.rows.to) return {};
    if (exchange.mode === 'write') {
      const logprobs = new Float32Array(vocabulary.size);
      kernel.writeLogprobs(logprobs);
      writeSync(exchange.descriptor, new Uint8Array(logprobs.buffer));
      return {};
    }
    const { reference } = this;
    if (!reference) return {};
    const bytes = new Uint8Array(reference.buffer);
    for (let at = 0; at < bytes.length; ) {
      const read = readSync(exchange.descriptor, bytes, at, bytes.length - at, null);
      if (read === 0) throw new Error('the other version wrote fewer positions than this one reads');
      at += read;
    }
    let best = 0;
    for (let token = 1; token < reference.length; token += 1) if ((reference[token] ?? 0) > (reference[best] ?? 0)) best = token;
    return { klNats: kernel.klFrom(reference), sameTop: best === kernel.measured.top };
  }

  private textOf(token: number): string {
    return likelyToken(this.parts.vocabulary.bytes(token), 0).text;
  }
}
