// `tools` and `tool_choice`: the functions that a client offers, bounded before any engine turns them into a prompt and a grammar.
import { z } from 'zod';
import { depthOf } from './json.js';

export const mostTools = 128;
export const functionName = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, underscores and dashes');
const largestParameters = 65_536;
const deepestParameters = 32;

/** JSON Schema of a function's arguments. */
export const functionParameters = z.record(z.string(), z.unknown()).superRefine((value, context) => {
  const refuse = (message: string): void => context.addIssue({ code: 'custom', message });
  const { type } = value;
  if (type !== undefined && type !== 'object') return refuse('must be the schema of an object: "type": "object"');
  const text = JSON.stringify(value);
  if (text.length > largestParameters) return refuse(`is longer than ${largestParameters} characters; describe less`);
  if (depthOf(text) > deepestParameters) return refuse(`is nested more than ${deepestParameters} levels deep; flatten it`);
});

/** A function as chat completions spell it inside `function`, and responses beside `type`. */
export const functionFields = {
  name: functionName,
  description: z.string().max(16_384).nullish(),
  parameters: functionParameters.nullish(),
  /** Arguments are held to the schema either way where the engine can. */
  strict: z.boolean().nullish(),
} as const;

const onlyFunctions = 'must be "function": this server calls no tools of its own, and hands calls to the client';

const tool = z.strictObject({ type: z.literal('function', { error: onlyFunctions }), function: z.strictObject(functionFields) });

/** Two functions of one name could not be told apart. */
export function uniqueNames(names: readonly string[]): string | null {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return twice === undefined ? null : `has two functions named "${twice}"; give each a name of its own`;
}

export const chatTools = z
  .array(tool)
  .max(mostTools, `must be at most ${mostTools} functions`)
  .superRefine((tools, context) => {
    const message = uniqueNames(tools.map((one) => one.function.name));
    if (message !== null) context.addIssue({ code: 'custom', message });
  });

const named = z.strictObject({ type: z.literal('function'), function: z.strictObject({ name: functionName }) });
const allowed = z.strictObject({
  type: z.literal('allowed_tools'),
  allowed_tools: z.strictObject({ mode: z.enum(['auto', 'required']), tools: z.array(named).min(1).max(mostTools) }),
});

export const chatToolChoice = z.union([z.enum(['none', 'auto', 'required']), named, allowed], {
  error: 'must be "none", "auto", "required", {"type": "function", "function": {"name": ...}} or {"type": "allowed_tools", ...}',
});

export type ChatTool = z.infer<typeof tool>;
export type ChatToolChoice = z.infer<typeof chatToolChoice>;

/** What is wrong between a choice and the tools that it chooses from; null: nothing. */
export function choiceFault(choice: ChatToolChoice | null | undefined, tools: readonly ChatTool[]): string | null {
  if (choice === null || choice === undefined || choice === 'none') return null;
  if (tools.length === 0) return 'needs "tools" to choose from';
  const names = typeof choice === 'string' ? [] : choice.type === 'function' ? [choice] : choice.allowed_tools.tools;
  const unknown = names.find((one) => !tools.some((tool) => tool.function.name === one.function.name));
  return unknown ? `names "${unknown.function.name}", which is not among "tools"` : null;
}
