// What the upstream says, built once: an answer of 0.5 KB, chunks of 0.24 KB, chunks with log probabilities of 20 tokens of 1.6 KB.

const head = { id: 'chatcmpl-7f3a9c52e1b84d06', created: 1_760_000_000, model: 'mock' };
const words = ' the order was sent on Monday and should arrive by Thursday at the latest if nothing holds it up on the way to you'.split(
  /(?= )/,
);
const wordsPerAnswer = 40;
const caches = { whole: new Map(), chunk: new Map() };

function logprob(rank) {
  return -(0.21 + rank * 0.4173828125);
}

function place(index, top) {
  const likely = Array.from({ length: top }, (_, rank) => {
    const token = words[(index + rank) % words.length];
    return { token, logprob: logprob(rank), bytes: [...Buffer.from(token)] };
  });
  const token = words[index % words.length];
  return { token, logprob: logprob(0), bytes: [...Buffer.from(token)], top_logprobs: likely };
}

function lean(entry) {
  // Servers leave `bytes` out of the list or send null: 20 tokens are 1.6 KB on the wire then.
  return { ...entry, bytes: null, top_logprobs: entry.top_logprobs.map((one) => ({ ...one, bytes: null })) };
}

function kept(cache, key, make) {
  let value = cache.get(key);
  if (!value) {
    value = make();
    cache.set(key, value);
  }
  return value;
}

/** The whole answer as bytes. `top` null: no log probabilities. */
export function whole(tokens, top) {
  return kept(caches.whole, `${tokens} ${top}`, () => {
    const logprobs =
      top === null ? null : { content: Array.from({ length: tokens }, (_, index) => lean(place(index, top))), refusal: null };
    const content = Array.from({ length: wordsPerAnswer }, (_, index) => words[index % words.length]).join('');
    const message = { role: 'assistant', content, refusal: null };
    const usage = usageOf(tokens);
    return Buffer.from(
      JSON.stringify({ ...head, object: 'chat.completion', choices: [{ index: 0, message, logprobs, finish_reason: 'stop' }], usage }),
    );
  });
}

export function usageOf(tokens) {
  return { prompt_tokens: 412, completion_tokens: tokens, total_tokens: 412 + tokens, prompt_tokens_details: { cached_tokens: 0 } };
}

export function event(data) {
  return Buffer.from(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`);
}

function chunk(chat, delta, logprobs, finishReason) {
  const choice = chat ? { index: 0, delta } : { index: 0, text: delta.content ?? '' };
  return event({
    ...head,
    object: chat ? 'chat.completion.chunk' : 'text_completion',
    system_fingerprint: 'fp_3f9a1c7b20',
    choices: [{ ...choice, logprobs, finish_reason: finishReason }],
  });
}

function told(chat, index, top) {
  if (top === null) return null;
  const entry = lean(place(index, top));
  if (chat) return { content: [entry] };
  const likely = Object.fromEntries(entry.top_logprobs.map((one, rank) => [`${one.token}${rank}`, one.logprob]));
  return { tokens: [entry.token], token_logprobs: [entry.logprob], top_logprobs: [likely], text_offset: [0] };
}

/** One token of a stream. */
export function token(chat, index, top) {
  const at = index % words.length;
  return kept(caches.chunk, `${chat} ${at} ${top}`, () => chunk(chat, { content: words[at] }, told(chat, at, top), null));
}

const frames = new WeakMap();

/** The same bytes as one chunk of HTTP's chunked encoding. */
export function framed(bytes) {
  return kept(frames, bytes, () => Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]));
}

export const role = chunk(true, { role: 'assistant', content: '' }, null, null);
export const finish = { true: chunk(true, {}, null, 'stop'), false: chunk(false, {}, null, 'stop') };
export const done = event('[DONE]');

export function usageChunk(chat, tokens) {
  return kept(caches.chunk, `usage ${chat} ${tokens}`, () =>
    event({ ...head, object: chat ? 'chat.completion.chunk' : 'text_completion', choices: [], usage: usageOf(tokens) }),
  );
}
