// Two versions on the same text, token by token: exact divergence where their vocabularies are one, in passes that bound the exchange.
import type { InferenceEngine, ScoreRequest, SequenceScore, TokenScore } from '#libs/engine';
import type { ExchangeFiles } from './exchange-file.js';

const largestFileBytes = 64 * 1_048_576;
/** Each pass evaluates the text twice. */
export const mostPasses = 16;
/** Assumed where an engine does not tell: no common vocabulary is larger. */
const largestVocabulary = 262_144;

export type ScoreCall = NonNullable<InferenceEngine['score']>;

export interface Comparison {
  readonly sequences: readonly SequenceScore[];
  /** Over all compared tokens; null when there was none. */
  readonly klMeanNats: number | null;
  readonly sameTopShare: number | null;
}

/** Positions of one pass. */
export function rowsPerPass(vocabularySize: number | null | undefined): number {
  return Math.max(1, Math.floor(largestFileBytes / (4 * (vocabularySize ?? largestVocabulary))));
}

/** Scored positions of a text: those that are compared. */
export function scoredRows(sequences: readonly SequenceScore[]): number {
  return sequences.reduce((rows, { tokens }) => rows + tokens.filter(isScored).length, 0);
}

/**
 * Scores of `own` with KL(reference || own) for each of `scores`' scored tokens. Both engines get the same request, so their positions are
 * the same. Throws EngineError.
 */
export async function compareOn(
  { request, scores, perPass }: { request: ScoreRequest; scores: readonly SequenceScore[]; perPass: number },
  engines: { readonly reference: ScoreCall; readonly own: ScoreCall },
  files: ExchangeFiles,
  signal: AbortSignal,
): Promise<Comparison> {
  const total = scoredRows(scores);
  const compared: Pick<TokenScore, 'klNats' | 'sameTop'>[] = [];
  for (let from = 0; from < total; from += perPass) {
    const rows = { from, to: Math.min(total, from + perPass) };
    const part = await files.use(async (file) => {
      await engines.reference({ ...request, exchange: { mode: 'write', file, rows } }, signal);
      return await engines.own({ ...request, exchange: { mode: 'read', file, rows } }, signal);
    });
    compared.push(...part.flatMap(({ tokens }) => tokens.filter(isScored)).slice(rows.from, rows.to));
  }
  let row = 0;
  const sequences = scores.map(({ tokens }) => ({
    tokens: tokens.map((token) => {
      if (!isScored(token)) return token;
      const { klNats, sameTop } = compared[row++] ?? {};
      return { ...token, ...(klNats === undefined || sameTop === undefined ? {} : { klNats, sameTop }) };
    }),
  }));
  const told = compared.filter((one) => one.klNats !== undefined);
  const mean = (of: (one: (typeof told)[number]) => number): number | null =>
    told.length === 0 ? null : told.reduce((sum, one) => sum + of(one), 0) / told.length;
  return { sequences, klMeanNats: mean((one) => one.klNats ?? 0), sameTopShare: mean((one) => (one.sameTop ? 1 : 0)) };
}

function isScored(token: TokenScore): boolean {
  return token.nllNats !== null;
}
