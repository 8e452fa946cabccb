// `POST /v1/chat/completions`.
import { type Outcome, ok } from '#libs/base';
import type { VersionSpec } from '#libs/contract';
import type { ChatMessage, Constraint, GenerateRequest, ToolUse } from '#libs/engine';
import {
  type ChatBody,
  type ChatFields,
  chatFormat,
  type OutlinedChat,
  outlineChat,
  parseChatBody,
  type RequestFault,
  type ScannedBody,
  textOf,
  type WireMessage,
} from '#libs/openai';
import { classedLength } from '../routing/prompt-class.js';
import { type Asked, type Endpoint, known } from './endpoint.js';
import { logprobNeeds, type Need, samplingNeeds } from './needs.js';
import { forwarded, grammarOf, samplingOf } from './sampling.js';

export const usualMaxTokens = 1_024;
/** Characters of a prompt's beginning that are compared. */
const longestAffinity = 1_024;

export const chatEndpoint: Endpoint = {
  idPrefix: 'chatcmpl',
  promptParam: 'messages',
  format: chatFormat,
  relayed: 'chat/completions',
  usualMaxTokens,
  read: (body): Outcome<Asked, RequestFault> => {
    const outlined = outlineChat(body);
    if (outlined) return ok(askedOfOutline(outlined, body));
    const parsed = parseChatBody(body.whole());
    return parsed.ok ? ok(askedOf(parsed.value)) : parsed;
  },
};

/** A conversation of plain texts, not read further than their beginnings unless an engine wants it as it stands. */
function askedOfOutline({ fields, messages }: OutlinedChat, body: ScannedBody): Asked {
  return {
    ...askedOfFields(fields),
    shape: { text: messages.lastWords(classedLength), wantsJson: wantsJson(fields) },
    affinity: () => affinityOf(fields, messages.firstWords(longestAffinity)),
    requests: (id, spec) => [requestOf(known(parseChatBody(body.whole())), id, spec)],
  };
}

/** A checked body in the words of engines; the responses endpoint says what it was asked by such a body too. */
export function askedOf(body: ChatBody): Asked {
  const last = body.messages.findLast((message) => message.role === 'user') ?? body.messages.at(-1);
  return {
    ...askedOfFields(body),
    shape: { text: textOf(last?.content), wantsJson: wantsJson(body) },
    affinity: () => affinityOf(body, textsOf(body.messages)),
    requests: (id, spec) => [requestOf(body, id, spec)],
  };
}

function askedOfFields(fields: ChatFields): Omit<Asked, 'shape' | 'affinity' | 'requests'> {
  const topLogprobs = fields.logprobs ? (fields.top_logprobs ?? 0) : null;
  return {
    model: fields.model,
    stream: fields.stream === true,
    withUsage: fields.stream_options?.include_usage === true,
    choices: fields.n ?? 1,
    logprobs: topLogprobs !== null,
    topLogprobs,
    onePrompt: true,
    needs: needsOf(fields),
  };
}

function requestOf(body: ChatBody, id: string, spec: VersionSpec): GenerateRequest {
  const constraint = constraintOf(body);
  const tools = toolUseOf(body);
  const choices = body.n ?? 1;
  return {
    id,
    prompt: { kind: 'chat', messages: messagesOf(body.messages, spec) },
    sampling: samplingOf(body, spec, { maxTokens: body.max_completion_tokens ?? body.max_tokens, usualMaxTokens }),
    ...(choices === 1 ? {} : { choices }),
    ...(body.logprobs ? { topLogprobs: body.top_logprobs ?? 0 } : {}),
    ...(constraint === null ? {} : { constraint }),
    ...(tools === null ? {} : { tools }),
    body: forwarded(body),
  };
}

function wantsJson({ response_format }: ChatFields): boolean {
  return (response_format?.type ?? 'text') !== 'text';
}

function* textsOf(messages: readonly WireMessage[]): Generator<{ readonly role: string; readonly text: string }, void, undefined> {
  for (const { role, content } of messages) yield { role, text: textOf(content) };
}

/** A conversation keeps its key while it grows: all up to the user's first words. Who names a cache key knows better. */
function affinityOf({ prompt_cache_key }: ChatFields, texts: Iterable<{ readonly role: string; readonly text: string }>): string {
  if (prompt_cache_key) return prompt_cache_key;
  let beginning = '';
  for (const { role, text } of texts) {
    beginning += `${role}:${text}\n`;
    if (role === 'user' || beginning.length >= longestAffinity) break;
  }
  return beginning.slice(0, longestAffinity);
}

function needsOf(body: ChatFields): Need[] {
  const needs = samplingNeeds(body);
  if (body.logprobs) needs.push(...logprobNeeds(body.top_logprobs ? 'top_logprobs' : 'logprobs', body.top_logprobs ?? 0));
  if (body.response_format && body.response_format.type !== 'text') {
    const lack = `the engine does not enforce "${body.response_format.type}"`;
    needs.push({ param: 'response_format', lack, met: (engine) => engine.constraints });
  }
  if (body.tools?.length) needs.push({ param: 'tools', lack: 'the engine calls no tools', met: (engine) => engine.tools });
  return needs;
}

function constraintOf(body: ChatBody): Constraint | null {
  const format = body.response_format;
  if (format?.type === 'json_object') return { kind: 'jsonObject' };
  if (format?.type === 'json_schema') return { kind: 'jsonSchema', schema: format.json_schema.schema };
  return grammarOf(body);
}

/** Null: nothing may be called. */
function toolUseOf({ tools, tool_choice, parallel_tool_calls }: ChatBody): ToolUse | null {
  const choice = tool_choice ?? 'auto';
  if (!tools?.length || choice === 'none') return null;
  const allowed = typeof choice === 'object' && choice.type === 'allowed_tools' ? choice.allowed_tools : null;
  const names = allowed?.tools.map((one) => one.function.name);
  return {
    tools: tools
      .filter((tool) => !names || names.includes(tool.function.name))
      .map(({ function: { name, description, parameters, strict } }) => ({
        name,
        ...(description ? { description } : {}),
        ...(parameters ? { parameters } : {}),
        strict: strict === true,
      })),
    choice: typeof choice === 'string' ? choice : choice.type === 'function' ? { name: choice.function.name } : choice.allowed_tools.mode,
    parallel: parallel_tool_calls ?? true,
  };
}

/** Messages as a version reads them: under its own system prompt. */
export function messagesOf(wire: readonly WireMessage[], { systemPrompt }: VersionSpec): ChatMessage[] {
  const messages = wire.map(messageOf);
  if (systemPrompt === undefined) return messages;
  const [first, ...rest] = messages;
  // Templates know one system message: the version's words come first, the client's after them.
  return first?.role === 'system'
    ? [{ role: 'system', content: `${systemPrompt}\n\n${first.content}` }, ...rest]
    : [{ role: 'system', content: systemPrompt }, ...messages];
}

function messageOf({ role, content, name, tool_call_id, tool_calls }: WireMessage): ChatMessage {
  return {
    role,
    content: textOf(content),
    ...(name ? { name } : {}),
    ...(tool_call_id ? { toolCallId: tool_call_id } : {}),
    ...(tool_calls?.length
      ? { toolCalls: tool_calls.map(({ id, function: { name: called, arguments: given } }) => ({ id, name: called, arguments: given })) }
      : {}),
  };
}
