// A check before its verdict is known: the evidence of this check alone.
import type { Finding } from '#libs/base';

/** `measured` is false when the check could not look: no answers of one arm, or no reference. */
export type Measured = Omit<Finding, 'verdict'> & { readonly measured: boolean };

/** A check's evidence, and ln of the e-value of its promotion proof; null where the check cannot gate. */
export interface CheckLook {
  readonly measured: Measured;
  readonly proofLogE: number | null;
}
