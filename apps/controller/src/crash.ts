// Places where a controller may die in the middle of its work. A running controller passes them; tests end it there.

/**
 * In the order of a round: due rollouts are known but nothing was read; all was read and nothing judged; within the transaction of a decision
 * before its first statement, right after the compare-and-set, and before COMMIT; after COMMIT, when nobody was told yet; after what changed
 * nothing was written.
 */
export type CrashPoint =
  | 'before-evidence'
  | 'after-evidence'
  | 'before-write'
  | 'after-compare-and-set'
  | 'before-commit'
  | 'after-commit'
  | 'after-hold';

/** Called at each place; what it does is the test's. `subject`: the rollout, or '' for a whole round. */
export type Crash = (point: CrashPoint, subject: string) => Promise<void> | void;

/** Injection token of `Crash`. */
export const CRASH = Symbol('Crash');

/** Nothing happens anywhere. */
export const noCrash: Crash = () => undefined;
