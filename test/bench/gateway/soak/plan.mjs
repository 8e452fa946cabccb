// What each stream of the soak is meant to go through, drawn from a seed: most of them nothing, a fifth a client that leaves, a twentieth an upstream that fails.
import { faultNames } from '../mock/faults.mjs';

/** Faults after which an answer may also look whole: what was wrong with it is allowed, or was said by the client's own protocol. */
export const mayPass = new Set(['bad-sse', 'nul-bytes', 'no-done', 'bad-json', 'huge-line']);
/** Faults that end by a deadline: the client gives these requests a short one. */
const silent = new Set(['silent-before-head', 'silent-after-head', 'silent-in-stream', 'drip', 'endless']);

/** Small and seeded: the same soak again. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const kinds = [...faultNames, 'refused', 'engine-crash', 'slow-reader'];

/** @returns {{kind: 'plain' | 'cancel' | 'fault', fault: string | null, model: string, stream: boolean, tokens: number, leave: string | null, timeoutMs: number | null}} */
export function draw(uniform, { cancelShare, faultShare }) {
  const at = uniform();
  const stream = uniform() < 0.9;
  if (at < cancelShare) {
    const leave = uniform() < 0.3 ? 'at-once' : uniform() < 0.5 ? 'at-first' : 'soon';
    return { kind: 'cancel', fault: null, model: uniform() < 0.5 ? 'paced' : 'chat', stream, tokens: 32, leave, timeoutMs: null };
  }
  if (at >= cancelShare + faultShare) {
    return { kind: 'plain', fault: null, model: 'chat', stream, tokens: 16, leave: null, timeoutMs: null };
  }
  const fault = kinds[Math.floor(uniform() * kinds.length)];
  const rare = { kind: 'fault', fault, leave: null, timeoutMs: null };
  if (fault === 'refused') return { ...rare, model: 'refused', stream, tokens: 16 };
  if (fault === 'engine-crash') return { ...rare, model: 'native', stream: true, tokens: 16, timeoutMs: 20_000 };
  if (fault === 'slow-reader') return { ...rare, model: 'wordy', stream: true, tokens: 2_000 };
  return { ...rare, model: 'chat', stream, tokens: 16, timeoutMs: silent.has(fault) ? 1_500 : 15_000 };
}
