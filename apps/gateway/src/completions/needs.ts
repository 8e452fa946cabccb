// What a request needs of an engine, field by field: what would change the answer is refused, never ignored.
import type { EngineCapabilities } from '#libs/engine';
import { type OpenAiError, openAiError, type SamplingWishes } from '#libs/openai';

export interface Need {
  /** The field that asks for it. */
  readonly param: string;
  /** What the engine would have to have, as a sentence without its end. */
  readonly lack: string;
  readonly met: (engine: EngineCapabilities) => boolean;
}

/** Of the fields that both generating endpoints have. */
export function samplingNeeds(body: SamplingWishes): Need[] {
  const needs: Need[] = [];
  const { n } = body;
  if (typeof n === 'number' && n > 1) {
    needs.push({ param: 'n', lack: 'the engine gives fewer answers to one request', met: (engine) => engine.choices >= n });
  }
  const penalties = ['frequency_penalty', 'presence_penalty', 'repeat_penalty', 'logit_bias'] as const;
  for (const param of penalties) {
    if (!changes(param, body[param])) continue;
    needs.push({ param, lack: 'the engine changes no probabilities of single tokens', met: (engine) => engine.penalties });
  }
  if (body.grammar) needs.push({ param: 'grammar', lack: 'the engine enforces no grammars', met: (engine) => engine.constraints });
  return needs;
}

/** `top`: how many likely tokens per place; 0 asks for the answer's own tokens alone. */
export function logprobNeeds(param: string, top: number): Need[] {
  return [
    {
      param,
      lack: `the engine does not tell the ${top === 0 ? '' : `${top} `}log probabilities per token`,
      met: (engine) => engine.topLogprobs >= Math.max(1, top),
    },
  ];
}

/** A value that leaves everything as it is needs nothing. */
function changes(param: string, value: unknown): boolean {
  if (value === null || value === undefined) return false;
  if (typeof value === 'object') return Object.keys(value).length > 0;
  return value !== (param === 'repeat_penalty' ? 1 : 0);
}

/** The first need that one of the engines does not meet. Engines that are not loaded have no say. */
export function unmetNeed(needs: readonly Need[], engines: readonly EngineCapabilities[]): OpenAiError | null {
  for (const { param, lack, met } of needs) {
    if (engines.every(met)) continue;
    return openAiError('unsupported_parameter', `'${param}': ${lack}. Leave it out, or ask another model.`, { param });
  }
  return null;
}
