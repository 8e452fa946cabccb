// What an answer may call, decided before it is queued: where it begins, and the grammar that holds its calls.
import { type Fault, fail, type Outcome, ok } from '#libs/base';
import type { Constraint, ToolDefinition, ToolUse } from '../../engine.js';
import { gbnfOf } from '../grammar/gbnf-of.js';
import type { ConstraintFaultCode } from '../grammar/refusal.js';
import { callGrammar } from './call-grammar.js';
import type { CallSyntax } from './call-syntax.js';

export interface CallPlan {
  readonly syntax: CallSyntax;
  readonly names: readonly string[];
  /** `free`: text or calls. `name`: the prompt ends where the name of a call begins. A name: where its arguments begin. */
  readonly start: 'free' | 'name' | { readonly name: string };
  readonly gbnf: string;
  /** True: the grammar holds from the first token. False: once a call began. */
  readonly fromStart: boolean;
}

/** An empty list of parameters, as OpenAI reads a function without any. */
const noParameters = { type: 'object', properties: {}, additionalProperties: false };

/** `constraint` holds what is said instead of calling. Faults name the field of the request. */
export function planCalls(
  { tools, choice, parallel }: ToolUse,
  syntax: CallSyntax,
  constraint: Constraint | null,
): Outcome<CallPlan, Fault<ConstraintFaultCode>> {
  const schemas: Record<string, unknown>[] = [];
  for (const [index, tool] of tools.entries()) {
    const schema = schemaOf(tool);
    const made = gbnfOf({ kind: 'jsonSchema', schema });
    if (made.ok) schemas.push(schema);
    // Without `strict` a schema that no grammar can say is a wish, and an object is what is left of it.
    else if (!tool.strict) schemas.push({ type: 'object' });
    else return fail({ ...made.fault, message: `tools.${index}.function.parameters: ${made.fault.message}` });
  }
  const start = choice === 'auto' ? 'free' : choice === 'required' ? 'name' : choice;
  const answer = start !== 'free' || constraint === null ? null : constraint;
  const several = parallel && syntax.between !== null;
  const functions = tools.map(({ name }, index) => ({ name, schema: schemas[index] ?? noParameters }));
  const made = callGrammar(functions, { syntax, start, answer, several });
  if (!made.ok) return made;
  return ok({ syntax, names: tools.map(({ name }) => name), start, gbnf: made.value, fromStart: start !== 'free' || answer !== null });
}

function schemaOf({ parameters }: ToolDefinition): Record<string, unknown> {
  return parameters === undefined ? noParameters : { type: 'object', ...parameters };
}
