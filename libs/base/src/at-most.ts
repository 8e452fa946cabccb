// Waiting with a bound, for what may never answer.
import type { Clock } from './clock.js';

/** The value, or 'late' when it is not there after `ms`: whatever comes of `work` then, an error too, is nobody's. Rejects when `work` does in time. */
export async function atMost<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T | 'late'> {
  const over = new AbortController();
  const late = clock.sleep(ms, over.signal).then(
    () => 'late' as const,
    () => 'late' as const,
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    over.abort();
    work.catch(() => undefined);
  }
}
