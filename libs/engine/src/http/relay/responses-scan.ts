// The Responses API: events that name their type, and a body with a status instead of finish reasons.
import type { ChunkUsage } from '../chunk.js';
import { errorIn } from '../faults.js';
import { memberIn, wordOf } from './json-bytes.js';

type Fields = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0;

export type ResponsesEvent =
  /** `text`: a piece of what the model says, calls or thinks. `ended`: nothing comes after it. */
  | { readonly kind: 'event'; readonly text: boolean; readonly ended: ResponsesEnd | null }
  | { readonly kind: 'error'; readonly error: { readonly message: string; readonly kind: string } }
  | { readonly kind: 'garbage'; readonly why: string };

export interface ResponsesEnd {
  /** In the words of the other endpoints; null while the answer goes on. */
  readonly finishReason: string | null;
  readonly usage: ChunkUsage | null;
}

const ends = new Set(['response.completed', 'response.incomplete', 'response.failed', 'response.cancelled']);

/** Reads the data of one event. */
export function responsesEvent(data: string): ResponsesEvent {
  const json = parsed(data);
  if (!isObject(json)) return { kind: 'garbage', why: json === undefined ? 'an event that is not JSON' : 'an event that is not an object' };
  const { type } = json;
  if (type === 'error') return { kind: 'error', error: errorIn({ error: json['error'] ?? json }) ?? { message: data, kind: '' } };
  const error = errorIn(json);
  if (error) return { kind: 'error', error };
  if (typeof type !== 'string') return { kind: 'garbage', why: 'an event without a type' };
  if (!ends.has(type)) return { kind: 'event', text: type.endsWith('.delta'), ended: null };
  const read = responsesBody(json['response']);
  return read.kind === 'body' ? { kind: 'event', text: false, ended: read.end } : read;
}

export type ResponsesBody =
  | { readonly kind: 'body'; readonly end: ResponsesEnd }
  | { readonly kind: 'error'; readonly error: { readonly message: string; readonly kind: string } }
  | { readonly kind: 'garbage'; readonly why: string };

/** Reads a `response`: that of a last event, or a body that came whole. */
export function responsesBody(response: unknown): ResponsesBody {
  if (!isObject(response)) return { kind: 'garbage', why: 'a response that is not an object' };
  const error = errorIn(response);
  if (error) return { kind: 'error', error };
  const { status, usage } = response;
  if (status === 'failed' || status === 'cancelled')
    return { kind: 'error', error: { message: `the response is ${status}`, kind: 'server_error' } };
  const details = isObject(response['incomplete_details']) ? response['incomplete_details'] : {};
  const cut = details['reason'] === 'content_filter' ? 'content_filter' : 'length';
  const output = Array.isArray(response['output']) ? response['output'] : [];
  const calls = output.some((item: unknown) => isObject(item) && item['type'] === 'function_call');
  const reason = status === 'completed' ? (calls ? 'tool_calls' : 'stop') : status === 'incomplete' ? cut : null;
  return { kind: 'body', end: { finishReason: reason, usage: usageOf(usage) } };
}

function usageOf(value: unknown): ChunkUsage | null {
  if (!isObject(value) || !isCount(value['input_tokens'])) return null;
  const details = isObject(value['input_tokens_details']) ? value['input_tokens_details'] : {};
  return {
    inputTokens: value['input_tokens'],
    outputTokens: isCount(value['output_tokens']) ? value['output_tokens'] : 0,
    cachedTokens: isCount(details['cached_tokens']) ? details['cached_tokens'] : null,
  };
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

const words = { response: wordOf('response'), model: wordOf('model') };

/** The place of the model's name: in a body of its own, or in an event's `response`. Negative where there is none. */
export function modelIn(bytes: Buffer, from: number): { readonly valueFrom: number; readonly valueTo: number } {
  const inside = memberIn(bytes, from, words.response);
  return memberIn(bytes, inside.valueFrom < 0 ? from : inside.valueFrom, words.model);
}
