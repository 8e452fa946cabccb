// Why an answer ended, as upstreams say it and as the port does.
import type { FinishReason } from '../engine.js';

const finishReasons: Readonly<Record<string, FinishReason>> = {
  stop: 'stop',
  length: 'length',
  content_filter: 'content_filter',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  eos_token: 'stop',
  stop_sequence: 'stop',
};
const gaveUp = new Set(['abort', 'aborted', 'error', 'cancelled']);

/** Null: the server gave the request up, and what came is not an answer. */
export function finishReasonOf(said: string): FinishReason | null {
  return gaveUp.has(said) ? null : (finishReasons[said] ?? 'stop');
}
