// What goes back for `POST /v1/score`.
import type { LikelyToken, SequenceScore, TokenScore } from '#libs/engine';
import type { Comparison } from './compare.js';
import { bestOf, figuresOf, likelihoodOf } from './figures.js';

export interface ScoreAnswer {
  readonly id: string;
  readonly createdS: number;
  readonly model: string;
  readonly version: string;
  readonly fingerprint: string;
  readonly sequences: readonly SequenceScore[];
  /** The texts as given, null for token ids. */
  readonly texts: readonly (string | null)[];
  /** The sequences are alternatives: say which one is best. */
  readonly choosing: boolean;
  readonly comparison: { readonly version: string; readonly result: Comparison } | null;
}

export function scoreAnswer(answer: ScoreAnswer): string {
  const { sequences, texts, choosing, comparison } = answer;
  const figures = sequences.map((sequence, index) => figuresOf(sequence, texts[index] ?? null));
  const likelihoods = figures.map(likelihoodOf);
  return JSON.stringify({
    id: answer.id,
    object: 'score',
    created: answer.createdS,
    model: answer.model,
    version: answer.version,
    system_fingerprint: answer.fingerprint,
    sequences: sequences.map(({ tokens }, index) => ({
      index,
      tokens: tokens.map(wireToken),
      sums: figures[index],
      ...(choosing ? likelihoods[index] : {}),
    })),
    ...(choosing ? { best: bestOf(likelihoods) } : {}),
    ...(comparison === null
      ? {}
      : {
          compared_to: {
            version: comparison.version,
            kl_mean: comparison.result.klMeanNats,
            same_top_share: comparison.result.sameTopShare,
          },
        }),
  });
}

function wireToken({ token, text, nllNats, entropyNats, rank, top, klNats, sameTop }: TokenScore): Record<string, unknown> {
  return {
    id: token,
    text,
    nll: nllNats,
    entropy: entropyNats,
    rank,
    ...(top === undefined ? {} : { top_logprobs: top.map(wireLikely) }),
    ...(klNats === undefined ? {} : { kl: klNats, same_top: sameTop }),
  };
}

function wireLikely({ text, bytes, logprob }: LikelyToken): Record<string, unknown> {
  return { token: text, logprob, bytes };
}
