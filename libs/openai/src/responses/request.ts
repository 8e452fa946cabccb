// `POST /v1/responses`, without a memory: what a client may ask, checked field by field, and said again as a chat.
import { z } from 'zod';
import type { Outcome } from '#libs/base';
import type { ChatBody } from '../chat-request.js';
import { openAiError } from '../errors.js';
import { invalidField, modelField, mostLikelyTokens, parseBody, type RequestFault, refusal, samplingFields } from '../fields.js';
import { answerSchema } from '../response-format.js';
import { type ChatTool, type ChatToolChoice, choiceFault, functionFields, functionName, mostTools, uniqueNames } from '../tools.js';
import { messagesOfInput, responseInput } from './input.js';

const onlyFunctions = 'must be "function": this server calls no tools of its own, and hands calls to the client';
const tool = z.strictObject({ type: z.literal('function', { error: onlyFunctions }), ...functionFields });
const named = z.strictObject({ type: z.literal('function'), name: functionName });

const toolChoice = z.union(
  [
    z.enum(['none', 'auto', 'required']),
    named,
    z.strictObject({ type: z.literal('allowed_tools'), mode: z.enum(['auto', 'required']), tools: z.array(named).min(1).max(mostTools) }),
  ],
  { error: 'must be "none", "auto", "required", {"type": "function", "name": ...} or {"type": "allowed_tools", ...}' },
);

const textFormat = z.discriminatedUnion(
  'type',
  [
    z.strictObject({ type: z.literal('text') }),
    z.strictObject({ type: z.literal('json_object') }),
    z.strictObject({ type: z.literal('json_schema'), ...answerSchema }),
  ],
  { error: 'must be "text", "json_object" or "json_schema"' },
);

const logprobsIncluded = 'message.output_text.logprobs';
const includable = z.enum([logprobsIncluded, 'reasoning.encrypted_content'], { error: 'is not served; leave it out' });

const responseBody = z.strictObject({
  ...modelField,
  input: responseInput,
  instructions: z.string().max(4_194_304).nullish(),
  max_output_tokens: samplingFields.max_tokens,
  temperature: samplingFields.temperature,
  top_p: samplingFields.top_p,
  top_logprobs: z.int().min(0).max(mostLikelyTokens).nullish(),
  tools: z
    .array(tool)
    .max(mostTools, `must be at most ${mostTools} functions`)
    .superRefine((tools, context) => {
      const message = uniqueNames(tools.map((one) => one.name));
      if (message !== null) context.addIssue({ code: 'custom', message });
    })
    .nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  text: z.strictObject({ format: textFormat.nullish(), verbosity: z.string().nullish() }).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_obfuscation: z.boolean().optional() }).nullish(),
  include: z.array(includable).nullish(),
  reasoning: z.object({ effort: z.string().nullish(), summary: z.string().nullish() }).nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  user: samplingFields.user,
  service_tier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  safety_identifier: z.string().nullish(),
  truncation: z.string().nullish(),
  store: z.boolean().nullish(),
  background: z.boolean().nullish(),
  previous_response_id: z.string().nullish(),
  conversation: z.unknown().optional(),
});

export type ResponseBody = z.infer<typeof responseBody>;
/** Names of all fields that are known. */
export const responseFieldNames: readonly string[] = Object.keys(responseBody.shape);

/** What would need a memory or a server's own way with long inputs. */
const stateful: readonly (readonly [param: keyof ResponseBody, asked: (value: unknown) => boolean, remedy: string])[] = [
  ['store', (value) => value === true, 'Responses are not stored here: leave it out or send false.'],
  ['previous_response_id', (value) => typeof value === 'string', 'Responses are not stored here: send the earlier items in "input".'],
  [
    'conversation',
    (value) => value !== null && value !== undefined,
    'Conversations are not stored here: send the earlier items in "input".',
  ],
  ['background', (value) => value === true, 'Responses are not stored here: wait for the answer, or stream it.'],
  ['truncation', (value) => typeof value === 'string' && value !== 'disabled', 'Inputs are not cut: send "disabled", or a shorter input.'],
];

/** Checks a parsed body. The fault carries the OpenAI error with `param` set. */
export function parseResponseBody(value: unknown): Outcome<ResponseBody, RequestFault> {
  const parsed = parseBody(responseBody, value);
  if (!parsed.ok) return parsed;
  const body = parsed.value;
  for (const [param, asked, remedy] of stateful) {
    if (asked(body[param])) return refusal(openAiError('unsupported_parameter', `'${param}' is not served. ${remedy}`, { param }));
  }
  const wrongChoice = choiceFault(chatChoice(body.tool_choice), chatTools(body));
  return wrongChoice === null ? parsed : invalidField('tool_choice', wrongChoice);
}

/** The same wish as a chat completion, so that both endpoints are answered by one path. */
export function chatOfResponse(body: ResponseBody): ChatBody {
  const format = body.text?.format;
  return {
    model: body.model,
    messages: messagesOfInput(body.input, body.instructions),
    stream: body.stream,
    max_completion_tokens: body.max_output_tokens,
    temperature: body.temperature,
    top_p: body.top_p,
    ...(wantsLogprobs(body) ? { logprobs: true, top_logprobs: body.top_logprobs ?? 0 } : {}),
    tools: body.tools ? chatTools(body) : null,
    tool_choice: chatChoice(body.tool_choice),
    parallel_tool_calls: body.parallel_tool_calls,
    response_format: format?.type === 'json_schema' ? { type: 'json_schema', json_schema: withoutType(format) } : format,
    reasoning_effort: body.reasoning?.effort,
    verbosity: body.text?.verbosity,
    user: body.user,
    service_tier: body.service_tier,
    prompt_cache_key: body.prompt_cache_key,
    safety_identifier: body.safety_identifier,
  };
}

export function wantsLogprobs({ include, top_logprobs }: ResponseBody): boolean {
  return include?.includes(logprobsIncluded) === true || typeof top_logprobs === 'number';
}

function withoutType<T extends { readonly type: string }>({ type: _, ...rest }: T): Omit<T, 'type'> {
  return rest;
}

function chatTools({ tools }: ResponseBody): ChatTool[] {
  return (tools ?? []).map(({ type, ...called }) => ({ type, function: called }));
}

function chatChoice(choice: ResponseBody['tool_choice']): ChatToolChoice | null | undefined {
  if (choice === null || choice === undefined || typeof choice === 'string') return choice;
  if (choice.type === 'function') return { type: 'function', function: { name: choice.name } };
  const tools = choice.tools.map(({ type, name }) => ({ type, function: { name } }));
  return { type: 'allowed_tools', allowed_tools: { mode: choice.mode, tools } };
}
