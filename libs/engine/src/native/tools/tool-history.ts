// A conversation in the words of node-llama-cpp's templates, with the functions that may be called and what earlier calls brought.
import type { ChatHistoryItem, ChatModelFunctions } from 'node-llama-cpp';
import type { ChatMessage, ToolCall, ToolDefinition } from '../../engine.js';
import { type CallSyntax, plainSyntax } from './call-syntax.js';

type ModelTurn = Extract<ChatHistoryItem, { type: 'model' }>;

export interface History {
  /** The last item is an open turn of the model. */
  readonly items: readonly ChatHistoryItem[];
  /** Undefined: the items say themselves what may be called, or nothing may. */
  readonly functions: ChatModelFunctions | undefined;
}

export function historyOf(messages: readonly ChatMessage[], tools: readonly ToolDefinition[], { ofTemplate }: CallSyntax): History {
  if (ofTemplate) return { items: withOpenTurn(templateTurns(messages)), functions: functionsOf(tools) };
  return { items: withOpenTurn(plainTurns(tools.length === 0 ? messages : told(messages, tools))), functions: undefined };
}

function functionsOf(tools: readonly ToolDefinition[]): ChatModelFunctions | undefined {
  if (tools.length === 0) return undefined;
  return Object.fromEntries(
    tools.map(({ name, description, parameters }) => [
      name,
      // The library's type knows fewer keywords than its templates print.
      { ...(description ? { description } : {}), ...(parameters ? { params: parameters as never } : {}) },
    ]),
  );
}

/** After results the model goes on in the same turn. */
function withOpenTurn(items: readonly ChatHistoryItem[]): ChatHistoryItem[] {
  const last = items.at(-1);
  const open = last?.type === 'model' && typeof last.response.at(-1) === 'object';
  return open ? [...items] : [...items, { type: 'model', response: [] }];
}

/** Calls and their results are parts of one turn, as templates write them one after the other. */
function templateTurns(messages: readonly ChatMessage[]): ChatHistoryItem[] {
  const items: ChatHistoryItem[] = [];
  const results = new Map(messages.flatMap((one) => (one.role === 'tool' && one.toolCallId ? [[one.toolCallId, one.content]] : [])));
  const called = new Set(messages.flatMap((one) => one.toolCalls?.map((call) => call.id) ?? []));
  for (const { role, content, toolCalls, toolCallId } of messages) {
    if (role === 'tool') {
      if (toolCallId === undefined || !called.has(toolCallId)) items.push({ type: 'user', text: content });
    } else if (role !== 'assistant') items.push(spoken(role, content));
    else {
      const said = content === '' ? [] : [content];
      const calls = (toolCalls ?? []).map((call, index) => ({
        type: 'functionCall' as const,
        name: call.name,
        params: parsed(call.arguments),
        result: results.get(call.id) ?? '',
        ...(index === 0 ? { startsNewChunk: true } : {}),
      }));
      const last = items.at(-1);
      // What follows a call belongs to the turn that made it.
      if (last?.type === 'model' && typeof last.response.at(-1) === 'object') {
        items[items.length - 1] = { ...last, response: [...last.response, ...said, ...calls] };
      } else items.push({ type: 'model', response: [...said, ...calls] } satisfies ModelTurn);
    }
  }
  return items;
}

function plainTurns(messages: readonly ChatMessage[]): ChatHistoryItem[] {
  return messages.map(({ role, content, toolCalls }): ChatHistoryItem => {
    if (role === 'assistant')
      return { type: 'model', response: [[content, ...(toolCalls ?? []).map(plainCall)].filter(Boolean).join('\n')] };
    if (role === 'tool') return { type: 'user', text: `<tool_response>\n${content}\n</tool_response>` };
    return spoken(role, content);
  });
}

function plainCall({ name, arguments: given }: ToolCall): string {
  const { opening, beforeArguments, afterArguments } = plainSyntax;
  return `${opening}${name}${beforeArguments(name)}${given.trim() || '{}'}${afterArguments(name)}`;
}

function spoken(role: ChatMessage['role'], content: string): ChatHistoryItem {
  return role === 'system' || role === 'developer' ? { type: 'system', text: content } : { type: 'user', text: content };
}

/** The functions in the system message, under what it says already. */
function told(messages: readonly ChatMessage[], tools: readonly ToolDefinition[]): ChatMessage[] {
  const list = tools.map(({ name, description, parameters }) => JSON.stringify({ name, description, parameters }));
  const { opening, afterArguments, beforeArguments } = plainSyntax;
  const form = `${opening}NAME${beforeArguments('')}ARGUMENTS${afterArguments('')}`;
  const text = `You can call functions. They are, one a line:\n${list.join('\n')}\nTo call one, write its name and its arguments as a JSON object:\n${form}`;
  const [first, ...rest] = messages;
  if (first?.role === 'system' || first?.role === 'developer') return [{ ...first, content: `${first.content}\n\n${text}` }, ...rest];
  return [{ role: 'system', content: text }, ...messages];
}

/** Arguments that are no JSON are shown as they are. */
function parsed(text: string): unknown {
  try {
    return text.trim() === '' ? {} : JSON.parse(text);
  } catch {
    return text;
  }
}
