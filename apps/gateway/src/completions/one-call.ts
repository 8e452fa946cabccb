// One call of an engine that answers at once: under the deadline, gone with the client, its faults as errors.
import { EngineError } from '#libs/engine';
import { openAiError } from '#libs/openai';
import { type Checked, good, refuse } from './checked.js';
import { clientError } from './client-error.js';
import type { Deadlines, Limits } from './deadlines.js';

export interface OneCall {
  readonly deadlines: Deadlines;
  readonly limits: Limits;
  /** Aborts when the client is gone. */
  readonly gone: AbortSignal;
  /** The field that holds what may be too long. */
  readonly promptParam: string;
}

/** Never rejects for what engines do; other errors pass. */
export async function oneCall<T>(
  { deadlines, limits, gone, promptParam }: OneCall,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<Checked<T>> {
  const abort = new AbortController();
  const watch = deadlines.watch({ ...limits, firstTokenMs: limits.totalMs }, () => abort.abort());
  try {
    return good(await work(AbortSignal.any([abort.signal, gone])));
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return refuse(
      watch.expired !== null ? openAiError('timeout', 'The model did not answer in time.') : clientError(error.fault, promptParam),
    );
  } finally {
    watch.done();
  }
}
