// The life of a process: started once, drained on SIGTERM or SIGINT, ended with a sentence instead of a stack when it cannot start.
import { ConfigError } from './env.js';

export interface Service {
  /** Drains and closes; called once. */
  close(): Promise<void>;
}

/** What is wrong, for a terminal: a sentence for what a person can mend, a stack for what only a programmer can. */
export function describeFailure(error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Starts the service; exit code 1 when that fails or when it does not close in order. A second signal during the drain ends it at once. */
export function runService(name: string, start: () => Promise<Service>): void {
  const die = (error: unknown): void => {
    process.stderr.write(`${name}: ${describeFailure(error)}\n`);
    process.exit(1);
  };
  const started = start();
  started.catch(die);
  const close = (): void => {
    // Also while it is still starting: the drain follows the start.
    started.then(async (service) => await service.close()).then(() => process.exit(0), die);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, close);
}
