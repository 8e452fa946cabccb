// An engine without a model: programmable text, pace, entropy and faults, for tests and simulations of everything around engines.
import { type Clock, type Outcome, ok, systemClock } from '#libs/base';
import {
  type Embeddings,
  type EmbedRequest,
  type EngineCapabilities,
  EngineError,
  type EngineFault,
  type EngineState,
  type EngineStats,
  type GenerateRequest,
  type InferenceEngine,
  type Prompt,
  type ScoreRequest,
  type SequenceScore,
  type TokenEvent,
  type ToolCallDelta,
  type Uncertainty,
  unknownLoad,
} from './engine.js';
import {
  type FakeDistribution,
  fakeLikely,
  fakeScores,
  fakeTokens,
  fakeVector,
  fakeVocabularySize,
  plainDistribution,
} from './fake-model.js';

export interface FakeBehaviour {
  /** Tokens of an answer to a request. Bytes may split characters: their text comes when the character is whole. */
  readonly tokens?: (request: GenerateRequest, choice: number) => readonly (string | Uint8Array)[];
  /** Calls of an answer, each in as many pieces as given; they come after its tokens. */
  readonly calls?: (request: GenerateRequest, choice: number) => readonly ToolCallDelta[];
  readonly entropyNats?: number;
  /** Overrides `entropyNats`. */
  readonly uncertainty?: (choice: number, index: number) => Uncertainty;
  readonly cachedTokens?: number;
  readonly firstTokenMs?: number;
  readonly betweenTokensMs?: number;
  /** Thrown before the first token, and by `score` and `embed`. */
  readonly failWith?: () => EngineFault | null;
  /** Thrown after this many tokens. */
  readonly dieAfterTokens?: number;
  readonly loadFault?: EngineFault;
  readonly capabilities?: Partial<EngineCapabilities>;
  /** What `score` thinks of text. */
  readonly distribution?: FakeDistribution;
  readonly dimensions?: number;
}

export class FakeEngine implements InferenceEngine {
  readonly kind = 'native';
  readonly seen: GenerateRequest[] = [];
  readonly seenScores: ScoreRequest[] = [];
  readonly seenEmbeds: EmbedRequest[] = [];
  /** Requests whose signal was aborted while they ran. */
  cancelled = 0;
  private state: EngineState = 'idle';
  private reason: string | null = null;
  private running = 0;
  private readonly listeners = new Set<(stats: EngineStats) => void>();

  constructor(
    public behaviour: FakeBehaviour = {},
    private readonly clock: Clock = systemClock,
  ) {}

  async preflight(): Promise<Outcome<{ readonly needBytes: number | null }, EngineFault>> {
    return ok({ needBytes: null });
  }

  async load(): Promise<void> {
    if (this.behaviour.loadFault) {
      this.become('failed', this.behaviour.loadFault.message);
      throw new EngineError(this.behaviour.loadFault);
    }
    this.become('ready');
  }

  capabilities(): EngineCapabilities {
    return {
      entropy: 'exact',
      cancel: 'step',
      topLogprobs: 20,
      choices: 16,
      constraints: true,
      tools: true,
      penalties: true,
      scoring: true,
      embeddings: true,
      maxParallel: null,
      contextSize: null,
      vocabularyHash: 'fa'.repeat(32),
      vocabularySize: fakeVocabularySize,
      evaluation: null,
      ...this.behaviour.capabilities,
    };
  }

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<TokenEvent> {
    this.seen.push(request);
    this.running += 1;
    try {
      this.failIfAsked();
      await this.pause(this.behaviour.firstTokenMs ?? 0, signal);
      const answers = Array.from({ length: request.choices ?? 1 }, (_, choice) => new FakeAnswer(request, choice, this.behaviour));
      let sent = 0;
      // In turns, as a batch gives them.
      for (let index = 0; answers.some((answer) => index < answer.shown.length); index += 1) {
        for (const answer of answers.filter((one) => index < one.shown.length)) {
          if (sent === this.behaviour.dieAfterTokens)
            throw new EngineError({ code: 'engine.crashed', message: 'the engine died in the middle', retryable: true });
          if (sent > 0) await this.pause(this.behaviour.betweenTokensMs ?? 0, signal);
          sent += 1;
          yield answer.event(index);
        }
      }
      for (const answer of answers) {
        const { choice, calls } = answer;
        for (const call of calls) yield { type: 'token', choice, text: '', uncertainty: { kind: 'none' }, toolCalls: [call] };
        yield { type: 'finish', choice, finishReason: calls.length > 0 ? 'tool_calls' : answer.cut ? 'length' : 'stop' };
      }
      yield {
        type: 'end',
        usage: { inputTokens: promptSize(request.prompt), outputTokens: sent, cachedTokens: this.behaviour.cachedTokens ?? 0 },
        queueWaitMs: 0,
      };
    } finally {
      this.running -= 1;
    }
  }

