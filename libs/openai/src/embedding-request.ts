// `POST /v1/embeddings`: texts or token ids in, one vector for each out.
import { z } from 'zod';
import type { Outcome } from '#libs/base';
import { openAiError } from './errors.js';
import { modelField, parseBody, type RequestFault, refusal, tokenId } from './fields.js';

const mostInputs = 2_048;

const text = z.string().min(1).max(1_048_576);
const tokens = z.array(tokenId).min(1).max(131_072);

const embeddingBody = z.strictObject({
  ...modelField,
  input: z.union([text, tokens, z.array(text).min(1).max(mostInputs), z.array(tokens).min(1).max(mostInputs)], {
    error: `must be a text that is not empty, an array of token ids, or an array of 1 to ${mostInputs} of either`,
  }),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.int().nullish(),
  user: z.string().max(512).nullish(),
});

export type EmbeddingBody = z.infer<typeof embeddingBody>;
/** Names of all fields that are known. */
export const embeddingFieldNames: readonly string[] = Object.keys(embeddingBody.shape);

/** Checks a parsed body. The fault carries the OpenAI error with `param` set. */
export function parseEmbeddingBody(value: unknown): Outcome<EmbeddingBody, RequestFault> {
  const parsed = parseBody(embeddingBody, value);
  if (!parsed.ok || typeof parsed.value.dimensions !== 'number') return parsed;
  // A vector that is cut is another embedding unless the model was trained for it, which nobody tells us.
  return refusal(
    openAiError('unsupported_parameter', "'dimensions' is not served: vectors come whole. Leave it out.", { param: 'dimensions' }),
  );
}

export function embeddingInputs(input: EmbeddingBody['input']): readonly (string | readonly number[])[] {
  if (typeof input === 'string') return [input];
  return typeof input[0] === 'number' ? [input as number[]] : (input as (string | number[])[]);
}
