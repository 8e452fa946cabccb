// One answer being written: the prompt goes in by chunks, then a token a step, measured before it is sampled.
import type { ExpectedOutput, Work } from '../admission/index.js';
import type { FinishReason, LikelyToken, TokenLogprobs, ToolCallDelta } from '../engine.js';
import type { Vocabulary } from './decoder.js';
import type { GrammarState } from './grammar-state.js';
import type { Lane, Want } from './lane.js';
import type { LogitsKernel } from './logits/kernel.js';
import type { Sampler } from './logits/sampler.js';
import type { TokenTuple } from './protocol.js';
import type { TextStream } from './text-stream.js';
import type { CallingText } from './tools/calling-text.js';

/** Where a lane tells what came: kept by the loop and sent once a step. */
export interface Reports {
  token(tuple: TokenTuple): void;
  finished(id: number, choice: number, reason: FinishReason): void;
  /** The request cannot go on; its other lanes are to stop as well. */
  broken(id: number, message: string): void;
}

export interface GenerationLaneParts {
  readonly id: number;
  readonly choice: number;
  readonly slot: number;
  readonly prompt: Int32Array;
  /** Tokens of the prompt that the slot holds already. */
  readonly kept: number;
  readonly maxTokens: number;
  readonly topLogprobs: number | null;
  readonly sampler: Sampler;
  readonly grammar: GrammarState | null;
  readonly text: TextStream;
  /** Null: the answer calls nothing. */
  readonly calls: CallingText | null;
  /** Opens what holds a call that begins in the middle of an answer. */
  readonly callGrammar: () => GrammarState | null;
  readonly vocabulary: Vocabulary;
  readonly contextSize: number;
  /** False: no entropy, no NLL. */
  readonly measure: boolean;
  readonly reports: Reports;
  /** Choices that begin where this one's prompt ends. */
  readonly followers: readonly GenerationLane[];
}

/** What one token brought. */
interface Reported {
  readonly text: string;
  readonly figures: readonly [entropyNats: number, nllNats: number, marginNats: number] | null;
  readonly logprobs: TokenLogprobs | null;
  readonly calls: readonly ToolCallDelta[];
}

export class GenerationLane implements Lane {
  readonly id: number;
  readonly slot: number;
  /** Positions in the cache. */
  private position: number;
  outputTokens = 0;
  done = false;
  /** What goes into the cache next: the newest token, and what follows of itself. */
  private next: Int32Array | null = null;
  private grammar: GrammarState | null;
  private fork: { readonly slot: number; readonly tokens: number } | null = null;

  private readonly followers: GenerationLane[];

  constructor(private readonly parts: GenerationLaneParts) {
    this.id = parts.id;
    this.slot = parts.slot;
    this.position = parts.kept;
    this.grammar = parts.grammar;
    this.followers = [...parts.followers];
  }

  get urgent(): boolean {
    return this.next !== null;
  }

  get opening(): boolean {
    return this.outputTokens === 0 && !this.done;
  }

  want(room: number, rows: number): Want | null {
    if (this.done || rows === 0 || room === 0) return null;
    if (this.next !== null) return this.next.length > room ? null : { position: this.position, tokens: this.next, rows: 'last' };
    const { prompt } = this.parts;
    // A follower waits until the prompt that it shares is whole.
    if (this.position >= prompt.length) return null;
    const tokens = prompt.subarray(this.position, this.position + room);
    return { position: this.position, tokens, rows: this.position + tokens.length === prompt.length ? 'last' : 'none' };
  }

  evaluated(tokens: Int32Array): void {
    this.position += tokens.length;
    this.next = null;
  }

  takeFork(): { readonly slot: number; readonly tokens: number } | null {
    const { fork } = this;
    this.fork = null;
    return fork;
  }

  takeRewind(): null {
    return null;
  }

  restarted(): void {
    this.position = 0;
  }

  remaining(expected: ExpectedOutput): Work {
    return {
      sequences: 1,
      inputTokens: Math.max(0, this.parts.prompt.length - this.position),
      outputTokens: expected.remaining(this.parts.maxTokens, this.outputTokens),
    };
  }

