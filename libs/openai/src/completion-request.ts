// `POST /v1/completions`: plain text or token ids in, plain text out. The older of OpenAI's two endpoints, and the one of evaluation tools.
import { z } from 'zod';
import type { Outcome } from '#libs/base';
import { fieldRules, readFields } from './body/read-fields.js';
import type { ScannedBody } from './body/scanned-body.js';
import { beginningOf } from './body/strings.js';
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

const longestText = 4 * longestPrompt;

const text = z.string().max(longestText);
const tokens = z.array(tokenId).min(1).max(longestPrompt);

const prompt = z.union([text, tokens, z.array(text).min(1).max(mostPrompts), z.array(tokens).min(1).max(mostPrompts)], {
  error: `must be a string, an array of token ids, or an array of 1 to ${mostPrompts} of either`,
});

const completionShape = {
  ...modelField,
  ...streamFields,
  ...samplingFields,
  logprobs: z.int().min(0).max(mostLikelyTokens).nullish(),
  echo: z.boolean().nullish(),
  suffix: z.string().nullish(),
  best_of: z.int().min(1).max(20).nullish(),
} as const;
const completionRules = fieldRules(completionShape);
const completionFields = z.strictObject(completionShape);
const completionBody = z.strictObject({ ...completionShape, prompt });

/** All but the prompt. */
export type CompletionFields = z.infer<typeof completionFields>;
export type CompletionBody = z.infer<typeof completionBody>;
/** Names of all fields that are known. */
export const completionFieldNames: readonly string[] = Object.keys(completionBody.shape);
export type TextPrompt = string | readonly number[];

/** Checks a parsed body. The fault carries the OpenAI error with `param` set. */
export function parseCompletionBody(value: unknown): Outcome<CompletionBody, RequestFault> {
  const parsed = parseBody(completionBody, value);
  return parsed.ok ? (faultBetween(parsed.value, promptsOf(parsed.value.prompt).length) ?? parsed) : parsed;
}

/** A body that is known to be good, with its one prompt by its place alone. */
export interface OutlinedCompletion {
  readonly fields: CompletionFields;
  /** The prompt, whole or at least its first `units` UTF-16 units. */
  firstWords(units: number): string;
}

/** The same verdict on a scanned body, without reading its prompt, when that is one text; null: for `parseCompletionBody` to judge. */
export function outlineCompletion(body: ScannedBody): OutlinedCompletion | null {
  const member = body.member('prompt');
  if (member?.kind !== 'string') return null;
  const { valueFrom, valueTo } = member;
  // No text has more units than bytes; a longer one may still be short enough.
  if (valueTo - valueFrom > longestText) return null;
  const fields = readFields(body, completionRules, 'prompt') as CompletionFields | null;
  if (fields?.model === undefined || faultBetween(fields, 1)) return null;
  return { fields, firstWords: (units) => beginningOf(body.bytes, valueFrom + 1, valueTo - 1, units) };
}

/** What is wrong with fields that are good each by itself. */
function faultBetween({ echo, suffix, best_of, n }: CompletionFields, prompts: number) {
  const unserved = (param: string, remedy: string) =>
    refusal(openAiError('unsupported_parameter', `'${param}' is not served. ${remedy}`, { param }));
  if (echo) return unserved('echo', 'Leave it out; log probabilities of a given text come from POST /v1/score.');
  if (suffix) return unserved('suffix', 'Leave it out, or put it into the prompt as the model was trained to read it.');
  if ((best_of ?? 1) > 1) return unserved('best_of', 'Ask for "n" answers with "logprobs" and choose among them.');
  if (prompts * (n ?? 1) > mostAnswers) {
    return invalidField('n', `${prompts} prompts with ${n} answers each are more than ${mostAnswers} answers; send fewer at once`);
  }
  return null;
}

/** One prompt or several: answer `i` of prompt `p` has the index `p * n + i`. */
export function promptsOf(prompt: CompletionBody['prompt']): readonly TextPrompt[] {
  if (typeof prompt === 'string') return [prompt];
  return typeof prompt[0] === 'number' ? [prompt as number[]] : (prompt as TextPrompt[]);
}
