// `POST /v1/completions`: the prompt as it stands, without template and without the version's system prompt.
import { type Outcome, ok } from '#libs/base';
import type { VersionSpec } from '#libs/contract';
import type { GenerateRequest } from '#libs/engine';
import {
  type CompletionBody,
  type CompletionFields,
  completionFormat,
  type OutlinedCompletion,
  outlineCompletion,
  parseCompletionBody,
  promptsOf,
  type RequestFault,
  type ScannedBody,
} from '#libs/openai';
import { classedLength } from '../routing/prompt-class.js';
import { type Asked, type Endpoint, known } from './endpoint.js';
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
  read: (body): Outcome<Asked, RequestFault> => {
    const outlined = outlineCompletion(body);
    if (outlined) return ok(askedOfText(outlined, body));
    const parsed = parseCompletionBody(body.whole());
    return parsed.ok ? ok(askedOf(parsed.value)) : parsed;
  },
};

/** One text, not read further than its beginning unless an engine wants it as it stands. */
function askedOfText({ fields, firstWords }: OutlinedCompletion, body: ScannedBody): Asked {
  return {
    ...askedOfFields(fields, 1),
    shape: { text: firstWords(classedLength), wantsJson: false },
    affinity: () => firstWords(longestAffinity).slice(0, longestAffinity),
    requests: (id, spec) => requestsOf(known(parseCompletionBody(body.whole())), id, spec),
  };
}

function askedOf(body: CompletionBody): Asked {
  const prompts = promptsOf(body.prompt);
  const [first] = prompts;
  return {
    ...askedOfFields(body, prompts.length),
    shape: { text: typeof first === 'string' ? first : '', wantsJson: false },
    affinity: () => (typeof first === 'string' ? first.slice(0, longestAffinity) : (first?.slice(0, longestAffinity).join() ?? null)),
    requests: (id, spec) => requestsOf(body, id, spec),
  };
}

function askedOfFields(fields: CompletionFields, prompts: number): Omit<Asked, 'shape' | 'affinity' | 'requests'> {
  const topLogprobs = fields.logprobs ?? null;
  return {
    model: fields.model,
    stream: fields.stream === true,
    withUsage: fields.stream_options?.include_usage === true,
    choices: prompts * (fields.n ?? 1),
    logprobs: topLogprobs !== null,
    topLogprobs,
    onePrompt: prompts === 1,
    needs: [...samplingNeeds(fields), ...(topLogprobs === null ? [] : logprobNeeds('logprobs', topLogprobs))],
  };
}

function requestsOf(body: CompletionBody, id: string, spec: VersionSpec): GenerateRequest[] {
  const prompts = promptsOf(body.prompt);
  const constraint = grammarOf(body);
  const choices = body.n ?? 1;
  const topLogprobs = body.logprobs ?? null;
  return prompts.map((prompt, index) => ({
    id: prompts.length === 1 ? id : `${id}-${index}`,
    prompt: typeof prompt === 'string' ? { kind: 'text', text: prompt } : { kind: 'tokens', tokens: prompt },
    sampling: samplingOf(body, spec, { maxTokens: body.max_tokens, usualMaxTokens }),
    ...(choices === 1 ? {} : { choices }),
    ...(topLogprobs === null ? {} : { topLogprobs }),
    ...(constraint === null ? {} : { constraint }),
    body: forwarded(body),
  }));
}
