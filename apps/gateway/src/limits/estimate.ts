// How many tokens a request may spend, guessed before any engine reads it: quick, from above for its answer, and set right when it ends.

/** In tokens. */
export interface Estimate {
  readonly promptTokens: number;
  readonly outputTokens: number;
}

/** What a request really spent. `inputTokens` null: nobody counted (a stream that was cut), the estimate stands. */
export interface Spent {
  readonly inputTokens: number | null;
  readonly outputTokens: number;
}

/** English text has about four bytes a token; the JSON around it makes the guess a little high. */
const bytesPerToken = 4;
const mostAnswers = 1_024;
const bounds = ['max_completion_tokens', 'max_tokens', 'max_output_tokens'] as const;

/**
 * `fieldOf`: a top-level field of the body. `usualOutputTokens`: what the endpoint generates when the body sets no bound; 0 for one that
 * generates nothing. Fields of a wrong kind count as absent: they are refused later, by whoever reads them.
 */
export function estimateOf(bodyBytes: number, fieldOf: (name: string) => unknown, usualOutputTokens: number): Estimate {
  const promptTokens = Math.ceil(bodyBytes / bytesPerToken);
  if (usualOutputTokens === 0) return { promptTokens, outputTokens: 0 };
  const bound = bounds.map(fieldOf).find(isCount) ?? usualOutputTokens;
  const answers = fieldOf('n');
  return { promptTokens, outputTokens: bound * (isCount(answers) ? Math.min(answers, mostAnswers) : 1) };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}
