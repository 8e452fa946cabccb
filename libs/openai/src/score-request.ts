// `POST /v1/score`, an extension: what a model thinks of text that is given, instead of text that it makes.
import { z } from 'zod';
import type { Outcome } from '#libs/base';
import { chatMessages } from './chat-request.js';
import { invalidField, modelField, mostLikelyTokens, parseBody, type RequestFault, tokenId } from './fields.js';

const mostContinuations = 64;
/** Of all texts of a request together. */
const mostCharacters = 1_048_576;

const text = z.string().min(1).max(mostCharacters);
const tokens = z.array(tokenId).min(1).max(131_072);

const scoreBody = z.strictObject({
  ...modelField,
  input: z.union([z.string().max(mostCharacters), tokens, z.strictObject({ messages: chatMessages })], {
    error: 'must be a string, an array of token ids, or {"messages": [...]}',
  }),
  continuations: z
    .array(z.union([text, tokens], { error: 'must be a text that is not empty or an array of token ids' }))
    .min(1)
    .max(mostContinuations)
    .nullish(),
  top_logprobs: z.int().min(0).max(mostLikelyTokens).nullish(),
  compare_to: z.string().min(1).max(256).nullish(),
  user: z.string().max(512).nullish(),
});

export type ScoreBody = z.infer<typeof scoreBody>;

/** Checks a parsed body. The fault carries the OpenAI error with `param` set. */
export function parseScoreBody(value: unknown): Outcome<ScoreBody, RequestFault> {
  const parsed = parseBody(scoreBody, value);
  if (!parsed.ok) return parsed;
  const { input, continuations } = parsed.value;
  const total = (continuations ?? []).reduce((sum, one) => sum + one.length, typeof input === 'string' ? input.length : 0);
  if (total > mostCharacters)
    return invalidField('continuations', `have more than ${mostCharacters} characters with the input; send fewer at once`);
  if (continuations) return parsed;
  if (input === '') return invalidField('input', 'is empty and there are no continuations: nothing is there to score');
  const last = typeof input === 'object' && 'messages' in input ? input.messages.at(-1) : null;
  if (last && (last.role !== 'assistant' || !last.content?.length)) {
    return invalidField(
      'input',
      'must end with an answer of the assistant, or "continuations" must name what is scored after the messages',
    );
  }
  return parsed;
}
