// A fault of an engine as clients see it. Reasons of engines stay in our log: they may name files.
import type { EngineFault } from '#libs/engine';
import { type OpenAiError, openAiError } from '#libs/openai';

/** Seconds, rounded up: a client that comes back too early is refused again. */
function afterS({ retryAfterMs }: EngineFault, usualS: number): { retryAfterS: number } {
  return { retryAfterS: retryAfterMs === undefined ? usualS : Math.max(1, Math.ceil(retryAfterMs / 1000)) };
}

/** `promptParam`: the field that holds what is too long. */
export function clientError(fault: EngineFault, promptParam: string): OpenAiError {
  switch (fault.code) {
    case 'engine.overloaded':
      return openAiError('overloaded', 'The model has more requests than it can take. Try again in a moment.', afterS(fault, 1));
    case 'engine.context-overflow':
      return openAiError('context_length_exceeded', `${fault.message}. Send less text or ask for fewer tokens.`, { param: promptParam });
    case 'engine.bad-request':
      return openAiError('invalid_value', `The model refused the request: ${fault.message}.`, { param: fault.field ?? null });
    case 'engine.timeout':
      return openAiError('timeout', 'The model did not answer in time.');
    case 'engine.not-loaded':
    case 'engine.load-failed':
      return openAiError('model_not_ready', 'The model is not ready. Try again in a moment.', afterS(fault, 2));
    case 'engine.upstream-unreachable':
      return openAiError('engine_unavailable', 'No server of the model can be reached. Try again in a moment.', afterS(fault, 2));
    default:
      return openAiError('engine_failed', 'The model failed while it answered. Try again.');
  }
}
