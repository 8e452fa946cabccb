// The response object and its output items, as they stand in a whole answer and in the events of a streamed one.
import type { AnswerHead, FinishReason, ToldStep, UsageCounts, WholeChoice } from '../answer-format.js';
import { chatLogprobs } from '../logprobs.js';
import type { ResponseBody } from './request.js';

type Json = Record<string, unknown>;
export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

/** Ids of the items of one response: made of its own, so that they are told apart everywhere. */
export function itemId(head: AnswerHead, kind: 'msg' | 'fc' | 'rs', index: number): string {
  return `${kind}_${head.id.replace(/^[a-z]+[-_]/, '').replaceAll('-', '')}_${index}`;
}

export function textPart(text: string, steps: readonly ToldStep[]): Json {
  return { type: 'output_text', text, annotations: [], logprobs: outputLogprobs(steps) };
}

export function messageItem(id: string, status: ItemStatus, content: readonly Json[]): Json {
  return { id, type: 'message', status, role: 'assistant', content };
}

export function reasoningItem(id: string, status: ItemStatus, text: string): Json {
  return { id, type: 'reasoning', status, summary: [], content: text === '' ? [] : [{ type: 'reasoning_text', text }] };
}

export function callItem(id: string, status: ItemStatus, call: { readonly id: string; readonly name: string; readonly arguments: string }) {
  return { id, type: 'function_call', status, call_id: call.id, name: call.name, arguments: call.arguments };
}

/** Log probabilities of text: the list that chat completions call `content`. */
export function outputLogprobs(steps: readonly ToldStep[]): unknown {
  return steps.length === 0 ? [] : chatLogprobs(steps)['content'];
}

export function outputOf(head: AnswerHead, { text, reasoning, calls, steps, finishReason }: WholeChoice): Json[] {
  const status = statusOf(finishReason);
  const items: Json[] = [];
  if (reasoning !== '') items.push(reasoningItem(itemId(head, 'rs', items.length), 'completed', reasoning));
  if (text !== '' || calls.length === 0) {
    items.push(messageItem(itemId(head, 'msg', items.length), calls.length === 0 ? status : 'completed', [textPart(text, steps ?? [])]));
  }
  for (const [index, call] of calls.entries()) {
    items.push(callItem(itemId(head, 'fc', items.length), index === calls.length - 1 ? status : 'completed', call));
  }
  return items;
}

export function statusOf(reason: FinishReason): 'completed' | 'incomplete' {
  return reason === 'length' || reason === 'content_filter' ? 'incomplete' : 'completed';
}

/** How far a response has come. */
export interface ResponseProgress {
  readonly status: 'in_progress' | 'completed' | 'incomplete' | 'failed';
  readonly output: readonly Json[];
  readonly usage: UsageCounts | null;
  readonly finishReason: FinishReason | null;
  readonly error?: { readonly code: string; readonly message: string };
}

/** Repeats what was asked, as OpenAI does. */
export function responseObject(body: ResponseBody, head: AnswerHead, progress: ResponseProgress): Json {
  const { status, output, usage, finishReason, error } = progress;
  return {
    id: head.id,
    object: 'response',
    created_at: head.createdS,
    status,
    background: false,
    error: error ?? null,
    incomplete_details: status === 'incomplete' ? { reason: finishReason === 'content_filter' ? finishReason : 'max_output_tokens' } : null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    model: head.model,
    output,
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: null,
    reasoning: { effort: body.reasoning?.effort ?? null, summary: body.reasoning?.summary ?? null },
    service_tier: 'default',
    store: false,
    // Null where the version's own setting held: its label tells which.
    temperature: body.temperature ?? null,
    text: { format: body.text?.format ?? { type: 'text' }, ...(body.text?.verbosity ? { verbosity: body.text.verbosity } : {}) },
    tool_choice: body.tool_choice ?? 'auto',
    tools: body.tools ?? [],
    top_logprobs: body.top_logprobs ?? 0,
    top_p: body.top_p ?? null,
    truncation: 'disabled',
    usage: usage === null ? null : responseUsage(usage),
    user: body.user ?? null,
    metadata: body.metadata ?? {},
    system_fingerprint: head.fingerprint,
  };
}

function responseUsage({ inputTokens, outputTokens, cachedTokens }: UsageCounts): Json {
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: cachedTokens },
    output_tokens: outputTokens,
    // Engines do not tell thought from speech in tokens.
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: inputTokens + outputTokens,
  };
}
