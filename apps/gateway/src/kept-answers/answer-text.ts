// The words of an answer, from the bytes that its client was sent: whole or as a stream, of any of the generating endpoints.

interface Wire {
  readonly choices?: readonly {
    readonly index?: number;
    readonly text?: unknown;
    readonly message?: Message;
    readonly delta?: Message;
  }[];
  /** Of `/v1/responses`. */
  readonly output?: readonly { readonly content?: readonly { readonly text?: unknown }[] }[];
  readonly type?: unknown;
  readonly delta?: unknown;
  readonly error?: unknown;
}

interface Message {
  readonly content?: unknown;
  readonly tool_calls?: unknown;
}

const event = /^data: ?(.*)$/gm;

/** Null: it is no one text (several choices, calls, an error), or not what it should be. */
export function answerText(kind: 'whole' | 'stream', bytes: Buffer): string | null {
  try {
    const text = bytes.toString('utf8');
    return kind === 'whole' ? wholeText(JSON.parse(text) as Wire) : streamText(text);
  } catch {
    return null;
  }
}

function wholeText({ choices, output, error }: Wire): string | null {
  if (error) return null;
  if (output) return output.flatMap(({ content }) => (content ?? []).map(({ text }) => (typeof text === 'string' ? text : ''))).join('');
  const [choice] = choices ?? [];
  if (choices?.length !== 1 || !choice || choice.message?.tool_calls) return null;
  const text = choice.message ? choice.message.content : choice.text;
  return typeof text === 'string' ? text : null;
}

function streamText(text: string): string | null {
  const pieces: string[] = [];
  for (const [, data = ''] of text.matchAll(event)) {
    if (data === '[DONE]') continue;
    const { choices, type, delta, error } = JSON.parse(data) as Wire;
    if (error) return null;
    if (type === 'response.output_text.delta' && typeof delta === 'string') pieces.push(delta);
    for (const choice of choices ?? []) {
      if ((choice.index ?? 0) !== 0 || choice.delta?.tool_calls) return null;
      const piece = choice.delta ? choice.delta.content : choice.text;
      if (typeof piece === 'string') pieces.push(piece);
    }
  }
  return pieces.join('');
}
