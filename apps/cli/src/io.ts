// What a command touches outside itself, so that tests can run one in their own process.
import type { Clock } from '#libs/base';

export interface Io {
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  /** A line to standard output. */
  out(line: string): void;
  /** A line to standard error. */
  err(line: string): void;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}
