// An engine whose own bytes are the answer, as an OpenAI-compatible server's are: what it sends, and how it fails, is told by the test.
import {
  type EngineCapabilities,
  type EngineFault,
  FakeEngine,
  type RelayHandle,
  type RelayRequest,
  type RelaySink,
  type RelaySummary,
} from '#libs/engine';

export const noSummary: RelaySummary = {
  usage: null,
  tokens: 0,
  finishReason: null,
  firstTokenAtMs: null,
  lastTokenAtMs: null,
  longestGapMs: null,
  uncertainty: null,
  queueWaitMs: null,
  upstream: 'test',
};

export const wholeSummary: RelaySummary = {
  ...noSummary,
  usage: { inputTokens: 4, outputTokens: 2, cachedTokens: 0 },
  tokens: 2,
  finishReason: 'stop',
};

/** One request as the engine holds it. */
export class Relayed {
  resumed = 0;
  cancelled = false;
  private over = false;
  private begun = false;

  constructor(
    readonly request: RelayRequest,
    readonly sink: RelaySink,
  ) {}

  /** A whole answer. */
  answer(body: Buffer | string): void {
    const bytes = Buffer.from(body);
    this.sink.begin('whole', bytes.length);
    this.sink.write(bytes);
    this.end();
  }

  /** The beginning of a stream, or more of it. */
  write(events: Buffer | string): boolean {
    if (!this.begun) this.sink.begin('stream', null);
    this.begun = true;
    return this.sink.write(Buffer.from(events));
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    this.sink.end(wholeSummary);
  }

  fail(fault: EngineFault, summary: RelaySummary = noSummary): void {
    if (this.over) return;
    this.over = true;
    this.sink.fail(fault, summary);
  }
}

export class RelayEngine extends FakeEngine {
  readonly relayed: Relayed[] = [];
  /** What is done with each request; requests without are held. */
  serve: ((one: Relayed) => void) | null = null;

  override capabilities(): EngineCapabilities {
    return { ...super.capabilities(), relay: ['chat/completions', 'completions'] };
  }

  relay(request: RelayRequest, sink: RelaySink): RelayHandle {
    const one = new Relayed(request, sink);
    this.relayed.push(one);
    setImmediate(() => this.serve?.(one));
    return {
      resume: () => {
        one.resumed += 1;
      },
      cancel: () => {
        one.cancelled = true;
        one.fail({ code: 'engine.cancelled', message: 'cancelled', retryable: false });
      },
    };
  }

  get last(): Relayed {
    const last = this.relayed.at(-1);
    if (!last) throw new Error('nothing was asked yet');
    return last;
  }
}
