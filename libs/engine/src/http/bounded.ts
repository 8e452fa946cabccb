// Something short against an upstream, with a deadline: what the transport or the deadline throws becomes one fault.
import type { Clock, Outcome } from '#libs/base';
import { EngineError, type EngineFault } from '../engine.js';
import { faultOf, transportFault } from './faults.js';

/** `work` must hold to its signal. Never rejects for what upstreams, deadlines and callers do. */
export async function within<T>(
  { clock, limitMs, signal }: { readonly clock: Clock; readonly limitMs: number; readonly signal: AbortSignal },
  work: (bounded: AbortSignal) => Promise<Outcome<T, EngineFault>>,
): Promise<Outcome<T, EngineFault>> {
  const late = new AbortController();
  const ended = new AbortController();
  const message = `the upstream took longer than ${limitMs} ms`;
  void clock
    .sleep(limitMs, ended.signal)
    .then(() => late.abort(new EngineError(faultOf('engine.timeout', message, { retryable: true }))))
    // Ended in time.
    .catch(() => undefined);
  try {
    return await work(AbortSignal.any([signal, late.signal]));
  } catch (error) {
    return { ok: false, fault: explain(error, { signal, deadline: late.signal, begun: false }).fault };
  } finally {
    ended.abort();
  }
}

/**
 * Why something ended: the caller's wish before our deadline before the failure, for an abort makes failures of its own. `begun`: the upstream
 * had started to answer.
 */
export function explain(
  error: unknown,
  { signal, deadline, begun }: { readonly signal: AbortSignal; readonly deadline: AbortSignal; readonly begun: boolean },
): EngineError {
  if (signal.aborted) return new EngineError(faultOf('engine.cancelled', 'the request was cancelled'));
  if (deadline.aborted && deadline.reason instanceof EngineError) return deadline.reason;
  return error instanceof EngineError ? error : new EngineError(transportFault(error, begun));
}
