// Fields that several endpoints share, and the one way in which a body is checked: a refusal names the field.
import { z } from 'zod';
import { fail, type Outcome, ok } from '#libs/base';
import { type OpenAiError, openAiError } from './errors.js';

export type RequestFault = {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly error: OpenAiError;
};

export const mostChoices = 16;
export const mostLikelyTokens = 20;
const mostBiases = 1_024;
const longestGrammar = 65_536;

export const tokenId = z.int().min(0).max(16_777_215);

export const modelField = { model: z.string().min(1).max(256) };

/** Nulls mean absent everywhere, as client libraries send them. */
export const samplingFields = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  max_tokens: z.int().min(1).max(1_048_576).nullish(),
  n: z.int().min(1).max(mostChoices, `must be at most ${mostChoices}`).nullish(),
  seed: z.int().nullish(),
  stop: z
    .union([z.string().min(1).max(256), z.array(z.string().min(1).max(256)).max(4)], {
      error: 'must be a string or an array of at most 4 strings, each of 1 to 256 characters',
    })
    .nullish(),
  user: z.string().max(512).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z
    .record(z.string().regex(/^\d{1,8}$/, 'must be a token id'), z.number().min(-100).max(100))
    .refine((bias) => Object.keys(bias).length <= mostBiases, `must have at most ${mostBiases} tokens`)
    .nullish(),
  // Common extensions of self-hosted servers.
  top_k: z.int().min(0).max(1_000).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repeat_penalty: z.number().gt(0).max(2).nullish(),
  grammar: z.string().min(1).max(longestGrammar).nullish(),
} as const;

export const streamFields = {
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().optional(), include_obfuscation: z.boolean().optional() }).nullish(),
} as const;

const sampled = z.object(samplingFields);
/** What every generating endpoint lets a client wish. */
export type SamplingWishes = z.infer<typeof sampled>;

/** A refusal of a body as an expected failure. */
export function refusal(error: OpenAiError): { readonly ok: false; readonly fault: RequestFault } {
  return { ok: false, fault: { ...fail({ code: error.code, message: error.message }).fault, error } };
}

export function invalidField(param: string, what: string): { readonly ok: false; readonly fault: RequestFault } {
  return refusal(openAiError('invalid_value', `'${param}': ${what}.`, { param }));
}

/** Checks a parsed body. The fault carries the OpenAI error with `param` set to the first field at fault. */
export function parseBody<T>(schema: z.ZodType<T>, value: unknown): Outcome<T, RequestFault> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return ok(parsed.data);
  const issue = parsed.error.issues[0];
  const path = issue?.path.map(String).join('.') ?? '';
  if (issue?.code === 'unrecognized_keys') {
    const unknown = [path, issue.keys[0]].filter(Boolean).join('.');
    return refusal(openAiError('unknown_parameter', `Unknown parameter: '${unknown}'. Remove it.`, { param: unknown }));
  }
  // A key that is wrong itself says so one level down.
  const message = issue?.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue?.message;
  return refusal(
    openAiError('invalid_value', `${path === '' ? 'The body' : `'${path}'`}: ${message ?? 'is not valid'}.`, {
      param: path === '' ? null : path,
    }),
  );
}
