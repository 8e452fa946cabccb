// What goes back for a chat completion: the whole answer, or chunks framed as server-sent events.

export type FinishReason = 'stop' | 'length' | 'content_filter' | 'tool_calls';

export interface UsageCounts {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedTokens: number;
}

export interface AnswerHead {
  /** `chatcmpl-...` */
  readonly id: string;
  /** Seconds since the Unix epoch. */
  readonly createdS: number;
  /** The public model name that was asked for. */
  readonly model: string;
}

function usageOf(usage: UsageCounts): Record<string, unknown> {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  };
}

export function completionBody(head: AnswerHead, text: string, finishReason: FinishReason, usage: UsageCounts): string {
  return JSON.stringify({
    id: head.id,
    object: 'chat.completion',
    created: head.createdS,
    model: head.model,
    choices: [{ index: 0, message: { role: 'assistant', content: text, refusal: null }, logprobs: null, finish_reason: finishReason }],
    usage: usageOf(usage),
  });
}

/** The unchanging front of every chunk of one answer is made once: a chunk then costs one small JSON string. */
export class ChunkWriter {
  private readonly front: string;
  private readonly tail: string;

  constructor(
    head: AnswerHead,
    private readonly withUsage: boolean,
  ) {
    this.front = `data: {"id":${JSON.stringify(head.id)},"object":"chat.completion.chunk","created":${head.createdS},"model":${JSON.stringify(head.model)},"choices":`;
    this.tail = withUsage ? ',"usage":null}\n\n' : '}\n\n';
  }

  role(): string {
    return `${this.front}[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]${this.tail}`;
  }

  text(text: string): string {
    return `${this.front}[{"index":0,"delta":{"content":${JSON.stringify(text)}},"logprobs":null,"finish_reason":null}]${this.tail}`;
  }

  /** The finish chunk, the usage chunk when the client asked for it, and the end mark. */
  end(finishReason: FinishReason, usage: UsageCounts): string {
    const finish = `${this.front}[{"index":0,"delta":{},"logprobs":null,"finish_reason":"${finishReason}"}]${this.tail}`;
    const counts = this.withUsage ? `${this.front}[],"usage":${JSON.stringify(usageOf(usage))}}\n\n` : '';
    return `${finish}${counts}data: [DONE]\n\n`;
  }
}

/** An error inside a stream that has begun. No end mark follows: a cut answer must not look whole. */
export function errorEvent(body: string): string {
  return `data: ${body}\n\n`;
}

/** `GET /v1/models`. */
export function modelList(models: readonly { readonly name: string; readonly createdS: number }[]): string {
  return JSON.stringify({
    object: 'list',
    data: models.map(({ name, createdS }) => ({ id: name, object: 'model', created: createdS, owned_by: 'serin' })),
  });
}
