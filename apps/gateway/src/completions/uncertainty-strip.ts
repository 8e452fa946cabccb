// Collects what the engine says of each token for clients that opted in. Kept per answer, so its size is bounded by the answer's own.
import type { Uncertainty } from '#libs/engine';
import type { WireUncertainty } from '#libs/openai';

type Exact = Extract<Uncertainty, { kind: 'exact' }>;
type Bounds = Extract<Uncertainty, { kind: 'bounds' }>;

export class UncertaintyStrip {
  private readonly tokens: Uncertainty[][];

  constructor(choices: number) {
    this.tokens = Array.from({ length: choices }, () => []);
  }

  add(choice: number, uncertainty: Uncertainty): void {
    this.tokens[choice]?.push(uncertainty);
  }

  /** An answer is told as what all its tokens are: one that is half measured has no mean. */
  tell(): WireUncertainty[] {
    return this.tokens.map((tokens, index): WireUncertainty => {
      const exact = tokens.filter((one): one is Exact => one.kind === 'exact');
      if (tokens.length > 0 && exact.length === tokens.length) return { index, kind: 'exact', ...exactFigures(exact) };
      const bounds = tokens.filter((one): one is Bounds => one.kind === 'bounds');
      if (tokens.length > 0 && bounds.length === tokens.length) return { index, kind: 'bounds', ...boundFigures(bounds) };
      return { index, kind: 'none' };
    });
  }
}

function exactFigures(tokens: readonly Exact[]) {
  return {
    entropy_mean: mean(tokens, (token) => token.entropyNats),
    entropy_max: rounded(Math.max(...tokens.map((token) => token.entropyNats)), 6),
    nll_mean: mean(tokens, (token) => token.nllNats),
    margin_mean: mean(tokens, (token) => token.marginNats),
    tokens: tokens.map((token) => rounded(token.entropyNats, 3)),
  };
}

function boundFigures(tokens: readonly Bounds[]) {
  return {
    entropy_lower_mean: mean(tokens, (token) => token.lowerNats),
    entropy_upper_mean: mean(tokens, (token) => token.upperNats),
    censored_mass_mean: mean(tokens, (token) => token.restMass),
    nll_mean: mean(tokens, (token) => token.nllNats),
    tokens: tokens.map(
      ({ lowerNats, upperNats, restMass }) => [rounded(lowerNats, 3), rounded(upperNats, 3), rounded(restMass, 3)] as const,
    ),
  };
}

function mean<T>(tokens: readonly T[], of: (token: T) => number): number {
  return rounded(tokens.reduce((sum, token) => sum + of(token), 0) / tokens.length, 6);
}

function rounded(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}
