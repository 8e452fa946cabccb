// An answer of an OpenAI-compatible server that comes as one JSON body.
import { type FakeToken, listed, type Wire } from './upstream-wire.js';

export interface WholeAnswer {
  readonly tokens: readonly FakeToken[];
  readonly choices: number;
  readonly calls: readonly { readonly name: string; readonly arguments: string }[] | null;
  readonly finishReason: string;
  readonly usage: object | null;
}

export function wholeBody(wire: Wire, { tokens, choices, calls, finishReason, usage }: WholeAnswer): string {
  const text = tokens.map((token) => token.text).join('');
  const toolCalls = calls?.map(({ name, arguments: given }, index) => ({
    id: `call_${index + 1}`,
    type: 'function',
    function: { name, arguments: given },
  }));
  const said = wire.chat
    ? { message: { role: 'assistant', content: calls === null ? text : null, ...(toolCalls ? { tool_calls: toolCalls } : {}) } }
    : { text };
  return JSON.stringify({
    id: wire.chat ? 'chatcmpl-fake' : 'cmpl-fake',
    object: wire.chat ? 'chat.completion' : 'text_completion',
    created: 1_764_000_000,
    model: wire.model,
    choices: Array.from({ length: choices }, (_, index) => ({
      index,
      ...said,
      logprobs: logprobsOf(wire, tokens),
      finish_reason: finishReason,
    })),
    ...(usage === null ? {} : { usage }),
  });
}

/** Of all tokens as of one: lists are joined, in whichever of the two forms they come. */
function logprobsOf(wire: Wire, tokens: readonly FakeToken[]): unknown {
  const each = tokens.map((token) => listed(token, wire) as Record<string, unknown[] | null> | null);
  const [first] = each;
  if (!first) return null;
  return Object.fromEntries(
    Object.keys(first).map((name) => [name, first[name] === null ? null : each.flatMap((one) => one?.[name] ?? [])]),
  );
}
