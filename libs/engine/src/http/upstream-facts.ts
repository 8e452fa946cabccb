// What a probe has learned about an upstream. Everything that asks or reads it later goes by this and guesses nothing.
import type { Dialect } from './dialect.js';

export interface EndpointFacts {
  /** Likely tokens that it streams with each token; 0: the token's own number alone; null: no log probabilities. */
  readonly topLogprobs: number | null;
}

export interface UpstreamFacts {
  readonly dialect: Dialect;
  readonly version: string | null;
  /** Null: the endpoint is not served. */
  readonly chat: EndpointFacts | null;
  readonly completions: EndpointFacts | null;
  /** False: its log probabilities are those after temperature, so at other temperatures than 1 they do not tell the model's entropy. */
  readonly rawLogprobs: boolean;
  readonly usageInStreams: boolean;
  readonly cachedTokens: boolean;
  /** Ends streams with `[DONE]`. */
  readonly endMark: boolean;
  readonly maxTokensField: 'max_tokens' | 'max_completion_tokens';
  readonly contextSize: number | null;
  readonly vocabularySize: number | null;
  readonly maxParallel: number | null;
}

/** One line for operators. `top`: likely tokens that it streams; null: no log probabilities. */
export function describeUpstream({ dialect, version, rawLogprobs }: UpstreamFacts, top: number | null): string {
  const server = dialect === 'openai' ? 'an OpenAI-compatible server' : `${dialect}${version === null ? '' : ` ${version}`}`;
  if (top === null) return `by ${server}, which streams no log probabilities`;
  return `by ${server}; entropy bounds from its top ${top} log probabilities${rawLogprobs ? '' : ', which are tempered: only at temperature 1'}`;
}
