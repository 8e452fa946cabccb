// From what the gateway asks to what the loop runs: sequences, samplers, grammars, and the texts to score.
import { closeSync, openSync } from 'node:fs';
import type { ScoreRequest, SequenceScore } from '../engine.js';
import { GenerationLane, type Reports } from './generation-lane.js';
import type { GrammarState } from './grammar-state.js';
import { Sampler, seededUniform } from './logits/sampler.js';
import type { LoopRequest } from './loop-request.js';
import type { OpenModel } from './open-model.js';
import type { GenerateMessage } from './protocol.js';
import { type Exchange, ScoringLane } from './scoring-lane.js';
import { TextStream } from './text-stream.js';
import type { CallPlan } from './tools/call-plan.js';
import { CallingText } from './tools/calling-text.js';

/** What making a request needs of the loop. */
export interface Workshop {
  readonly model: OpenModel;
  readonly nowMs: () => number;
  readonly randomSeed: () => number;
  readonly measure: boolean;
}

export interface LoopReports extends Reports {
  scored(id: number, sequences: readonly SequenceScore[]): void;
}

const usualTicket = { tenant: '', priority: 'live', deadlineMs: null } as const;
const evaluationTicket = { tenant: '', priority: 'evaluation', deadlineMs: null } as const;

/** What was made of a request before it is queued. */
export interface PreparedGeneration {
  readonly tokens: readonly number[];
  /** Holds from the first token. */
  readonly grammar: string | null;
  readonly calls: CallPlan | null;
}

/** Throws what the client did wrong. */
export function generationRequest(
  { model, nowMs, randomSeed, measure }: Workshop,
  message: GenerateMessage,
  { tokens, grammar, calls }: PreparedGeneration,
  reports: Reports,
): LoopRequest {
  const { id, sampling, choices, topLogprobs } = message;
  const { decoder, vocabulary, chat } = model;
  const prompt = Int32Array.from(tokens);
  for (const [token] of sampling.logitBias ?? []) {
    if (token < 0 || token >= vocabulary.size) throw new Error(`logit_bias names token ${token}, the vocabulary has ${vocabulary.size}`);
  }
  const grammars = new Grammars(model);
  const first = grammar ?? (calls?.fromStart ? calls.gbnf : null);
  const begun = first === null ? [] : grammars.openAll(first, choices);
  const seed = sampling.seed ?? randomSeed();
  return {
    id,
    ticket: message.ticket ?? usualTicket,
    sequences: choices,
    prompt,
    maxOutputTokens: Math.min(sampling.maxTokens, decoder.contextSize - prompt.length),
    queuedAtMs: nowMs(),
    open: (slots, kept) => {
      const lane = (choice: number, from: number, followers: readonly GenerationLane[]): GenerationLane => {
        const sampler = new Sampler(sampling, seededUniform(seed + choice));
        sampler.prime(prompt);
        return new GenerationLane({
          id,
          choice,
          slot: slots[choice] ?? 0,
          prompt,
          kept: from,
          maxTokens: sampling.maxTokens,
          topLogprobs,
          sampler,
          grammar: begun[choice] ?? null,
          text: new TextStream(sampling.stop),
          calls: calls && chat ? new CallingText(calls, vocabulary, chat.template) : null,
          callGrammar: () => (calls ? grammars.open(calls.gbnf) : null),
          vocabulary,
          contextSize: decoder.contextSize,
          measure,
          reports,
          followers,
        });
      };
      // Where cells can be shared the prompt is evaluated once, and the other choices begin at its end.
      const others = slots.slice(1).map((_, index) => lane(index + 1, decoder.sharesPrefixes ? prompt.length : 0, []));
      return [lane(0, kept, decoder.sharesPrefixes ? others : []), ...others];
    },
    free: () => grammars.free(),
  };
}

/** The grammars of one request: native memory that goes with it, whenever they were opened. */
class Grammars {
  private readonly opened: GrammarState[] = [];

  constructor(private readonly model: OpenModel) {}

  open(gbnf: string): GrammarState {
    const state = this.model.openGrammar(gbnf);
    if (!state) throw new Error('the grammar cannot be used by this engine');
    this.opened.push(state);
    return state;
  }

  openAll(gbnf: string, count: number): GrammarState[] {
    try {
      return Array.from({ length: count }, () => this.open(gbnf));
    } catch (error) {
      this.free();
      throw error;
    }
  }

  free(): void {
    for (const state of this.opened.splice(0)) state.free();
  }
}

/** Throws what the client did wrong. */
export function scoreRequest({ model, nowMs }: Workshop, id: number, request: Omit<ScoreRequest, 'id'>, reports: LoopReports): LoopRequest {
  const { decoder, vocabulary } = model;
  const { context: given, exchange: asked } = request;
  const context = Int32Array.from(given ? model.tokenize(given) : vocabulary.tokenize('', true));
  const continuations = request.continuations.map((text) =>
    Int32Array.from(typeof text === 'string' ? vocabulary.tokenize(text, false) : model.tokenize({ kind: 'tokens', tokens: text })),
  );
  if (continuations.length === 0) throw new Error('there is nothing to score');
  for (const [index, tokens] of continuations.entries()) {
    if (context.length + tokens.length > decoder.contextSize) {
      throw new Error(
        `text ${index} has ${context.length + tokens.length} tokens with its context, this version holds ${decoder.contextSize}`,
      );
    }
  }
  const exchange: Exchange | null = asked
    ? {
        mode: asked.mode,
        descriptor: openSync(asked.file, asked.mode === 'write' ? 'w' : 'r'),
        rows: asked.rows ?? { from: 0, to: Number.POSITIVE_INFINITY },
      }
    : null;
  const longest = Math.max(...continuations.map((tokens) => tokens.length));
  // A context of no token leaves the first text to stand for the prompt.
  const prompt = context.length > 0 ? context : (continuations[0] ?? context).subarray(0, 1);
  return {
    id,
    ticket: request.ticket ?? evaluationTicket,
    sequences: 1,
    prompt,
    maxOutputTokens: longest,
    queuedAtMs: nowMs(),
    open: ([slot = 0], kept) => [
      new ScoringLane({
        id,
        slot,
        context,
        continuations,
        kept,
        topLogprobs: request.topLogprobs ?? null,
        vocabulary,
        exchange,
        scored: (of, sequences) => reports.scored(of, sequences),
        broken: (of, message) => reports.broken(of, message),
      }),
    ],
    free: () => {
      if (exchange) closeSync(exchange.descriptor);
    },
  };
}
