// `input` of a response: a text, or items of a conversation, read into the messages that a chat is made of.
import { z } from 'zod';
import type { WireMessage } from '../chat-request.js';
import { messageContent, textOf } from '../message-content.js';

const longestInput = 4_194_304;
const mostItems = 4_096;

const itemMessage = z.object({
  type: z.literal('message').nullish(),
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content: messageContent,
});
const functionCall = z.object({
  type: z.literal('function_call'),
  call_id: z.string().min(1).max(256),
  name: z.string().max(256),
  arguments: z.string().max(1_048_576),
});
const functionCallOutput = z.object({
  type: z.literal('function_call_output'),
  call_id: z.string().min(1).max(256),
  output: messageContent,
});
/** What a model thought in an earlier turn: clients send it back, templates leave it out. */
const reasoning = z.object({ type: z.literal('reasoning') });

const served = { message: itemMessage, function_call: functionCall, function_call_output: functionCallOutput, reasoning } as const;
type Item = z.infer<(typeof served)[keyof typeof served]>;

const stateless = 'needs a stored response, and nothing is stored here; send the items themselves ("store": false makes clients do so)';

/** Items are told apart by hand, so that a refusal names the very item. */
const item = z.unknown().transform((value, context): Item => {
  const refuse = (path: PropertyKey[], message: string): typeof z.NEVER => {
    context.issues.push({ code: 'custom', input: value, path, message });
    return z.NEVER;
  };
  if (typeof value !== 'object' || value === null) return refuse([], 'must be an object');
  const type = 'type' in value && value.type !== null ? value.type : 'message';
  if (type === 'item_reference') return refuse(['type'], stateless);
  const schema = Object.entries(served).find(([name]) => name === type)?.[1];
  if (!schema) return refuse(['type'], `must be one of ${Object.keys(served).join(', ')}`);
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const issue = read.error.issues[0];
  return refuse(issue?.path ?? [], issue?.message ?? 'is not valid');
});

export const responseInput = z.unknown().transform((value, context): string | Item[] => {
  const read = (Array.isArray(value) ? z.array(item).min(1).max(mostItems) : z.string().min(1).max(longestInput)).safeParse(value);
  if (read.success) return read.data;
  const issue = read.error.issues[0];
  const path = issue?.path ?? [];
  const message = path.length === 0 ? `must be a text that is not empty or an array of 1 to ${mostItems} items` : (issue?.message ?? '');
  context.issues.push({ code: 'custom', input: value, path, message });
  return z.NEVER;
});

export type ResponseInput = z.infer<typeof responseInput>;

/** `instructions` go first. Calls join the assistant's text before them: one turn, as a template reads it. */
export function messagesOfInput(input: ResponseInput, instructions: string | null | undefined): WireMessage[] {
  const messages: WireMessage[] = instructions ? [{ role: 'system', content: instructions }] : [];
  if (typeof input === 'string') return [...messages, { role: 'user', content: input }];
  for (const one of input) {
    if (one.type === 'function_call') {
      const call = { id: one.call_id, type: 'function' as const, function: { name: one.name, arguments: one.arguments } };
      const last = messages.at(-1);
      if (last?.role === 'assistant') messages[messages.length - 1] = { ...last, tool_calls: [...(last.tool_calls ?? []), call] };
      else messages.push({ role: 'assistant', content: null, tool_calls: [call] });
    } else if (one.type === 'function_call_output') {
      messages.push({ role: 'tool', tool_call_id: one.call_id, content: textOf(one.output) });
    } else if (one.type !== 'reasoning') {
      messages.push({ role: one.role, content: one.content });
    }
  }
  return messages;
}
