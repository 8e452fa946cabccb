// From a checked body to what an engine scores: the context that conditions, and the texts that are judged after it.
import type { VersionSpec } from '#libs/contract';
import type { Prompt, ScoreRequest } from '#libs/engine';
import { type ScoreBody, textOf } from '#libs/openai';
import { messagesOf } from '../completions/chat-endpoint.js';

export type ScorePlan = Pick<ScoreRequest, 'context' | 'continuations' | 'topLogprobs'>;

/** Without continuations the input itself is scored; of a conversation, its last answer. Parsing made sure that there is one. */
export function scorePlan({ input, continuations, top_logprobs }: ScoreBody, spec: VersionSpec): ScorePlan {
  const top = typeof top_logprobs === 'number' ? { topLogprobs: top_logprobs } : {};
  if (typeof input === 'string' || Array.isArray(input)) {
    if (!continuations) return { context: null, continuations: [input], ...top };
    // An empty text conditions nothing.
    const context: Prompt | null =
      typeof input !== 'string' ? { kind: 'tokens', tokens: input } : input === '' ? null : { kind: 'text', text: input };
    return { context, continuations, ...top };
  }
  const { messages } = input;
  if (continuations) return { context: { kind: 'chat', messages: messagesOf(messages, spec) }, continuations, ...top };
  const answered = messages.at(-1);
  return {
    context: { kind: 'chat', messages: messagesOf(messages.slice(0, -1), spec) },
    continuations: [textOf(answered?.content)],
    ...top,
  };
}
