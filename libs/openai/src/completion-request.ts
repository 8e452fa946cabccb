// `POST /v1/completions`: plain text or token ids in, plain text out. The older of OpenAI's two endpoints, and the one of evaluation tools.
import { z } from 'zod';
import type { Outcome } from '#libs/base';
import { openAiError } from './errors.js';
import {
  invalidField,
  modelField,
  mostLikelyTokens,
  parseBody,
  type RequestFault,
  refusal,
  samplingFields,
  streamFields,
  tokenId,
} from './fields.js';

const mostPrompts = 16;
const mostAnswers = 64;
const longestPrompt = 1_048_576;

const text = z.string().max(4 * longestPrompt);
const tokens = z.array(tokenId).min(1).max(longestPrompt);

const completionBody = z.strictObject({
  ...modelField,
  prompt: z.union([text, tokens, z.array(text).min(1).max(mostPrompts), z.array(tokens).min(1).max(mostPrompts)], {
    error: `must be a string, an array of token ids, or an array of 1 to ${mostPrompts} of either`,
  }),
  ...streamFields,
  ...samplingFields,
  logprobs: z.int().min(0).max(mostLikelyTokens).nullish(),
  echo: z.boolean().nullish(),
  suffix: z.string().nullish(),
  best_of: z.int().min(1).max(20).nullish(),
});

export type CompletionBody = z.infer<typeof completionBody>;
export type TextPrompt = string | readonly number[];

/** Checks a parsed body. The fault carries the OpenAI error with `param` set. */
export function parseCompletionBody(value: unknown): Outcome<CompletionBody, RequestFault> {
  const parsed = parseBody(completionBody, value);
  if (!parsed.ok) return parsed;
  const body = parsed.value;
  const unserved = (param: string, remedy: string): { readonly ok: false; readonly fault: RequestFault } =>
    refusal(openAiError('unsupported_parameter', `'${param}' is not served. ${remedy}`, { param }));
  if (body.echo) return unserved('echo', 'Leave it out; log probabilities of a given text come from POST /v1/score.');
  if (body.suffix) return unserved('suffix', 'Leave it out, or put it into the prompt as the model was trained to read it.');
  if ((body.best_of ?? 1) > 1) return unserved('best_of', 'Ask for "n" answers with "logprobs" and choose among them.');
  const prompts = promptsOf(body.prompt);
  if (prompts.length * (body.n ?? 1) > mostAnswers) {
    return invalidField(
      'n',
      `${prompts.length} prompts with ${body.n} answers each are more than ${mostAnswers} answers; send fewer at once`,
    );
  }
  return parsed;
}

/** One prompt or several: answer `i` of prompt `p` has the index `p * n + i`. */
export function promptsOf(prompt: CompletionBody['prompt']): readonly TextPrompt[] {
  if (typeof prompt === 'string') return [prompt];
  return typeof prompt[0] === 'number' ? [prompt as number[]] : (prompt as TextPrompt[]);
}
