// Times: told as an age that keeps counting, with the exact moment in UTC on hover.
import { useSyncExternalStore } from 'react';
import { ago, duration, localTime, timeOfDay, utcTime } from '../words/format.js';

const tickMs = 1_000;
const listeners = new Set<() => void>();
let now = Date.now();
let timer: ReturnType<typeof setInterval> | null = null;

/** One timer for the whole page, only while something shows an age. */
function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  now = Date.now();
  timer ??= setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, tickMs);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0 || timer === null) return;
    clearInterval(timer);
    timer = null;
  };
}

/** The present, to the second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

/** "4 min ago". */
export function Age({ at }: { readonly at: number }) {
  const present = useNow();
  return (
    <time dateTime={new Date(at).toISOString()} title={utcTime(at)}>
      {ago(at, present)}
    </time>
  );
}

/** "4 min 12 s", counting from `at`. */
export function Lasting({ at }: { readonly at: number }) {
  const present = useNow();
  return (
    <time dateTime={new Date(at).toISOString()} title={`since ${utcTime(at)}`}>
      {duration(present - at)}
    </time>
  );
}

/** "14:02:31", or with its date when it was not today. */
export function Clock({ at }: { readonly at: number }) {
  const today = new Date(at).toDateString() === new Date().toDateString();
  return (
    <time dateTime={new Date(at).toISOString()} title={utcTime(at)}>
      {today ? timeOfDay(at) : localTime(at)}
    </time>
  );
}