  /** This lane's first logits are those after the shared prompt. */
  row(kernel: LogitsKernel): void {
    this.take(kernel);
    for (const follower of this.followers.splice(0)) follower.follow(kernel, this.slot);
  }

  private follow(kernel: LogitsKernel, from: number): void {
    this.fork = { slot: from, tokens: this.parts.prompt.length };
    this.take(kernel);
  }

  private take(kernel: LogitsKernel): void {
    const { id, sampler, vocabulary, reports } = this.parts;
    if (!kernel.measured.finite) return reports.broken(id, 'the model gave logits that are not finite numbers');
    let token = sampler.next(kernel);
    if (this.grammar && !this.grammar.allows(token)) {
      const allowed = this.grammar.allowed();
      if (allowed.length === 0) return this.finish(this.endReason, { text: this.heldText() });
      token = sampler.nextAmong(kernel, allowed);
    }
    this.grammar?.accept(token);
    sampler.accept(token);
    const { entropyNats, marginNats } = kernel.measured;
    const figures = this.parts.measure ? ([entropyNats, kernel.nllNats(token), marginNats] as const) : null;
    if (vocabulary.isEnd(token)) return this.finish(this.endReason, { text: this.heldText(), figures });
    const said = this.say(token);
    this.outputTokens += said.next.length;
    const whole = this.outputTokens >= this.parts.maxTokens || this.position + said.next.length >= this.parts.contextSize;
    // Log probabilities are told of text; a call is none.
    const told = this.parts.topLogprobs !== null && said.calls.length === 0 && !this.parts.calls?.calls;
    const logprobs = told ? this.logprobs(kernel, token, vocabulary.bytes(token), this.parts.topLogprobs ?? 0) : null;
    if (this.parts.text.stopped) return this.finish('stop', { text: said.text, figures });
    if (whole) return this.finish('length', { ...said, text: said.text + this.heldText(), figures, logprobs });
    this.next = said.next;
    this.report({ ...said, figures, logprobs });
  }

  /** What a token adds to the answer, and what goes into the cache for it. */
  private say(token: number): { readonly text: string; readonly calls: readonly ToolCallDelta[]; readonly next: Int32Array } {
    const { calls, text, vocabulary } = this.parts;
    if (!calls) return { text: text.push(vocabulary.bytes(token)), calls: [], next: Int32Array.of(token) };
    const said = calls.take(token);
    if (said.instead) this.grammar = this.parts.callGrammar();
    return { text: text.push(Buffer.from(said.text)), calls: said.calls, next: Int32Array.from(said.instead ?? [token]) };
  }

  private heldText(): string {
    const { calls, text } = this.parts;
    return (calls ? text.push(Buffer.from(calls.finish())) : '') + text.finish();
  }

  private get endReason(): FinishReason {
    return this.parts.calls?.calls ? 'tool_calls' : 'stop';
  }

  private finish(reason: FinishReason, last: Partial<Reported>): void {
    this.done = true;
    this.next = null;
    if (last.text || last.figures || last.calls?.length) this.report(last);
    this.parts.reports.finished(this.parts.id, this.parts.choice, reason);
  }

  private report({ text = '', figures, logprobs = null, calls = [] }: Partial<Reported>): void {
    const [entropyNats, nllNats, marginNats] = figures ?? [null, null, null];
    const { id, choice } = this.parts;
    const plain = [id, choice, text, entropyNats, nllNats, marginNats] as const;
    this.parts.reports.token(calls.length > 0 ? [...plain, logprobs, calls] : logprobs ? [...plain, logprobs] : plain);
  }

  private logprobs(kernel: LogitsKernel, token: number, bytes: Uint8Array, top: number): TokenLogprobs {
    const found = top > 0 ? kernel.mostLikely(top) : [];
    return {
      ...likelyToken(bytes, kernel.logprob(token)),
      top: found.map((one) => likelyToken(this.parts.vocabulary.bytes(one.token), one.logprob)),
    };
  }
}

const utf8 = new TextDecoder('utf-8');

export function likelyToken(bytes: Uint8Array, logprob: number): LikelyToken {
  return { text: utf8.decode(bytes), bytes: Array.from(bytes), logprob };
}
