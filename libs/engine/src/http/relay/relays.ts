// The short way of one loaded version: which requests may take it, what they are sent as, and what their answers are read by.
import type { Clock, Rng } from '#libs/base';
import type { ExpectedOutput } from '../../admission/index.js';
import type { EngineFault, Usage } from '../../engine.js';
import type { RelayEndpoint, RelayHandle, RelayRequest, RelaySink, RelaySummary } from '../../relay.js';
import type { Fleet } from '../fleet/fleet.js';
import type { UpstreamFacts } from '../upstream-facts.js';
import type { HttpDeadlines } from '../watch.js';
import { RelayBodies } from './relay-body.js';
import { nothingPassed, RelayCall } from './relay-call.js';
import type { RelayLimits } from './relay-deadlines.js';

export interface RelaysOptions {
  readonly model: string;
  readonly facts: UpstreamFacts;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly deadlines: HttpDeadlines;
  /** As in HttpEngineOptions. */
  readonly sampling: { readonly topLogprobs: number; readonly share: number };
  /** Shared with `generate`. */
  readonly expected: ExpectedOutput;
  readonly secret: string | undefined;
  readonly used: (usage: Usage) => void;
}

/** An answer may be this long on the wire: log probabilities of 20 tokens, generously, for each token that was asked for. */
const bytesPerToken = 8 << 10;
const bytesPerAnswer = 1 << 20;
/** What comes whole is held in memory. */
const largestWholeBytes = 64 << 20;
/** Four bytes are a token, more or less, in every tokenizer and most languages. */
const bytesPerInputToken = 4;
const ended: RelayHandle = { resume: () => undefined, cancel: () => undefined };

/** Endpoints whose answers are OpenAI's own, byte for byte. The others are served by way of `generate`, which translates. */
export function relayEndpoints({ dialect, chat, completions }: UpstreamFacts): readonly RelayEndpoint[] {
  // TGI and Ollama write tool calls, and llama-server the log probabilities of plain completions, in forms of their own.
  if (dialect === 'tgi' || dialect === 'ollama') return [];
  const endpoints: RelayEndpoint[] = chat === null ? [] : ['chat/completions'];
  if (completions !== null && dialect !== 'llama-server') endpoints.push('completions');
  return [...endpoints, 'embeddings'];
}

export class Relays {
  private readonly bodies: RelayBodies;

  constructor(private readonly options: RelaysOptions) {
    this.bodies = new RelayBodies(options.model, options.facts);
  }

  /** See InferenceEngine. The sink may be called before this returns. */
  relay(request: RelayRequest, sink: RelaySink): RelayHandle {
    const { facts, fleet, clock, deadlines, secret } = this.options;
    const made = this.bodies.build(request, this.sampledTop());
    if (!made.ok) return refuseRelay(sink, made.fault);
    const { bytes, askedTop, bounds, outputTokens } = made.value;
    const { endpoint, stream, choices, clientTop, withUsage, modelShown } = request;
    const mostBytes = bytesPerAnswer + outputTokens * bytesPerToken;
    const call = new RelayCall(
      {
        clock,
        fleet,
        place: {
          affinity: request.affinity,
          tokens: Math.ceil(bytes.length / bytesPerInputToken) + choices * this.options.expected.of(outputTokens / choices),
          ticket: request.ticket ?? null,
        },
        limits: limitsOf(request, deadlines),
        question: {
          endpoint,
          stream,
          body: bytes,
          wishes: {
            endpoint,
            choices,
            askedTop,
            clientTop,
            bounds,
            withUsage,
            modelShown,
            facts,
            secret,
            mostBytes: stream ? mostBytes : outputTokens === 0 ? largestWholeBytes : Math.min(mostBytes, largestWholeBytes),
          },
        },
        ended: (summary) => this.observe(summary, outputTokens / choices, choices),
      },
      sink,
    );
    call.start();
    return call;
  }

  private sampledTop(): number | null {
    const { topLogprobs, share } = this.options.sampling;
    return share > 0 && (share >= 1 || this.options.rng.uniform() < share) ? topLogprobs : null;
  }

  private observe({ usage, finishReason }: RelaySummary, mostTokens: number, choices: number): void {
    if (usage === null) return;
    this.options.used(usage);
    if (finishReason !== null) this.options.expected.observe(mostTokens, usage.outputTokens / choices);
  }
}

/** For a request that goes nowhere. */
export function refuseRelay(sink: RelaySink, fault: EngineFault): RelayHandle {
  sink.fail(fault, nothingPassed);
  return ended;
}

function limitsOf({ endpoint, stream, deadlineMs }: RelayRequest, { firstTokenMs, betweenTokensMs, totalMs }: HttpDeadlines): RelayLimits {
  const wholeMs = Math.min(deadlineMs ?? totalMs, totalMs);
  // What comes whole has no first token that could be seen: it has the time of an answer, vectors that of a first token.
  if (!stream) return { firstTokenMs: endpoint === 'embeddings' ? firstTokenMs : wholeMs, betweenTokensMs, totalMs: wholeMs };
  return { firstTokenMs, betweenTokensMs, totalMs: wholeMs };
}
