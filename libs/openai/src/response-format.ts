// `response_format`: the shape that a client forces on its answer, bounded before any engine turns it into a grammar.
import { z } from 'zod';
import { depthOf } from './json.js';

const largestSchema = 65_536;
/** A schema of ten nested objects, OpenAI's own limit, needs about three levels of JSON for each. */
const deepestSchema = 32;

const schema = z.record(z.string(), z.unknown()).superRefine((value, context) => {
  const text = JSON.stringify(value);
  if (text.length > largestSchema) {
    context.addIssue({ code: 'custom', message: `is longer than ${largestSchema} characters; send a smaller schema` });
  } else if (depthOf(text) > deepestSchema) {
    context.addIssue({ code: 'custom', message: `is nested more than ${deepestSchema} levels deep; flatten it` });
  }
});

/** A schema with its name, as chat completions spell it inside `json_schema`, and responses beside `type`. */
export const answerSchema = {
  name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, underscores and dashes'),
  description: z.string().max(4_096).nullish(),
  schema,
  /** Either way the answer is constrained: OpenAI's "best effort" has no meaning for a grammar. */
  strict: z.boolean().nullish(),
} as const;

export const responseFormat = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({ type: z.literal('json_object') }),
    z.strictObject({ type: z.literal('json_schema'), json_schema: z.strictObject(answerSchema) }),
  ],
  { error: 'must be "text", "json_object" or "json_schema"' },
);

export type ResponseFormat = z.infer<typeof responseFormat>;
