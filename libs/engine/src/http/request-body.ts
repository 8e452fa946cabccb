// From a request through the port to the JSON that an upstream is sent.
import { type ChatMessage, EngineError, type GenerateRequest } from '../engine.js';
import { constraintFields, mostChoices, samplingFields } from './dialect.js';
import { faultOf } from './faults.js';
import { forwarded } from './forwarded-fields.js';
import type { UpstreamFacts } from './upstream-facts.js';

export interface PreparedRequest {
  /** Under the API's path. */
  readonly endpoint: 'chat/completions' | 'completions';
  readonly body: string;
  readonly choices: number;
  /** Likely tokens per token that are asked for; null: no log probabilities. */
  readonly askedTop: number | null;
  /** The same, as the client asked. */
  readonly clientTop: number | null;
  /** Whether what comes tells the entropy at temperature 1. */
  readonly bounds: boolean;
}

/** `sampledTop`: likely tokens to ask for on our own account, for entropy; null: none. Throws EngineError `engine.bad-request` for what the upstream cannot do. */
export function prepareRequest(
  request: GenerateRequest,
  { model, facts, sampledTop }: { readonly model: string; readonly facts: UpstreamFacts; readonly sampledTop: number | null },
): PreparedRequest {
  const { prompt, sampling, constraint, choices = 1, topLogprobs } = request;
  const chat = prompt.kind === 'chat';
  const endpoint = chat ? facts.chat : facts.completions;
  if (endpoint === null)
    refuse(chat ? 'the upstream serves no chat' : 'the upstream serves no completions of plain text', chat ? 'messages' : 'prompt');
  const most = mostChoices(facts.dialect);
  if (choices > most) refuse(`the upstream gives ${most} choice per request, not ${choices}`, 'n');
  const top = endpoint.topLogprobs;
  if (topLogprobs !== undefined && (top === null || topLogprobs > top)) {
    refuse(
      top === null ? 'the upstream tells no log probabilities' : `the upstream tells at most ${top} log probabilities per token`,
      'top_logprobs',
    );
  }
  const enforced = constraint === undefined ? {} : constraintFields(constraint, facts.dialect, facts.version);
  if (enforced === null) refuse('the upstream enforces no grammars', 'grammar');

  // llama-server refuses log probabilities beside tools in a stream: the answer comes first.
  const tools = request.body?.['tools'];
  const deaf = facts.dialect === 'llama-server' && topLogprobs === undefined && Array.isArray(tools) && tools.length > 0;
  const own = sampledTop === null || top === null || deaf ? null : Math.min(sampledTop, top);
  const askedTop = own === null && topLogprobs === undefined ? null : Math.max(own ?? 0, topLogprobs ?? 0);
  return {
    endpoint: chat ? 'chat/completions' : 'completions',
    body: JSON.stringify({
      ...fieldsOf(request.body),
      model,
      ...(chat ? { messages: prompt.messages.map(wireMessage) } : { prompt: prompt.kind === 'text' ? prompt.text : prompt.tokens }),
      ...samplingFields(sampling, facts.dialect, chat ? facts.maxTokensField : 'max_tokens'),
      ...enforced,
      ...(choices === 1 ? {} : { n: choices }),
      ...logprobFields(askedTop, chat),
      stream: true,
      ...(facts.usageInStreams ? { stream_options: { include_usage: true } } : {}),
    }),
    choices,
    askedTop,
    clientTop: topLogprobs ?? null,
    bounds: askedTop !== null && (facts.rawLogprobs || sampling.temperature === 1),
  };
}

function wireMessage({ role, content, name, toolCalls, toolCallId }: ChatMessage): Record<string, unknown> {
  const calls = toolCalls?.map((call) => ({ id: call.id, type: 'function', function: { name: call.name, arguments: call.arguments } }));
  return {
    role,
    // A turn that only called has no text: servers tell that from a text that is empty.
    content: calls && content === '' ? null : content,
    ...(name === undefined ? {} : { name }),
    ...(calls ? { tool_calls: calls } : {}),
    ...(toolCallId === undefined ? {} : { tool_call_id: toolCallId }),
  };
}

/** The two endpoints spell it differently. */
export function logprobFields(top: number | null, chat: boolean): Record<string, unknown> {
  if (top === null) return {};
  if (!chat) return { logprobs: top };
  return { logprobs: true, top_logprobs: top };
}

function fieldsOf(body: GenerateRequest['body']): Record<string, unknown> {
  if (body === undefined) return {};
  return Object.fromEntries(forwarded.flatMap((name) => (body[name] === undefined || body[name] === null ? [] : [[name, body[name]]])));
}

function refuse(message: string, field: string): never {
  throw new EngineError(faultOf('engine.bad-request', message, { field, remedy: 'Leave it out, or ask another version.' }));
}
