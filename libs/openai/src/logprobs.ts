// Log probabilities in the two spellings of OpenAI: a list of tokens (chat) and parallel arrays (completions).
import type { ToldStep, ToldToken } from './answer-format.js';

function chatToken({ text, bytes, logprob }: ToldToken): Record<string, unknown> {
  return { token: text, logprob, bytes };
}

/** `choices[].logprobs` of a chat completion, or of a chunk of one. */
export function chatLogprobs(steps: readonly ToldStep[]): Record<string, unknown> {
  return { content: steps.map((step) => ({ ...chatToken(step), top_logprobs: step.top.map(chatToken) })), refusal: null };
}

/** A token as the older endpoint names it: where its bytes are not text by themselves, the bytes are spelled out. */
export function legacyToken({ text, bytes }: ToldToken): string {
  if (!text.includes('\u{fffd}')) return text;
  return `bytes:${bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
}

/** Counts the characters that a token's bytes begin: continuation bytes belong to the character before. */
function charactersBegun(bytes: readonly number[]): number {
  return bytes.reduce((count, byte) => ((byte & 0xc0) === 0x80 ? count : count + 1), 0);
}

/** Parallel arrays, with each token's offset in the answer's text; keeps count from chunk to chunk. */
export class LegacyLogprobs {
  private offset = 0;

  of(steps: readonly ToldStep[]): Record<string, unknown> {
    return {
      tokens: steps.map(legacyToken),
      token_logprobs: steps.map((step) => step.logprob),
      top_logprobs: steps.map((step) =>
        // The answer's own token is listed even where it is not among the most likely.
        Object.fromEntries([...step.top, step].map((token) => [legacyToken(token), token.logprob])),
      ),
      text_offset: steps.map((step) => {
        const at = this.offset;
        this.offset += charactersBegun(step.bytes);
        return at;
      }),
    };
  }
}
