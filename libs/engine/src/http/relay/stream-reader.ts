// What a relay calls per piece of a streamed answer: bytes of the upstream in, bytes for the client out, measured while they pass.
import type { EngineFault } from '../../engine.js';
import type { RelayEndpoint, RelaySummary } from '../../relay.js';
import type { UpstreamFacts } from '../upstream-facts.js';

export interface AnswerWishes {
  readonly endpoint: RelayEndpoint;
  /** Choices that must be whole before the answer is; inputs for embeddings. */
  readonly choices: number;
  /** Likely tokens per place that the upstream was asked for; null: none. */
  readonly askedTop: number | null;
  /** Those that the client asked for; null: log probabilities are cut out. */
  readonly clientTop: number | null;
  /** The log probabilities tell the entropy at temperature 1: it is measured. */
  readonly bounds: boolean;
  /** False: what a stream says of its usage is measured and cut out. A body that comes whole keeps it. */
  readonly withUsage: boolean;
  /** Written over the model's name. */
  readonly modelShown: string;
  readonly facts: Pick<UpstreamFacts, 'endMark' | 'usageInStreams' | 'vocabularySize'>;
  /** Cut out of what the upstream wrote into faults. */
  readonly secret: string | undefined;
  /** Bytes of the body after which the upstream is taken for broken. */
  readonly mostBytes: number;
}

/** What one piece of a stream comes to. */
export interface Passed {
  /**
   * For the client, whole events, to be written before anything else is done; null: nothing yet. The very bytes that came where nothing in
   * them had to change, one new buffer otherwise.
   */
  readonly output: Buffer | null;
  /** The piece held text, a tool call or reasoning: the time between tokens starts anew. */
  readonly tokenSeen: boolean;
  /** The answer is whole (its end mark has passed, with all that must come before). More may come and is worth nothing. */
  readonly whole: boolean;
  /** The answer is not whole and will not be. `output` stands; nothing more is to be pushed. */
  readonly fault: EngineFault | null;
}

/** Reads one streamed answer. Memory: at most one event, 1 MiB. */
export class StreamReader {
  constructor(protected readonly wishes: AnswerWishes) {}

  /** `bytes` as they came, cut anywhere. They are kept until their last event has ended and must not be written to. `nowMs`: monotonic. */
  push(_bytes: Buffer, _nowMs: number): Passed {
    throw new Error('to come');
  }

  /** The upstream has closed its body in good order. `fault` says what was missing; `whole` is true otherwise. */
  end(_nowMs: number): Passed {
    throw new Error('to come');
  }

  /** What has passed so far. `upstream`: which endpoint of the version answers. */
  summary(_upstream: string | null): RelaySummary {
    throw new Error('to come');
  }
}
