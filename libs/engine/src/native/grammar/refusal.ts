// A constraint that cannot be turned into a grammar: thrown deep inside the converter, turned into a fault at its one entrance.

/**
 * `unsupported`: sound, but a grammar cannot say it, or not exactly. `invalid`: no schema or grammar at all, or one that nothing satisfies.
 * `too-large`: would cost the engine more than a request may.
 */
export type ConstraintFaultCode = 'constraint.unsupported' | 'constraint.invalid' | 'constraint.too-large';

export class Refusal extends Error {
  override readonly name = 'Refusal';
  /** `field`: JSON pointer into the schema, or `line L, column C` of a GBNF text. */
  constructor(
    readonly code: ConstraintFaultCode,
    readonly field: string,
    message: string,
    readonly remedy: string,
  ) {
    super(message);
  }
}
