// `POST /v1/completions`: the prompt as it stands, without template and without the version's system prompt.
import { type Outcome, ok } from '#libs/base';
import { type CompletionBody, completionFormat, parseCompletionBody, promptsOf, type RequestFault } from '#libs/openai';
import type { Asked, Endpoint } from './endpoint.js';
import { logprobNeeds, samplingNeeds } from './needs.js';
import { forwarded, grammarOf, samplingOf } from './sampling.js';

/** OpenAI's own default for this endpoint. */
const usualMaxTokens = 16;
/** Characters of a prompt's beginning that are compared. */
const longestAffinity = 256;

export const textEndpoint: Endpoint = {
  idPrefix: 'cmpl',
  promptParam: 'prompt',
  format: completionFormat,
  relayed: 'completions',
  usualMaxTokens,
  parse: (json): Outcome<Asked, RequestFault> => {
    const parsed = parseCompletionBody(json);
    return parsed.ok ? ok(askedOf(parsed.value)) : parsed;
  },
};

function askedOf(body: CompletionBody): Asked {
  const prompts = promptsOf(body.prompt);
  const constraint = grammarOf(body);
  const choices = body.n ?? 1;
  const topLogprobs = body.logprobs ?? null;
  const [first] = prompts;
  return {
    model: body.model,
    stream: body.stream === true,
    withUsage: body.stream_options?.include_usage === true,
    choices: prompts.length * choices,
    logprobs: topLogprobs !== null,
    topLogprobs,
    onePrompt: prompts.length === 1,
    needs: [...samplingNeeds(body), ...(topLogprobs === null ? [] : logprobNeeds('logprobs', topLogprobs))],
    shape: { text: typeof first === 'string' ? first : '', wantsJson: false },
    affinity: () => (typeof first === 'string' ? first.slice(0, longestAffinity) : (first?.slice(0, longestAffinity).join() ?? null)),
    requests: (id, spec) =>
      prompts.map((prompt, index) => ({
        id: prompts.length === 1 ? id : `${id}-${index}`,
        prompt: typeof prompt === 'string' ? { kind: 'text', text: prompt } : { kind: 'tokens', tokens: prompt },
        sampling: samplingOf(body, spec, { maxTokens: body.max_tokens, usualMaxTokens }),
        ...(choices === 1 ? {} : { choices }),
        ...(topLogprobs === null ? {} : { topLogprobs }),
        ...(constraint === null ? {} : { constraint }),
        body: forwarded(body),
      })),
  };
}