  async score(request: ScoreRequest, signal: AbortSignal): Promise<readonly SequenceScore[]> {
    this.seenScores.push(request);
    this.failIfAsked();
    await this.pause(this.behaviour.firstTokenMs ?? 0, signal);
    return fakeScores(request, this.behaviour.distribution ?? plainDistribution);
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<Embeddings> {
    this.seenEmbeds.push(request);
    this.failIfAsked();
    await this.pause(this.behaviour.firstTokenMs ?? 0, signal);
    return {
      vectors: request.inputs.map((input) => fakeVector(input, this.behaviour.dimensions ?? 8)),
      inputTokens: request.inputs.reduce((sum, input) => sum + (typeof input === 'string' ? fakeTokens(input).length : input.length), 0),
    };
  }

  private failIfAsked(): void {
    const fault = this.behaviour.failWith?.();
    if (fault) throw new EngineError(fault);
  }

  private async pause(ms: number, signal: AbortSignal): Promise<void> {
    if (ms > 0) await this.clock.sleep(ms, signal).catch(() => undefined);
    if (!signal.aborted) return;
    this.cancelled += 1;
    throw new EngineError({ code: 'engine.cancelled', message: 'the request was cancelled', retryable: false });
  }

  stats(): EngineStats {
    return { ...unknownLoad, state: this.state, reason: this.reason, running: this.running, crashes: 0, pid: null, rssBytes: null };
  }

  onStateChange(listener: (stats: EngineStats) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Lets a test say that the engine failed, restarts or came back. */
  become(state: EngineState, reason: string | null = null): void {
    this.state = state;
    this.reason = reason;
    for (const listener of this.listeners) listener(this.stats());
  }

  async unload(): Promise<void> {
    this.become('stopped');
  }
}

/** One choice of a pretended answer. */
class FakeAnswer {
  readonly shown: readonly (string | Uint8Array)[];
  readonly cut: boolean;
  readonly calls: readonly ToolCallDelta[];
  private readonly decoder = new TextDecoder();

  constructor(
    private readonly request: GenerateRequest,
    readonly choice: number,
    private readonly behaviour: FakeBehaviour,
  ) {
    this.calls = behaviour.calls?.(request, choice) ?? [];
    const all = behaviour.tokens?.(request, choice) ?? (this.calls.length > 0 ? [] : ['Hello', ' there']);
    this.shown = all.slice(0, request.sampling.maxTokens);
    this.cut = this.shown.length < all.length;
  }

  event(index: number): TokenEvent {
    const { behaviour, choice, request } = this;
    const token = this.shown[index] ?? '';
    const bytes = typeof token === 'string' ? Buffer.from(token, 'utf8') : token;
    const logprob = -0.1;
    const top = [fakeLikely(token, logprob), ...Array.from({ length: 19 }, (_, other) => fakeLikely(` other${other}`, -3 - other))];
    return {
      type: 'token',
      choice,
      text: this.decoder.decode(bytes, { stream: index + 1 < this.shown.length }),
      uncertainty: behaviour.uncertainty?.(choice, index) ?? {
        kind: 'exact',
        entropyNats: behaviour.entropyNats ?? 0.3,
        nllNats: -logprob,
        marginNats: 1,
      },
      ...(request.topLogprobs === undefined ? {} : { logprobs: { ...fakeLikely(token, logprob), top: top.slice(0, request.topLogprobs) } }),
    };
  }
}

function promptSize(prompt: Prompt): number {
  if (prompt.kind === 'tokens') return prompt.tokens.length;
  return prompt.kind === 'text' ? Math.ceil(prompt.text.length / 4) : prompt.messages.length * 4;
}
