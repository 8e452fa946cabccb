// `POST /v1/responses`, without a memory: asked as a chat, answered in the response's own shape.
import { type Outcome, ok } from '#libs/base';
import { chatFormat, chatOfResponse, parseResponseBody, type RequestFault, responseFormatOf } from '#libs/openai';
import { askedOf, usualMaxTokens } from '../completions/chat-endpoint.js';
import type { Asked, Endpoint } from '../completions/endpoint.js';

/** What chat completions call otherwise. */
const ownNames: Readonly<Record<string, string>> = { response_format: 'text.format', logprobs: 'include' };

export const responsesEndpoint: Endpoint = {
  idPrefix: 'resp',
  promptParam: 'input',
  format: chatFormat,
  relayed: null,
  usualMaxTokens,
  read: (body): Outcome<Asked, RequestFault> => {
    const parsed = parseResponseBody(body.whole());
    if (!parsed.ok) return parsed;
    const asked = askedOf(chatOfResponse(parsed.value));
    const needs = asked.needs.map((need) => ({ ...need, param: ownNames[need.param] ?? need.param }));
    return ok({ ...asked, needs, format: responseFormatOf(parsed.value) });
  },
};
