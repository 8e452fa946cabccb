// One event of a streamed answer, chat or completions, of any dialect: read by hand, for a schema library would cost more than the network.
import type { ToolCallDelta } from '../engine.js';
import { errorIn } from './faults.js';

export interface ChunkChoice {
  readonly index: number;
  readonly text: string;
  /** Text that the model thinks and does not say (`reasoning_content`, `reasoning`). */
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCallDelta[];
  readonly finishReason: string | null;
  /** As the dialect writes them: see `logprobs.ts`. */
  readonly logprobs: unknown;
}

export interface ChunkUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Null where the upstream does not say. */
  readonly cachedTokens: number | null;
}

export interface Chunk {
  readonly choices: readonly ChunkChoice[];
  readonly usage: ChunkUsage | null;
  /** As vLLM tells it with per-request metrics switched on. */
  readonly queueWaitMs: number | null;
}

export type ChunkOutcome =
  | { readonly kind: 'chunk'; readonly chunk: Chunk }
  | { readonly kind: 'error'; readonly error: { readonly message: string; readonly kind: string } }
  | { readonly kind: 'garbage'; readonly why: string };

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0;

/** Reads the data of one event. */
export function readChunk(data: string): ChunkOutcome {
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch {
    return { kind: 'garbage', why: 'an event that is not JSON' };
  }
  const error = errorIn(json);
  if (error) return { kind: 'error', error };
  if (!isObject(json)) return { kind: 'garbage', why: 'an event that is not an object' };
  const listed = json['choices'] ?? [];
  if (!Array.isArray(listed)) return { kind: 'garbage', why: 'an event whose choices are no list' };
  const choices: ChunkChoice[] = [];
  for (const one of listed) {
    const choice = choiceOf(one);
    if (!choice) return { kind: 'garbage', why: 'an event with a choice that is none' };
    choices.push(choice);
  }
  const usage = usageOf(json['usage']);
  if (choices.length === 0 && usage === null && json['choices'] === undefined)
    return { kind: 'garbage', why: 'an event that is no chunk of an answer' };
  const metrics = isObject(json['metrics']) ? json['metrics'] : {};
  const queueWaitMs = isCount(metrics['queue_time_ms']) ? metrics['queue_time_ms'] : null;
  return { kind: 'chunk', chunk: { choices, usage, queueWaitMs } };
}

function choiceOf(value: unknown): ChunkChoice | null {
  if (!isObject(value)) return null;
  const index = value['index'] ?? 0;
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 0) return null;
  const delta = isObject(value['delta']) ? value['delta'] : {};
  const finish = value['finish_reason'];
  return {
    index,
    text: textOf(value['text']) + textOf(delta['content']) + textOf(delta['refusal']),
    reasoning: textOf(delta['reasoning_content']) || textOf(delta['reasoning']),
    toolCalls: toolCallsOf(delta['tool_calls']),
    // SGLang once wrote an object here.
    finishReason: typeof finish === 'string' ? finish : isObject(finish) ? textOf(finish['type']) : null,
    logprobs: value['logprobs'] ?? null,
  };
}

/** A string, or the text parts of a list of parts. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return '';
  return value.map((part) => (isObject(part) && typeof part['text'] === 'string' ? part['text'] : '')).join('');
}

/** TGI sends one call instead of a list; Ollama sends arguments that are an object. */
function toolCallsOf(value: unknown): readonly ToolCallDelta[] {
  if (value === null || value === undefined) return [];
  return (Array.isArray(value) ? value : [value]).filter(isObject).map((call, position) => {
    const called = isObject(call['function']) ? call['function'] : {};
    const { name, arguments: given } = called;
    return {
      index: isCount(call['index']) ? call['index'] : position,
      ...(typeof call['id'] === 'string' && call['id'] !== '' ? { id: call['id'] } : {}),
      ...(typeof name === 'string' ? { name } : {}),
      ...(given === null || given === undefined ? {} : { arguments: typeof given === 'string' ? given : JSON.stringify(given) }),
    };
  });
}

/** The `usage` of a chunk or a body; null for what is none. */
export function usageOf(value: unknown): ChunkUsage | null {
  if (!isObject(value) || !isCount(value['prompt_tokens'])) return null;
  const details = isObject(value['prompt_tokens_details']) ? value['prompt_tokens_details'] : {};
  return {
    inputTokens: value['prompt_tokens'],
    outputTokens: isCount(value['completion_tokens']) ? value['completion_tokens'] : 0,
    cachedTokens: isCount(details['cached_tokens']) ? details['cached_tokens'] : null,
  };
}
