// How sure the model was, told to clients that opt in with `x-serin-uncertainty: 1`. Nats; bounds stay bounds and are never made a point.

export interface ExactUncertainty {
  readonly index: number;
  readonly kind: 'exact';
  readonly entropy_mean: number;
  readonly entropy_max: number;
  readonly nll_mean: number;
  /** Mean lead of the most likely token over the second, in logits. */
  readonly margin_mean: number;
  /** Entropy of each token in order, three decimals. */
  readonly tokens: readonly number[];
}

export interface BoundedUncertainty {
  readonly index: number;
  readonly kind: 'bounds';
  readonly entropy_lower_mean: number;
  readonly entropy_upper_mean: number;
  /** Mean probability of all tokens that the upstream did not list. */
  readonly censored_mass_mean: number;
  readonly nll_mean: number;
  /** [lower, upper, censored mass] of each token in order. */
  readonly tokens: readonly (readonly [lower: number, upper: number, censoredMass: number])[];
}

/** Of one choice. `none`: the engine tells nothing, or not for every token. */
export type WireUncertainty = ExactUncertainty | BoundedUncertainty | { readonly index: number; readonly kind: 'none' };
