// Expected failures as values. What a caller must handle is returned; a broken assumption throws.

/** An expected failure with a stable code (`version.digest-mismatch`), a sentence for people and, for bad input, the field and the remedy. */
export interface Fault<Code extends string = string> {
  readonly code: Code;
  readonly message: string;
  /** True when the same call may succeed later without a change by the caller. */
  readonly retryable: boolean;
  /** JSON pointer or dotted path of the offending input, when there is one. */
  readonly field?: string;
  /** What the caller can do about it. */
  readonly remedy?: string;
}

export type Outcome<T, F extends Fault = Fault> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: F };

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

/** A failed outcome. `retryable` defaults to false: most faults are the caller's to mend. */
export function fail<Code extends string>(
  fault: Omit<Fault<Code>, 'retryable'> & { readonly retryable?: boolean },
): { readonly ok: false; readonly fault: Fault<Code> } {
  return { ok: false, fault: { retryable: false, ...fault } };
}

/** Carries a fault through code that can only throw (framework handlers). Edges turn it back into a response. */
export class FaultError extends Error {
  override readonly name = 'FaultError';
  constructor(readonly fault: Fault) {
    super(`${fault.code}: ${fault.message}`);
  }
}

/** Compile-time proof that a union was handled whole; throws when a value from outside slipped through. */
export function unreachable(value: never): never {
  throw new Error(`unhandled case: ${JSON.stringify(value)}`);
}
