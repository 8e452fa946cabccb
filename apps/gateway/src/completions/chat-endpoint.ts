// `POST /v1/chat/completions`.
import { type Outcome, ok } from '#libs/base';
import type { VersionSpec } from '#libs/contract';
import type { ChatMessage, Constraint } from '#libs/engine';
import { type ChatBody, chatFormat, parseChatBody, type RequestFault, textOf, type WireMessage } from '#libs/openai';
import type { Asked, Endpoint } from './endpoint.js';
import { logprobNeeds, type Need, samplingNeeds } from './needs.js';
import { forwarded, grammarOf, samplingOf } from './sampling.js';

const usualMaxTokens = 1_024;

export const chatEndpoint: Endpoint = {
  idPrefix: 'chatcmpl',
  promptParam: 'messages',
  format: chatFormat,
  parse: (json): Outcome<Asked, RequestFault> => {
    const parsed = parseChatBody(json);
    return parsed.ok ? ok(askedOf(parsed.value)) : parsed;
  },
};

function askedOf(body: ChatBody): Asked {
  const last = body.messages.findLast((message) => message.role === 'user') ?? body.messages.at(-1);
  const constraint = constraintOf(body);
  const choices = body.n ?? 1;
  const topLogprobs = body.logprobs ? (body.top_logprobs ?? 0) : null;
  return {
    model: body.model,
    stream: body.stream === true,
    withUsage: body.stream_options?.include_usage === true,
    choices,
    logprobs: topLogprobs !== null,
    needs: needsOf(body),
    shape: { text: textOf(last?.content), wantsJson: (body.response_format?.type ?? 'text') !== 'text' },
    requests: (id, spec) => [
      {
        id,
        prompt: { kind: 'chat', messages: messagesOf(body.messages, spec) },
        sampling: samplingOf(body, spec, { maxTokens: body.max_completion_tokens ?? body.max_tokens, usualMaxTokens }),
        ...(choices === 1 ? {} : { choices }),
        ...(topLogprobs === null ? {} : { topLogprobs }),
        ...(constraint === null ? {} : { constraint }),
        body: forwarded(body),
      },
    ],
  };
}

function needsOf(body: ChatBody): Need[] {
  const needs = samplingNeeds(body);
  if (body.logprobs) needs.push(...logprobNeeds(body.top_logprobs ? 'top_logprobs' : 'logprobs', body.top_logprobs ?? 0));
  if (body.response_format && body.response_format.type !== 'text') {
    const lack = `the engine does not enforce "${body.response_format.type}"`;
    needs.push({ param: 'response_format', lack, met: (engine) => engine.constraints });
  }
  // No engine calls tools yet: the day one does, this asks its capabilities like the others.
  if (body.tools && body.tools.length > 0) needs.push({ param: 'tools', lack: 'the engine calls no tools', met: () => false });
  return needs;
}

function constraintOf(body: ChatBody): Constraint | null {
  const format = body.response_format;
  if (format?.type === 'json_object') return { kind: 'jsonObject' };
  if (format?.type === 'json_schema') return { kind: 'jsonSchema', schema: format.json_schema.schema };
  return grammarOf(body);
}

/** Messages as a version reads them: under its own system prompt. */
export function messagesOf(wire: readonly WireMessage[], { systemPrompt }: VersionSpec): ChatMessage[] {
  const messages = wire.map(({ role, content }): ChatMessage => ({ role, content: textOf(content) }));
  if (systemPrompt === undefined) return messages;
  const [first, ...rest] = messages;
  // Templates know one system message: the version's words come first, the client's after them.
  return first?.role === 'system'
    ? [{ role: 'system', content: `${systemPrompt}\n\n${first.content}` }, ...rest]
    : [{ role: 'system', content: systemPrompt }, ...messages];
}
