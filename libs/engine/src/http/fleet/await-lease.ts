// A lease as a promise, for callers that wait by a signal.
import { EngineError } from '../../engine.js';
import { faultOf } from '../faults.js';
import type { Fleet } from './fleet.js';
import type { Lease, LeaseRequest } from './lease.js';

/** Rejects with EngineError: refused, or cancelled while it waited, in which case it leaves the queue at once. */
export async function awaitLease(fleet: Fleet, request: LeaseRequest, signal: AbortSignal): Promise<Lease> {
  const cancelled = (): EngineError => new EngineError(faultOf('engine.cancelled', 'the request was cancelled'));
  if (signal.aborted) throw cancelled();
  let stopListening = (): void => undefined;
  try {
    return await new Promise<Lease>((resolve, reject) => {
      const waiting = fleet.acquire(request, resolve, (fault) => reject(new EngineError(fault)));
      const leave = (): void => {
        waiting.cancel();
        reject(cancelled());
      };
      signal.addEventListener('abort', leave, { once: true });
      stopListening = () => signal.removeEventListener('abort', leave);
    });
  } finally {
    stopListening();
  }
}
