// An engine without a model: programmable text, pace, entropy and faults, for tests and simulations of everything around engines.
import { type Clock, type Outcome, ok, systemClock } from '#libs/base';
import {
  type EngineCapabilities,
  EngineError,
  type EngineFault,
  type EngineState,
  type EngineStats,
  type GenerateRequest,
  type InferenceEngine,
  type Prompt,
  type TokenEvent,
  unknownLoad,
} from './engine.js';

export interface FakeBehaviour {
  /** Tokens of the answer to a request. */
  readonly tokens?: (request: GenerateRequest) => readonly string[];
  readonly entropyNats?: number;
  readonly firstTokenMs?: number;
  readonly betweenTokensMs?: number;
  /** Thrown before the first token. */
  readonly failWith?: () => EngineFault | null;
  /** Thrown after this many tokens. */
  readonly dieAfterTokens?: number;
  readonly loadFault?: EngineFault;
}

export class FakeEngine implements InferenceEngine {
  readonly kind = 'native';
  readonly seen: GenerateRequest[] = [];
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
      topLogprobs: 0,
      choices: 1,
      constraints: false,
      penalties: true,
      scoring: false,
      embeddings: false,
      maxParallel: null,
      contextSize: null,
      vocabularyHash: null,
      evaluation: null,
    };
  }

  async *generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<TokenEvent> {
    this.seen.push(request);
    this.running += 1;
    try {
      const fault = this.behaviour.failWith?.();
      if (fault) throw new EngineError(fault);
      await this.pause(this.behaviour.firstTokenMs ?? 0, signal);
      const tokens = this.behaviour.tokens?.(request) ?? ['Hello', ' there'];
      const shown = tokens.slice(0, request.sampling.maxTokens);
      for (const [index, text] of shown.entries()) {
        if (index === this.behaviour.dieAfterTokens)
          throw new EngineError({ code: 'engine.crashed', message: 'the engine died in the middle', retryable: true });
        if (index > 0) await this.pause(this.behaviour.betweenTokensMs ?? 0, signal);
        yield {
          type: 'token',
          choice: 0,
          text,
          uncertainty: { kind: 'exact', entropyNats: this.behaviour.entropyNats ?? 0.3, nllNats: 0.1, marginNats: 1 },
        };
      }
      yield { type: 'finish', choice: 0, finishReason: shown.length < tokens.length ? 'length' : 'stop' };
      yield {
        type: 'end',
        usage: { inputTokens: promptSize(request.prompt), outputTokens: shown.length, cachedTokens: 0 },
        queueWaitMs: 0,
      };
    } finally {
      this.running -= 1;
    }
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

function promptSize(prompt: Prompt): number {
  if (prompt.kind === 'tokens') return prompt.tokens.length;
  return prompt.kind === 'text' ? Math.ceil(prompt.text.length / 4) : prompt.messages.length * 4;
}
